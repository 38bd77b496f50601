//! `tui`: the dashboard, attached to a running proxy.

use std::io::{self, IsTerminal as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::{CommandError, Exit, attach};
use crate::cli::{ThemeName, TuiArgs};
use crate::client::Target;
use crate::config;
use crate::tui::model::Options;
use crate::tui::theme::{Choice, Screen};
use crate::tui::{self, End};

pub fn run(explicit: Option<&Path>, args: &TuiArgs) -> Result<Exit, CommandError> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        let hint = "run it in a terminal; `claude-proxy status` prints once, `claude-proxy logs tail -f` goes on";
        return Err(CommandError::usage("tui draws on a terminal, and this is none", hint));
    }
    if config::process_environment("TERM").as_deref() == Some("dumb") {
        let hint = "set TERM to what the terminal is (xterm-256color, mostly); `claude-proxy status` needs none of it";
        return Err(CommandError::usage(
            "TERM is dumb: this terminal cannot move its cursor, so tui cannot draw",
            hint,
        ));
    }
    let client = attach::client(explicit, &args.attach)?;
    let Target { address, source, start, .. } = client.target().clone();
    let screen = Screen::detect(config::process_environment);
    let options = Options {
        address: address.clone(),
        source: source.clone(),
        start: start.clone(),
        read_only: args.read_only,
        theme: choice(args.theme),
        ascii: args.ascii || !screen.utf8,
        screen,
    };
    // It waits most of the time; one thread is enough.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let end = catch_unwind(AssertUnwindSafe(|| runtime.block_on(tui::open(client, options))));
    // A call that is still under way must not hold up the end.
    runtime.shutdown_background();
    // A panic of the main loop itself; the hook has told it.
    match end.unwrap_or(Ok(End::Bug))? {
        End::Left => Ok(Exit::Fine),
        End::NeverAttached(why) => Err(CommandError::Other {
            exit: Exit::NoProxy,
            code: "no_proxy",
            message: format!("no running claude-proxy at {address}: {why}"),
            hint: Some(format!("start one with `{start}`; the address is from {source}")),
        }),
        End::Refused { why, hint } => Err(CommandError::failed("refused", why, hint)),
        End::Bug => {
            let message = "the dashboard ended by a bug; the proxy goes on";
            Err(CommandError::failed("bug", message, "report the line above"))
        }
    }
}

fn choice(name: ThemeName) -> Choice {
    match name {
        ThemeName::Auto => Choice::Auto,
        ThemeName::Dark => Choice::Dark,
        ThemeName::Light => Choice::Light,
        ThemeName::HighContrast => Choice::HighContrast,
        ThemeName::Mono => Choice::Mono,
    }
}
