//! Endpoints changed through the admin API: written into config.yaml with all else kept, and in force at once.

use serde_json::{Value, json};

use crate::support::admin::Admin;
use crate::support::proxy::{Config, Endpoint, KEY, Proxy};
use crate::support::{Reply, Request, Upstream, assert_right, healthy};

/// A file as a person writes it, over `alpha` and `beta`.
struct Scene {
    proxy: Proxy,
    admin: Admin,
    alpha: Upstream,
    beta: Upstream,
    yaml: String,
}

impl Scene {
    async fn new() -> Self {
        let (alpha, beta) = (healthy("alpha").await, healthy("beta").await);
        let yaml = format!(
            "# my gateway\nserver: {{ port: 0 }}   # any port\n\nendpoints:\n  # the good one\n  - name: alpha\n    url: '{}'   # \
             quoted\n    auth_type: api_key\n    auth_value: ${{ALPHA_KEY}}\n    priority: 1\n  - name: beta\n    url: {}\n    \
             auth_type: api_key\n    auth_value: {KEY}\n    priority: 2 # second\n\nweb_admin: {{ port: 0 }}\n# the end\n",
            alpha.url(),
            beta.url()
        );
        let folder = tempfile::TempDir::new().unwrap();
        std::fs::write(folder.path().join("config.yaml"), &yaml).unwrap();
        let environment = [("ALPHA_KEY", "sk-from-the-environment"), ("GAMMA_KEY", "sk-gamma-from-outside")];
        let proxy = Proxy::start(folder, &environment).await;
        let admin = proxy.admin().await;
        Self { proxy, admin, alpha, beta, yaml }
    }

    fn file(&self) -> String {
        std::fs::read_to_string(self.proxy.folder().join("config.yaml")).unwrap()
    }

    async fn answered_by(&self, name: &str) {
        assert_right(&self.proxy.send(&Request::message()).await, false, name);
    }

