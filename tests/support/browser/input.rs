//! What hands do: real mouse and key events, at what can be seen and reached.

use claude_proxy::clock;
use serde_json::{Value, json};

use super::{PATIENCE, Page, quoted};
use crate::support::ms;

/// Alt, as the protocol counts modifiers.
const ALT: u8 = 1;

impl Page {
    /// Clicks the first that fits the selector and whose name contains the text.
    pub async fn click(&self, selector: &str, text: &str) {
        let (x, y) = self.place(selector, text).await;
        self.mouse("mouseMoved", x, y).await;
        self.mouse("mousePressed", x, y).await;
        self.mouse("mouseReleased", x, y).await;
    }

    /// Clicks until it had its effect: a click misses what moves just then, as all does below an endpoint whose state
    /// changes.
    pub async fn click_until(&self, selector: &str, text: &str, effect: &str) {
        for _ in 0..10 {
            self.click(selector, text).await;
            if self.is_soon(effect).await {
                return;
            }
        }
        self.until(&format!("a click on {selector} {text} has its effect"), effect).await;
    }

    /// Replaces what a field holds.
    pub async fn fill(&self, selector: &str, text: &str) {
        self.click(selector, "").await;
        self.eval(&format!("document.querySelector({}).select()", quoted(selector))).await;
        if text.is_empty() {
            self.key("Delete").await;
        } else {
            self.call("Input.insertText", json!({"text": text})).await;
        }
    }

    /// `j`, `?`, `Escape`, `ArrowDown`, …
    pub async fn key(&self, key: &str) {
        self.press(key, 0).await;
    }

    pub async fn alt_key(&self, key: &str) {
        self.press(key, ALT).await;
    }

    async fn press(&self, key: &str, modifiers: u8) {
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            " " => 32,
            "ArrowUp" => 38,
            "ArrowDown" => 40,
            "Delete" => 46,
            _ => 0,
        };
        let text = match key {
            "Enter" => "\r",
            _ if key.chars().count() == 1 && modifiers == 0 => key,
            _ => "",
        };
        let mut event =
            json!({"type": "keyDown", "key": key, "text": text, "modifiers": modifiers, "windowsVirtualKeyCode": code});
        self.call("Input.dispatchKeyEvent", event.clone()).await;
        event["type"] = "keyUp".into();
        event["text"] = "".into();
        self.call("Input.dispatchKeyEvent", event).await;
    }

    /// Drags one thing onto another.
    pub async fn drag(&self, from: (&str, &str), to: (&str, &str)) {
        self.call("Input.setInterceptDrags", json!({"enabled": true})).await;
        let (x, y) = self.place(from.0, from.1).await;
        self.mouse("mouseMoved", x, y).await;
        self.mouse("mousePressed", x, y).await;
        self.mouse("mouseDragged", x + 3.0, y + 6.0).await;
        let limit = clock::now() + PATIENCE;
        let data = loop {
            if let Some(told) = self.pipe.last(&self.session, "Input.dragIntercepted") {
                break told["data"].clone();
            }
            assert!(clock::now() < limit, "nothing is being dragged");
            self.mouse("mouseDragged", x + 6.0, y + 9.0).await;
            tokio::time::sleep(ms(20)).await;
        };
        let (x, y) = self.place(to.0, to.1).await;
        for kind in ["dragEnter", "dragOver", "dragOver", "drop"] {
            self.call("Input.dispatchDragEvent", json!({"type": kind, "x": x, "y": y, "data": data})).await;
        }
        self.mouse("mouseReleased", x, y).await;
        self.call("Input.setInterceptDrags", json!({"enabled": false})).await;
    }

    /// An event of the protocol, or `mouseDragged`: moved with the button held.
    async fn mouse(&self, kind: &str, x: f64, y: f64) {
        let held = u8::from(kind == "mousePressed" || kind == "mouseDragged");
        let button = if kind == "mouseMoved" { "none" } else { "left" };
        let kind = if kind == "mouseDragged" { "mouseMoved" } else { kind };
        let event = json!({"type": kind, "x": x, "y": y, "button": button, "buttons": held, "clickCount": 1});
        self.call("Input.dispatchMouseEvent", event).await;
    }

    /// Where a click reaches it, once one does: not hidden, not covered, not disabled.
    async fn place(&self, selector: &str, text: &str) -> (f64, f64) {
        let expression = format!("T.place({}, {})", quoted(selector), quoted(text));
        let limit = clock::now() + PATIENCE;
        loop {
            let found = self.eval(&expression).await;
            if let (Some(x), Some(y)) = (found["x"].as_f64(), found["y"].as_f64()) {
                return (x, y);
            }
            if clock::now() > limit {
                self.picture("failed").await;
                let text_shown = self.eval("document.body.innerText.slice(0, 3000)").await;
                panic!("{selector} with {text:?} cannot be clicked: {found}\n{}", text_shown.as_str().unwrap_or(""));
            }
            tokio::time::sleep(ms(25)).await;
        }
    }

    /// The clipboard's text.
    pub async fn clipboard(&self, origin: &str) -> String {
        let permissions = json!(["clipboardReadWrite", "clipboardSanitizedWrite"]);
        let grant = json!({"origin": origin, "permissions": permissions, "browserContextId": self.context});
        self.pipe.call(None, "Browser.grantPermissions", grant).await;
        match self.eval("navigator.clipboard.readText()").await {
            Value::String(text) => text,
            other => panic!("the clipboard holds {other}"),
        }
    }
}
