//! The API's description is true: every route that it names is there, and answers in the form that it gives.

use serde_json::{Map, Value, json};

use crate::support::admin::Admin;
use crate::support::proxy::Config;
use crate::support::{Reply, Request, Upstream, bodies, healthy};

/// A value held against a schema of the description.
struct Judge<'a> {
    document: &'a Value,
}

impl Judge<'_> {
    /// Where and why it does not fit. A member that the schema does not name is a misfit too: the description would lack it.
    fn misfit(&self, schema: &Value, value: &Value, at: &str) -> Option<String> {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.document.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference} leads nowhere"));
            return self.misfit(target, value, at);
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(choices) = schema[key].as_array() {
                let misfits: Vec<_> = choices.iter().filter_map(|choice| self.misfit(choice, value, at)).collect();
                return (misfits.len() == choices.len()).then(|| misfits.join(" / "));
            }
        }
        if let Some(constant) = schema.get("const") {
            return (constant != value).then(|| format!("{at}: {value} is not {constant}"));
        }
        if let Some(words) = schema["enum"].as_array() {
            return (!words.contains(value)).then(|| format!("{at}: {value} is none of {words:?}"));
        }
        let kinds: Vec<&str> = match &schema["type"] {
            Value::String(kind) => vec![kind],
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => return None,
        };
        if !kinds.iter().any(|kind| is(kind, value)) {
            return Some(format!("{at}: {value} is not of {kinds:?}"));
        }
        match value {
            Value::Array(items) => {
                items.iter().find_map(|item| self.misfit(&schema["items"], item, &format!("{at}[]")))
            }
            Value::Object(members) => self.misfit_of_members(schema, members, at),
            _ => None,
        }
    }

    fn misfit_of_members(&self, schema: &Value, members: &Map<String, Value>, at: &str) -> Option<String> {
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if let Some(missing) = required.into_iter().find(|name| !members.contains_key(*name)) {
            return Some(format!("{at}: {missing} is missing"));
        }
        members.iter().find_map(|(name, member)| {
            let at = format!("{at}.{name}");
            match (schema["properties"].get(name), &schema["additionalProperties"]) {
                (Some(schema), _) => self.misfit(schema, member, &at),
                (None, Value::Null | Value::Bool(false)) => Some(format!("{at} is not described")),
                (None, others) => self.misfit(others, member, &at),
            }
        })
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("what is {kind}?"),
    }
}

/// What to send to each operation so that it succeeds, in an order in which they all do.
fn calls(id: &str, upstream: &str) -> Vec<(&'static str, &'static str, String, Value)> {
    let at = |path: &str| path.replace("sessions/{id}", "sessions/s-1").replace("{name}", "beta").replace("{id}", id);
    let added = json!({"name": "gamma", "url": upstream, "auth_type": "passthrough"});
    let mut calls = Vec::new();
    for (method, path, body) in [
        ("get", "/api/status", Value::Null),
        ("get", "/api/endpoints", Value::Null),
        ("get", "/api/logs", Value::Null),
        ("get", "/api/logs/{id}", Value::Null),
        ("get", "/api/stats", Value::Null),
        ("get", "/api/config", Value::Null),
        ("get", "/api/openapi.json", Value::Null),
        ("get", "/api/sessions/{id}", Value::Null),
        ("get", "/metrics", Value::Null),
        ("get", "/healthz", Value::Null),
        ("get", "/readyz", Value::Null),
        ("post", "/api/endpoints", added),
        ("patch", "/api/endpoints/{name}", json!({"priority": 7})),
        ("post", "/api/endpoints/{name}/disable", Value::Null),
        ("post", "/api/endpoints/{name}/enable", json!({})),
        ("post", "/api/endpoints/{name}/test", Value::Null),
        ("post", "/api/endpoints/{name}/reset", Value::Null),
        ("post", "/api/endpoints/order", json!({"names": ["gamma", "beta", "alpha"]})),
        ("delete", "/api/endpoints/{name}", Value::Null),
        ("post", "/api/config/reload", Value::Null),
        ("post", "/api/login", json!({"token": ""})),
        ("post", "/api/logout", Value::Null),
    ] {
        calls.push((method, path, at(path), body));
    }
    calls
}