    /// A refused change: its status, code and field; the file stays.
    async fn refused(&self, method: &str, path: &str, body: &Value) -> (u16, String, Option<String>) {
        let before = self.file();
        let answer = self.admin.send(method, path, Some(body)).await;
        let error = &answer.json()["error"];
        assert_eq!(self.file(), before, "{method} {path}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
        let word = |key: &str| error[key].as_str().map(str::to_owned);
        (answer.status(), word("code").unwrap_or_default(), word("field"))
    }
}

#[tokio::test]
async fn every_change_is_in_force_with_its_answer_and_leaves_the_rest_of_the_file_alone() {
    let scene = Scene::new().await;
    let admin = &scene.admin;
    scene.answered_by("alpha").await;
    let off = admin.change("POST", "/api/endpoints/alpha/disable", &Value::Null).await;
    assert_eq!((&off["applied"], &off["endpoint"]["state"]), (&true.into(), &"disabled".into()));
    scene.answered_by("beta").await;
    admin.change("POST", "/api/endpoints/alpha/enable", &Value::Null).await;
    scene.answered_by("alpha").await;
    let ordered = admin.change("POST", "/api/endpoints/order", &json!({"names": ["beta", "alpha"]})).await;
    assert!(ordered["diff"].as_str().unwrap().contains("priority"), "{ordered}");
    scene.answered_by("beta").await;
    let patched = admin.change("PATCH", "/api/endpoints/beta", &json!({"priority": 9})).await;
    assert_eq!(patched["endpoint"]["priority"], 9);
    scene.answered_by("alpha").await;

    let gamma = healthy("gamma").await;
    let body = json!({"name": "gamma", "url": gamma.url(), "auth_type": "auth_token", "auth_value": "${GAMMA_KEY}",
        "priority": -1});
    let answer = admin.send("POST", "/api/endpoints", Some(&body)).await;
    assert_eq!(answer.status(), 201, "{}", answer.text());
    assert_eq!(answer.json()["endpoint"]["auth_reference"], "${GAMMA_KEY}");
    scene.answered_by("gamma").await;
    assert_eq!(gamma.requests()[0].header("authorization"), Some("Bearer sk-gamma-from-outside"));
    let renamed = admin.change("PATCH", "/api/endpoints/gamma", &json!({"name": "delta"})).await;
    assert_eq!(renamed["endpoint"]["name"], "delta");
    admin.change("DELETE", "/api/endpoints/delta", &Value::Null).await;
    scene.answered_by("alpha").await;
    admin.change("DELETE", "/api/endpoints/alpha", &Value::Null).await;
    scene.answered_by("beta").await;

    let file = scene.file();
    for kept in ["# my gateway", "{ port: 0 }   # any port", "# second", "# the end", "web_admin: { port: 0 }"] {
        assert!(file.contains(kept), "{kept} is lost:\n{file}");
    }
    assert!(!file.contains("alpha") && !file.contains("delta"), "{file}");
}

#[tokio::test]
async fn an_order_asked_for_among_equals_is_the_order_shown_and_tried() {
    let (a, b, c) = (healthy("a").await, healthy("b").await, healthy("c").await);
    let equals = [("a", &a), ("b", &b), ("c", &c)].map(|(name, upstream)| Endpoint::at(name, &upstream.url()));
    let proxy = Config::of(equals).admin().start().await;
    let admin = proxy.admin().await;
    for names in [["c", "a", "b"], ["b", "c", "a"], ["a", "b", "c"], ["c", "b", "a"]] {
        let ordered = admin.change("POST", "/api/endpoints/order", &json!({ "names": names })).await;
        assert_ne!(ordered["diff"], "", "{names:?}");
        let list = admin.json("/api/endpoints").await;
        let shown: Vec<_> = list["endpoints"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
        assert_eq!(shown, names);
    }
    assert_right(&proxy.send(&Request::message()).await, false, "c");
}

#[tokio::test]
async fn a_change_there_and_back_leaves_the_file_byte_for_byte() {
    let scene = Scene::new().await;
    scene.admin.change("PATCH", "/api/endpoints/beta", &json!({"priority": 7})).await;
    assert_ne!(scene.file(), scene.yaml);
    scene.admin.change("PATCH", "/api/endpoints/beta", &json!({"priority": 2})).await;
    assert_eq!(scene.file(), scene.yaml);
}

#[tokio::test]
async fn a_key_that_is_not_named_stays_and_a_new_one_is_used_at_once() {
    let scene = Scene::new().await;
    let patched = scene.admin.change("PATCH", "/api/endpoints/alpha", &json!({"path_prefix": "/other"})).await;
    assert_eq!(patched["endpoint"]["auth_reference"], "${ALPHA_KEY}");
    scene.answered_by("alpha").await;
    let seen = scene.alpha.requests().pop().unwrap();
    assert_eq!(
        (seen.header("x-api-key"), seen.target.as_str()),
        (Some("sk-from-the-environment"), "/other/messages?beta=true")
    );
    let answer =
        scene.admin.change("PATCH", "/api/endpoints/alpha", &json!({"auth_value": "sk-quite-new-value"})).await;
    assert!(!answer.to_string().contains("quite-new"), "{answer}");
    scene.answered_by("alpha").await;
    assert_eq!(scene.alpha.requests().pop().unwrap().header("x-api-key"), Some("sk-quite-new-value"));
    assert!(scene.file().contains("sk-quite-new-value"));
    let taken_out = scene.admin.change("PATCH", "/api/endpoints/alpha", &json!({"path_prefix": null})).await;
    assert_eq!(taken_out["endpoint"]["path_prefix"], "/v1");
}

#[tokio::test]
async fn a_rehearsal_shows_the_change_and_makes_none() {
    let scene = Scene::new().await;
    let seen = scene.admin.json("/api/endpoints").await["revision"].clone();
    let body = json!({"name": "gamma", "url": "https://gamma.example", "auth_type": "api_key",
        "auth_value": "sk-rehearsed-value"});
    for (method, path, body, shown) in [
        ("POST", "/api/endpoints?dry_run=true", &body, "+  - name: gamma"),
        ("PATCH", "/api/endpoints/beta?dry_run=true", &json!({"priority": 5}), "+    priority: 5"),
        ("DELETE", "/api/endpoints/beta?dry_run=true", &Value::Null, "-  - name: beta"),
        ("POST", "/api/endpoints/beta/disable?dry_run=true", &Value::Null, "+    enabled: false"),
        ("POST", "/api/endpoints/order?dry_run=true", &json!({"order": ["beta", "alpha"]}), "priority"),
    ] {
        let answer = scene.admin.change(method, path, body).await;
        let diff = answer["diff"].as_str().unwrap();
        assert!(diff.contains(shown) && answer["applied"] == false, "{path}: {answer:#}");
        // Sent along with the change itself, what was shown is what is written.
        assert_eq!(answer["revision"], seen, "{path}");
        assert!(!diff.contains("rehearsed-value") && !diff.contains(KEY), "{diff}");
    }
    assert_eq!(scene.file(), scene.yaml);
    assert_eq!(scene.admin.json("/api/endpoints").await["endpoints"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_file_that_changed_meanwhile_is_a_conflict_and_nothing_is_lost() {
    let scene = Scene::new().await;
    let seen = scene.admin.json("/api/endpoints").await["revision"].as_str().unwrap().to_owned();
    let fresh = scene.admin.change("PATCH", "/api/endpoints/beta", &json!({"priority": 3, "revision": seen})).await;
    let stale = json!({"priority": 4, "revision": seen});
    assert_eq!(scene.refused("PATCH", "/api/endpoints/beta", &stale).await, (409, "conflict".into(), None));
    let stale = json!({"revision": seen});
    assert_eq!(scene.refused("DELETE", "/api/endpoints/beta", &stale).await.0, 409);
    assert_eq!(scene.refused("POST", "/api/endpoints/beta/disable", &stale).await.0, 409);
    let stale = json!({"names": ["beta", "alpha"], "revision": seen});
    assert_eq!(scene.refused("POST", "/api/endpoints/order", &stale).await.0, 409);
    let stale = json!({"priority": 5, "revision": seen});
    assert_eq!(scene.refused("PATCH", "/api/endpoints/beta?dry_run=true", &stale).await.0, 409);
    // As a header, the other way round.
    let request =
        scene.admin.request("POST", "/api/endpoints/beta/disable", None).header("If-Match", &format!("\"{seen}\""));
    assert_eq!(scene.admin.client().send(&request).await.status(), 409);
    let revision = fresh["revision"].as_str().unwrap();
    scene.admin.change("PATCH", "/api/endpoints/beta", &json!({"priority": 4, "revision": revision})).await;
    // An editor's change counts from the moment it is in the file, though the proxy has not read it yet.
    let revision = scene.admin.json("/api/endpoints").await["revision"].clone();
    scene.proxy.write_config(&scene.file().replace("# the end", "# the very end"));
    let stale = json!({"priority": 5, "revision": revision});
    assert_eq!(scene.refused("PATCH", "/api/endpoints/beta", &stale).await.0, 409);
    assert!(scene.file().contains("# the very end"));
}

#[tokio::test]
async fn changes_at_the_same_time_are_all_made() {
    let scene = Scene::new().await;
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let admin = scene.admin.clone();
            let body = json!({"name": format!("n{n}"), "url": "https://n.example", "auth_type": "passthrough", "priority": 50});
            tokio::spawn(async move { admin.send("POST", "/api/endpoints", Some(&body)).await.status() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), 201);
    }
    assert_eq!(scene.admin.json("/api/endpoints").await["endpoints"].as_array().unwrap().len(), 10);
    assert_eq!(scene.file().matches("url: https://n.example").count(), 8);
    scene.answered_by("alpha").await;
}

#[tokio::test]
async fn what_makes_no_valid_settings_is_refused_at_its_field() {
    let scene = Scene::new().await;
    let add = |more: Value| {
        let mut body =
            json!({"name": "gamma", "url": "https://gamma.example", "auth_type": "api_key", "auth_value": "k-1"});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    };
    for (more, status, code, field) in [
        (json!({"url": "gamma"}), 422, "invalid", Some("url")),
        (json!({"url": "https://me:pw@gamma.example"}), 422, "invalid", Some("url")),
        (json!({"auth_type": "magic"}), 422, "invalid", Some("auth_type")),
        (json!({"auth_value": null}), 422, "invalid", Some("auth_value")),
        (json!({"auth_value": "${NOT_SET_ANYWHERE}"}), 422, "invalid", Some("auth_value")),
        (json!({"auth_value": "line\nbreak"}), 422, "invalid", Some("auth_value")),
        (json!({"http": "3"}), 422, "invalid", Some("http")),
        (json!({"proxy": "ftp://x"}), 422, "invalid", Some("proxy")),
        (json!({"name": ""}), 422, "invalid", Some("name")),
        (json!({"name": "beta"}), 409, "exists", Some("name")),
        (json!({"priority": "high"}), 400, "bad_json", Some("priority")),
        (json!({"colour": "red"}), 400, "bad_json", Some("colour")),
    ] {
        let refused = scene.refused("POST", "/api/endpoints", &add(more.clone())).await;
        assert_eq!(refused, (status, code.to_owned(), field.map(str::to_owned)), "{more}");
    }
    for (method, path, body, status) in [
        ("PATCH", "/api/endpoints/nobody", json!({"priority": 1}), 404),
        ("DELETE", "/api/endpoints/nobody", json!({}), 404),
        ("POST", "/api/endpoints/nobody/enable", json!({}), 404),
        ("PATCH", "/api/endpoints/beta", json!({"name": "alpha"}), 409),
        ("POST", "/api/endpoints/order", json!({"names": ["alpha"]}), 422),
        ("POST", "/api/endpoints/order", json!({"names": ["alpha", "beta", "gamma"]}), 422),
        ("POST", "/api/endpoints/order", json!({"names": ["alpha", "alpha"]}), 422),
    ] {
        assert_eq!(scene.refused(method, path, &body).await.0, status, "{method} {path} {body}");
    }
    scene.answered_by("alpha").await;
}

#[tokio::test]
async fn the_last_endpoint_stays() {
    let scene = Scene::new().await;
    scene.admin.change("DELETE", "/api/endpoints/alpha", &Value::Null).await;
    let (status, code, _) = scene.refused("DELETE", "/api/endpoints/beta", &json!({})).await;
    assert_eq!((status, code.as_str()), (422, "invalid"));
    scene.answered_by("beta").await;
}

#[tokio::test]
async fn a_file_that_is_broken_is_not_touched_and_says_so() {
    let scene = Scene::new().await;
    scene.proxy.write_config("endpoints: [\n");
    let (status, code, _) = scene.refused("PATCH", "/api/endpoints/beta", &json!({"priority": 5})).await;
    assert_eq!((status, code.as_str()), (409, "broken_config"));
    scene.admin.until("/api/status", |status| status["config"]["refused"]["message"].is_string()).await;
    let refused = scene.admin.send("POST", "/api/config/reload", None).await;
    assert_eq!((refused.status(), refused.json()["error"]["code"].as_str()), (422, Some("invalid")));
    scene.answered_by("alpha").await;
    scene.proxy.write_config(&scene.yaml.replace("priority: 1\n", "priority: 3\n"));
    let standing = scene.admin.change("POST", "/api/config/reload", &Value::Null).await;
    assert_eq!(standing["refused"], Value::Null);
    scene.answered_by("beta").await;
}

#[tokio::test]
async fn an_endpoint_may_have_any_name() {
    let scene = Scene::new().await;
    for name in ["order", "a/b", "名 字", "100%", "..", "?x#y"] {
        let body = json!({"name": name, "url": "https://n.example", "auth_type": "passthrough", "priority": 50});
        scene.admin.change("POST", "/api/endpoints", &body).await;
        let path = format!("/api/endpoints/{}", claude_proxy::client::encoded(name));
        let patched = scene.admin.change("PATCH", &path, &json!({"priority": 51})).await;
        assert_eq!((&patched["endpoint"]["name"], &patched["endpoint"]["priority"]), (&name.into(), &51.into()));
        scene.admin.change("POST", &format!("{path}/disable"), &Value::Null).await;
        assert_eq!(scene.admin.endpoint(name).await["enabled"], false, "{name}");
        scene.admin.change("DELETE", &path, &Value::Null).await;
    }
    assert_eq!(scene.file(), scene.yaml);
}

#[tokio::test]
async fn a_test_tells_what_a_real_request_meets() {
    let scene = Scene::new().await;
    let well = scene.admin.change("POST", "/api/endpoints/alpha/test", &Value::Null).await;
    assert_eq!((&well["name"], &well["healthy"], &well["fault"]), (&"alpha".into(), &true.into(), &Value::Null));
    assert_eq!(scene.alpha.requests()[0].header("x-api-key"), Some("sk-from-the-environment"));
    scene.alpha.set_default(Some(Reply::error(401, "authentication_error", "sk-from-the-environment is wrong")));
    let ill = scene.admin.change("POST", "/api/endpoints/alpha/test", &Value::Null).await;
    assert_eq!(ill["healthy"], false);
    assert!(ill["fault"].is_string() && ill["hint"].is_string() && !ill.to_string().contains("from-the-env"), "{ill}");
    assert_eq!(scene.admin.endpoint("alpha").await["state"], "up", "a test counts for nothing");
    assert_eq!(scene.admin.send("POST", "/api/endpoints/nobody/test", None).await.status(), 404);
}

#[tokio::test]
async fn what_is_not_saved_yet_can_be_tested() {
    let scene = Scene::new().await;
    let gamma = healthy("gamma").await;
    let body = json!({"url": gamma.url(), "auth_type": "auth_token", "auth_value": "sk-candidate-only"});
    let well = scene.admin.change("POST", "/api/endpoints/gamma/test", &body).await;
    assert_eq!((&well["name"], &well["healthy"]), (&"gamma".into(), &true.into()), "{well}");
    assert_eq!(gamma.requests()[0].header("authorization"), Some("Bearer sk-candidate-only"));
    assert_eq!(scene.file(), scene.yaml);
    // A stored one with a change that is not saved.
    let well = scene.admin.change("POST", "/api/endpoints/beta/test", &json!({"path_prefix": "/x"})).await;
    assert_eq!(well["healthy"], true);
    let seen = scene.beta.requests().pop().unwrap();
    assert_eq!((seen.target.as_str(), seen.header("x-api-key")), ("/x/messages", Some(KEY)));
    for (body, field) in [
        (json!({"url": "gamma", "auth_type": "passthrough"}), Some("url")),
        (json!({"auth_type": "magic"}), Some("auth_type")),
        (json!({"auth_type": "api_key"}), Some("url")),
    ] {
        let (status, _, at) = scene.refused("POST", "/api/endpoints/gamma/test", &body).await;
        assert_eq!((status, at.as_deref()), (422, field), "{body}");
    }
}

#[tokio::test]
async fn a_test_never_carries_a_stored_key_to_another_address() {
    let scene = Scene::new().await;
    let thief = healthy("thief").await;
    for body in
        [json!({"url": thief.url()}), json!({"proxy": thief.url()}), json!({"name": "other", "url": thief.url()})]
    {
        let (status, _, field) = scene.refused("POST", "/api/endpoints/beta/test", &body).await;
        assert_eq!((status, field.as_deref()), (422, Some("auth_value")), "{body}");
    }
    assert_eq!(thief.connections(), 0);
    let own = json!({"url": thief.url(), "auth_value": "sk-given-again"});
    assert_eq!(scene.admin.change("POST", "/api/endpoints/beta/test", &own).await["healthy"], true);
    assert_eq!(thief.requests()[0].header("x-api-key"), Some("sk-given-again"));
}

/// Whoever caught an editor half-way through saving would have lost all endpoints, and the tokens with them.
#[tokio::test]
async fn a_file_that_an_editor_has_just_emptied_is_not_taken_for_a_new_one() {
    let scene = Scene::new().await;
    let added =
        json!({"name": "new", "url": "http://127.0.0.1:9", "auth_type": "api_key", "auth_value": "sk-12345678"});
    for text in ["", "# mine\n", "server: { port: 0 }\n", "endpoints:\n", "endpoints: []\n"] {
        scene.proxy.write_config(text);
        for (method, path, body) in [
            ("POST", "/api/endpoints", &added),
            ("POST", "/api/endpoints?dry_run=true", &added),
            ("PATCH", "/api/endpoints/alpha", &json!({"priority": 2})),
            ("POST", "/api/endpoints/alpha/disable", &json!({})),
            ("POST", "/api/endpoints/order", &json!({"names": ["beta", "alpha"]})),
            ("DELETE", "/api/endpoints/alpha", &json!({})),
        ] {
            let (status, code, _) = scene.refused(method, path, body).await;
            assert_eq!((status, code.as_str()), (409, "broken_config"), "{method} {path} on {text:?}");
        }
        scene.answered_by("alpha").await;
    }
}
