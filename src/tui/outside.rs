//! What the dashboard does besides drawing.

use std::io;

use tokio::sync::{mpsc, watch};

use super::calls;
use super::clipboard::{self, Between};
use super::message::{Answer, Effect, Message};
use super::model::curl;
use super::terminal::Guard;
use crate::client::AdminClient;

/// The world as the main loop needs it; tests have one of their own.
pub(crate) trait Outside {
    /// Begins what is asked for; what comes of it arrives as a message.
    fn act(&mut self, effect: Effect);

    /// Stops the program until it is to go on.
    fn suspend(&mut self) -> impl Future<Output = io::Result<()>>;

    /// Whether a picture may be drawn: not once a panic gave the terminal back.
    fn has_terminal(&self) -> bool;

    /// The terminal is ours, whatever happened to it meanwhile.
    fn take_again(&mut self) -> io::Result<()>;
}

/// The proxy, this terminal and its files.
pub(crate) struct Real {
    guard: Guard,
    client: AdminClient,
    answers: mpsc::Sender<Message>,
    range: watch::Sender<u64>,
}

impl Real {
    pub(crate) fn new(
        guard: Guard,
        client: AdminClient,
        answers: mpsc::Sender<Message>,
        range: watch::Sender<u64>,
    ) -> Self {
        Self { guard, client, answers, range }
    }

    /// Does it beside the main loop.
    fn begin(&self, call: impl Future<Output = Answer> + Send + 'static) {
        let answers = self.answers.clone();
        tokio::spawn(async move {
            let answer = call.await;
            // Nobody waits for it any more.
            let _ = answers.send(Message::Answer(answer)).await;
        });
    }
}

impl Outside for Real {
    fn act(&mut self, effect: Effect) {
        match effect {
            Effect::Ask(ask) => {
                let client = self.client.clone();
                self.begin(async move { calls::perform(&client, ask).await });
            }
            Effect::Copy { what, text } => {
                let told = copy(what, "text", "txt", &text, false);
                self.begin(async move { Answer::Copied(told) });
            }
            Effect::CopyRecord { id, curl, to_file, listen } => {
                let client = self.client.clone();
                self.begin(async move { Answer::Copied(copy_record(&client, &id, curl, to_file, &listen).await) });
            }
            Effect::Range(seconds) => {
                self.range.send_replace(seconds);
            }
            Effect::Mouse(taken) => {
                // A terminal without a mouse goes on as it is.
                let _ = self.guard.set_mouse(taken);
            }
            Effect::Quit | Effect::Suspend | Effect::Redraw => {}
        }
    }

    async fn suspend(&mut self) -> io::Result<()> {
        self.guard.suspend().await
    }

    fn has_terminal(&self) -> bool {
        Guard::is_taken()
    }

    fn take_again(&mut self) -> io::Result<()> {
        self.guard.enter()
    }
}

async fn copy_record(
    client: &AdminClient,
    id: &str,
    as_curl: bool,
    to_file: bool,
    listen: &str,
) -> Result<String, String> {
    let record = calls::record(client, id).await?;
    if as_curl {
        return copy("the curl command", id, "sh", &curl(&record, listen), to_file);
    }
    let text = serde_json::to_string_pretty(&record).map_err(|error| error.to_string())?;
    copy("the record", id, "json", &text, to_file)
}

/// To the clipboard, or where that cannot be, to a file; what to tell about it.
fn copy(what: &str, name: &str, extension: &str, text: &str, to_file: bool) -> Result<String, String> {
    let set = |name: &str| std::env::var(name).unwrap_or_default();
    let between = Between::detect(|name| !set(name).is_empty());
    if !to_file && clipboard::takes(&set("TERM"), between, text) {
        clipboard::send(&mut io::stdout(), between, text)
            .map_err(|error| format!("the terminal took nothing: {error}"))?;
        let tmux = if between == Between::Tmux { "; in tmux this needs `set -g set-clipboard on`" } else { "" };
        return Ok(format!("copied {what} by way of the terminal{tmux}"));
    }
    let plain: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).take(80).collect();
    let folder = std::env::temp_dir();
    let path = clipboard::save(&folder, &format!("claude-proxy-{plain}.{extension}"), text);
    let path = path.map_err(|error| format!("{what} cannot be written to {}: {error}", folder.display()))?;
    Ok(format!("{what} is in {}", path.display()))
}