async fn busy() -> (crate::support::Proxy, Admin, [Upstream; 2], String) {
    let alpha = Upstream::new("alpha").then(Reply::status(529)).start().await.unwrap();
    let beta = healthy("beta").await;
    let proxy = Config::in_order([&alpha, &beta]).admin().start().await;
    let admin = proxy.admin().await;
    let answer = proxy.send(&Request::stream().session("s-1")).await;
    proxy.record(&answer).await;
    let id = answer.request_id().to_owned();
    (proxy, admin, [alpha, beta], id)
}

#[tokio::test]
async fn every_answer_has_the_form_that_the_description_gives() {
    let (_proxy, admin, upstreams, id) = busy().await;
    let document = admin.json("/api/openapi.json").await;
    let judge = Judge { document: &document };
    let calls = calls(&id, &upstreams[0].url());
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let is_stream = path == "/api/events";
            let known = calls.iter().any(|(own, template, ..)| own == method && template == path);
            assert!(known || is_stream, "{method} {path} is described, and not called here");
        }
    }
    for (method, template, path, body) in calls {
        let described = &document["paths"][template][method]["responses"];
        if described.is_null() {
            continue;
        }
        let answer = admin.send(&method.to_uppercase(), &path, if body.is_null() { None } else { Some(&body) }).await;
        let what = format!("{method} {path}: {} {}", answer.status(), String::from_utf8_lossy(&answer.body));
        let content = &described[answer.status().to_string()]["content"];
        let essence = answer.header("content-type").unwrap().split(';').next().unwrap();
        assert!(content[essence].is_object(), "{essence} is not described: {what}");
        if let Some(schema) = content[essence].get("schema") {
            assert_eq!(judge.misfit(schema, &answer.json(), ""), None, "{what}");
        }
    }
    let refused = admin.get("/api/endpoints/nobody/test").await;
    let problem =
        &document["paths"]["/api/status"]["get"]["responses"]["default"]["content"]["application/json"]["schema"];
    assert_eq!(judge.misfit(problem, &refused.json(), ""), None);
}

#[tokio::test]
async fn every_event_has_the_form_that_the_description_gives() {
    let (proxy, admin, _upstreams, _) = busy().await;
    let document = admin.json("/api/openapi.json").await;
    let judge = Judge { document: &document };
    let content = &document["paths"]["/api/events"]["get"]["responses"]["200"]["content"];
    let schema = &content["text/event-stream"]["schema"];
    let mut events = admin.events(Some("another-run-1")).await;
    proxy.send(&Request::message()).await;
    admin.change("PATCH", "/api/endpoints/beta", &json!({"priority": 9})).await;
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 7 {
        let event = events.next().await.unwrap();
        let tagged = json!({ event.name.as_str(): event.data });
        assert_eq!(judge.misfit(schema, &tagged, ""), None, "{tagged:#}");
        seen.insert(event.name);
    }
    let all = ["config", "endpoint", "missed", "request_committed", "request_ended", "request_started", "status"];
    assert!(seen.iter().eq(&all), "{seen:?}");
}

#[tokio::test]
async fn a_description_that_is_not_true_would_be_noticed() {
    let (_proxy, admin, _upstreams, id) = busy().await;
    let mut document = admin.json("/api/openapi.json").await;
    let record = admin.json(&format!("/api/logs/{id}")).await;
    let schema = json!({"$ref": "#/components/schemas/RequestRecord"});
    assert_eq!(Judge { document: &document }.misfit(&schema, &record, ""), None);
    let members = document["components"]["schemas"]["RequestRecord"]["properties"].as_object_mut().unwrap();
    members.remove("ending");
    assert!(Judge { document: &document }.misfit(&schema, &record, "").unwrap().contains("ending"));
    assert_eq!(record["model"], bodies::MODEL);
}
