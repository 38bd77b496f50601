//! The admin API of a proxy under test, as a page or a script sees it: raw requests, whole answers, events one by one.

use std::net::SocketAddr;

use claude_proxy::clock;
use serde_json::Value;

use super::client::{Answer, Client, Incoming, Request};
use super::proxy::{Config, Proxy};
use super::{PATIENCE, eventually, ms};

impl Config {
    /// With the admin server on any free port.
    pub fn admin(self) -> Self {
        self.set("web_admin.enabled", "true").set("web_admin.port", "0")
    }
}

impl Proxy {
    /// Its admin server, once it says where that is.
    pub async fn admin(&self) -> Admin {
        let mut address = None;
        eventually("the admin server listens", || {
            address = admin_address(&self.said());
            address.is_some()
        })
        .await;
        Admin { address: address.unwrap(), token: None }
    }
}

fn admin_address(said: &str) -> Option<SocketAddr> {
    let (_, rest) = said.split_once("\n  admin      http://")?;
    rest.split_once('\n')?.0.parse().ok()
}

#[derive(Clone, Debug)]
pub struct Admin {
    pub address: SocketAddr,
    token: Option<String>,
}

impl Admin {
    pub fn at(address: SocketAddr) -> Self {
        Self { address, token: None }
    }

    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    pub fn client(&self) -> Client {
        Client(self.address)
    }

    /// A request of that method and path, with the token and, if there is one, a JSON body.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Request {
        let request = Request::new(method, path, body.map(ToString::to_string).unwrap_or_default());
        match &self.token {
            Some(token) => request.header("Authorization", &format!("Bearer {token}")),
            None => request,
        }
    }

    pub async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.client().send(&self.request(method, path, body)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    /// What a GET answers with 200.
    pub async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// What a change answers with a status of success.
    pub async fn change(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.send(method, path, if body.is_null() { None } else { Some(body) }).await;
        assert!((200..300).contains(&answer.status()), "{method} {path}: {}", answer.text());
        answer.json()
    }

    /// Asks until the answer is as wanted.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let limit = clock::now() + PATIENCE;
        loop {
            let now = self.json(path).await;
            if wanted(&now) {
                return now;
            }
            assert!(clock::now() < limit, "{path} never comes to be as wanted: {now:#}");
            tokio::time::sleep(ms(20)).await;
        }
    }

    /// One endpoint's view.
    pub async fn endpoint(&self, name: &str) -> Value {
        let list = self.json("/api/endpoints").await;
        let found = list["endpoints"].as_array().unwrap().iter().find(|endpoint| endpoint["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {list:#}")).clone()
    }

    pub async fn events(&self, last: Option<&str>) -> Events {
        let request = self.request("GET", "/api/events", None);
        let request = match last {
            Some(last) => request.header("Last-Event-ID", last),
            None => request,
        };
        let incoming = self.client().open(&request).await;
        assert_eq!(incoming.status(), 200);
        assert_eq!(incoming.head.header("content-type"), Some("text/event-stream"));
        Events(incoming)
    }
}

/// An attached event stream.
pub struct Events(pub Incoming);

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: Option<String>,
    pub name: String,
    pub data: Value,
}

impl Event {
    fn parse(text: &str) -> Self {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let data = field("data").unwrap_or_else(|| panic!("no data: {text}"));
        Self {
            id: field("id").map(str::to_owned),
            name: field("event").expect("a name").to_owned(),
            data: serde_json::from_str(data).expect("JSON"),
        }
    }
}

impl Events {
    /// The next event; `None` when the stream is over.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.event().await.map(|text| Event::parse(&text))
    }

    /// The next event that has an id: all but most of the `status` ones.
    pub async fn happening(&mut self) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.id.is_some() && event.name != "status" {
                return event;
            }
        }
    }

    /// The next event of that name.
    pub async fn named(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.name == name {
                return event;
            }
        }
    }
}
