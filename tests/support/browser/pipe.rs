//! Chromium's debugging protocol over two pipes: JSON messages, each ended by a NUL.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::PATIENCE;

#[derive(Clone)]
pub(super) struct Pipe {
    calls: mpsc::UnboundedSender<(Value, oneshot::Sender<Value>)>,
    heard: Arc<Mutex<Vec<Heard>>>,
}

struct Heard {
    session: String,
    method: String,
    params: Value,
}

impl Pipe {
    pub(super) fn new(to: ChildStdin, from: ChildStdout) -> Self {
        let (calls, waiting) = mpsc::unbounded_channel();
        let heard = Arc::default();
        tokio::spawn(talk(to, from, waiting, Arc::clone(&heard)));
        Self { calls, heard }
    }

    /// What the call answers.
    ///
    /// # Panics
    /// When the browser refuses it, is gone, or says nothing.
    pub(super) async fn call(&self, session: Option<&str>, method: &str, params: Value) -> Value {
        let answer = self.try_call(session, method, params).await;
        let mut answer = answer.unwrap_or_else(|| panic!("{method}: the browser is gone or says nothing"));
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].take()
    }

    /// The whole answer, a refusal too; `None` when the browser is gone or says nothing.
    pub(super) async fn try_call(&self, session: Option<&str>, method: &str, params: Value) -> Option<Value> {
        let mut call = json!({"method": method, "params": params});
        if let Some(session) = session {
            call["sessionId"] = session.into();
        }
        let (sender, answer) = oneshot::channel();
        let _ = self.calls.send((call, sender));
        timeout(PATIENCE, answer).await.ok()?.ok()
    }

    /// What was told of that session so far: methods with their params.
    pub(super) fn heard(&self, session: &str) -> Vec<(String, Value)> {
        let heard = self.heard.lock().unwrap();
        let own = heard.iter().filter(|one| one.session == session);
        own.map(|one| (one.method.clone(), one.params.clone())).collect()
    }

    /// The last one of that method.
    pub(super) fn last(&self, session: &str, method: &str) -> Option<Value> {
        self.heard(session).into_iter().rev().find(|(own, _)| own == method).map(|(_, params)| params)
    }
}

/// Only what is looked at later: the rest comes by the thousand.
const KEPT: [&str; 5] = [
    "Runtime.exceptionThrown",
    "Runtime.consoleAPICalled",
    "Log.entryAdded",
    "Network.requestWillBeSent",
    "Input.dragIntercepted",
];

async fn talk(
    mut to: ChildStdin,
    from: ChildStdout,
    mut calls: mpsc::UnboundedReceiver<(Value, oneshot::Sender<Value>)>,
    heard: Arc<Mutex<Vec<Heard>>>,
) {
    let mut from = BufReader::new(from);
    let mut waiting = HashMap::new();
    let mut message = Vec::new();
    let mut last = 0_u64;
    loop {
        tokio::select! {
            call = calls.recv() => {
                let Some((mut call, answer)) = call else { return };
                last += 1;
                call["id"] = last.into();
                waiting.insert(last, answer);
                let text = format!("{call}\0");
                if to.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
            // What was read is kept in `message` when the other side wins.
            read = from.read_until(0, &mut message) => {
                if !matches!(read, Ok(read) if read > 0) {
                    return;
                }
                message.pop();
                let Ok(mut told) = serde_json::from_slice::<Value>(&message) else { return };
                message.clear();
                if let Some(answer) = told["id"].as_u64().and_then(|id| waiting.remove(&id)) {
                    let _ = answer.send(told);
                } else if let Some(method) = told["method"].as_str().filter(|method| KEPT.contains(method)) {
                    let (method, session) = (method.to_owned(), told["sessionId"].as_str().unwrap_or_default().to_owned());
                    heard.lock().unwrap().push(Heard { session, method, params: told["params"].take() });
                }
            }
        }
    }
}
