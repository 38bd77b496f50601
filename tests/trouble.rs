//! Trouble with the machine: requests go on, what is lost is counted, and nothing is spoiled.

use std::path::Path;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::chance::Chance;
use crate::support::client::Incoming;
use crate::support::machine::{descriptors, memory};
use crate::support::proxy::{Config, Endpoint, Proxy};
use crate::support::{
    Client, End, Gate, Part, Reply, Request, Upstream, assert_right, bodies, eventually, healthy, ms,
};

async fn log_standing(proxy: &Proxy) -> Value {
    proxy.admin().await.json("/api/status").await["log"].clone()
}

/// `requests-….jsonl` as it is, the last line perhaps unfinished.
fn log_files(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder.join("logs")).unwrap().map(|file| file.unwrap().path());
    let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    logs.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[tokio::test]
async fn a_log_folder_that_goes_away_costs_no_request_and_comes_back() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).admin().start().await;
    let logs = proxy.folder().join("logs");
    let answer = proxy.send(&Request::message()).await;
    proxy.record(&answer).await;

    std::fs::remove_dir_all(&logs).unwrap();
    let answer = proxy.send(&Request::message()).await;
    assert_right(&answer, false, "alpha");
    proxy.record(&answer).await;
    assert_eq!(log_standing(&proxy).await["dropped"], 0);

    // Nothing can be made where a file is in the way.
    std::fs::remove_dir_all(&logs).unwrap();
    std::fs::write(&logs, "in the way").unwrap();
    for stream in [false, true] {
        assert_right(&proxy.send(&Request::turn(stream)).await, stream, "alpha");
    }
    let admin = proxy.admin().await;
    let told = admin.until("/api/status", |status| status["log"]["dropped"] == 2).await;
    assert!(told["log"]["error"].as_str().unwrap().contains("cannot make the folder"), "{told}");
    proxy.says("requests are served but not logged").await;

    std::fs::remove_file(&logs).unwrap();
    let answer = proxy.send(&Request::message()).await;
    proxy.record(&answer).await;
    let after = log_standing(&proxy).await;
    assert_eq!((&after["dropped"], &after["error"]), (&json!(2), &Value::Null));
    assert_eq!(proxy.records().len(), 1);
}

#[tokio::test]
async fn a_full_disk_costs_no_request_and_spoils_no_line() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::start_on_a_full_disk(Config::in_order([&alpha]).admin().folder()).await;
    let admin = proxy.admin().await;
    for n in 0..40 {
        assert_right(&proxy.send(&Request::turn(n % 2 == 0)).await, n % 2 == 0, "alpha");
    }
    // A request is told of before its line is in the file.
    let count = |status: &Value, what: &str| status["log"][what].as_u64().unwrap();
    let told = admin.until("/api/status", |told| count(told, "dropped") + count(told, "written") == 40).await;
    let (dropped, written) = (count(&told, "dropped"), count(&told, "written"));
    assert!(dropped > 0 && written > 0 && told["totals"]["requests"] == 40, "{told}");
    assert!(told["log"]["error"].is_string(), "{told}");
    for text in log_files(&proxy.folder()) {
        assert!(text.is_empty() || text.ends_with('\n'), "half a line is left: {text:.200}");
    }
    assert_eq!(proxy.records().len() as u64, written);

    // Somebody makes room.
    let pid = Pid::from_raw(proxy.pid().cast_signed()).unwrap();
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: None, maximum: None }).unwrap();
    let answer = proxy.send(&Request::message()).await;
    proxy.record(&answer).await;
    assert_eq!(log_standing(&proxy).await["dropped"], dropped);
    assert_eq!(proxy.records().len() as u64, written + 1);
    assert!(log_files(&proxy.folder()).iter().all(|text| text.ends_with('\n')));
}

/// Streams and messages without end; those that the kill cuts off are nobody's matter.
fn load(proxy: &Proxy) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for worker in 0..8 {
        let address = proxy.address();
        clients.spawn(async move {
            for n in 0.. {
                // It panics when the proxy dies, which ends this task alone.
                Client(address).send(&Request::turn((n + worker) % 2 == 0)).await;
            }
        });
    }
    clients
}

#[tokio::test]
async fn a_kill_in_the_middle_of_the_work_spoils_no_log() {
    let alpha = Upstream::new("alpha").forgetting().start().await.unwrap();
    let config = Config::in_order([&alpha]).admin().set("logging.log_response_body", "full");
    let (mut folder, mut chance, mut kept) = (config.folder(), Chance::new(5, 0), Vec::new());
    for _ in 0..4 {
        let proxy = Proxy::start(folder, &[]).await;
        let clients = load(&proxy);
        let before = kept.len();
        eventually("there is something in the log", || proxy.records().len() > before + 20).await;
        tokio::time::sleep(ms(chance.below(60))).await;
        folder = proxy.kill().await;
        drop(clients);
        let texts = log_files(folder.path()).concat();
        let whole = texts.rfind('\n').map_or("", |end| &texts[..end]);
        let lines: Vec<Value> = whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let ids: Vec<String> = lines.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect();
        assert!(ids.starts_with(&kept), "what was written once stays");
        kept = ids;
    }
    // Half a record, and an index of which half is missing.
    let log = std::fs::read_dir(folder.path().join("logs")).unwrap().map(|file| file.unwrap().path());
    for file in log {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("jsonl") => {
                let mut text = std::fs::read_to_string(&file).unwrap();
                text.push_str("{\"v\":1,\"id\":\"half");
                std::fs::write(&file, text).unwrap();
            }
            _ => std::fs::write(&file, "this is no index").unwrap(),
        }
    }
    let proxy = Proxy::start(folder, &[]).await;
    let answer = proxy.send(&Request::message()).await;
    proxy.record(&answer).await;
    assert_eq!(proxy.records().len(), kept.len() + 1, "each line parses, none is lost");
    let found = proxy.admin().await.json("/api/logs?limit=1000&q=model~claude").await;
    assert_eq!(found["logs"].as_array().unwrap().len(), (kept.len() + 1).min(1000));
    assert_eq!(found["logs"][0]["id"], answer.request_id());
}

#[tokio::test]
async fn a_storm_of_reloads_disturbs_no_request() {
    let (alpha, beta) = (healthy("alpha").await, healthy("beta").await);
    let configs = [Config::in_order([&alpha]), Config::in_order([&beta])];
    let proxy = configs[0].start().await;
    let mut clients = JoinSet::new();
    let (storm, mut calm) = tokio::sync::watch::channel(true);
    for worker in 0..6 {
        let (client, storm) = (proxy.client(), storm.subscribe());
        clients.spawn(async move {
            let mut asked = 0;
            while *storm.borrow() || asked == 0 {
                let stream = (asked + worker) % 2 == 0;
                let answer = client.send(&Request::turn(stream)).await;
                assert_right(&answer, stream, answer.upstream());
                asked += 1;
            }
            asked
        });
    }
    for n in 0..50 {
        match n % 5 {
            3 => proxy.write_config("endpoints: [\n"),
            4 => proxy.write_config(""),
            _ => proxy.write_config(&configs[n % 2].yaml()),
        }
        if n % 2 == 0 {
            proxy.signal("HUP").await;
        }
        tokio::time::sleep(ms(20)).await;
    }
    proxy.write_config(&configs[1].clone().set("timeouts.first_byte", "59s").yaml());
    storm.send(false).unwrap();
    let _ = calm.changed().await;
    let asked: usize = clients.join_all().await.into_iter().sum();
    let (mut last, before) = (String::new(), asked);
    for _ in 0..300 {
        last = proxy.send(&Request::message()).await.upstream().to_owned();
        if last == "beta" {
            break;
        }
        tokio::time::sleep(ms(10)).await;
    }
    assert_eq!(last, "beta", "the last word counts");
    assert!(before >= 6 && proxy.records().iter().all(|record| record["ending"] == "complete"));
}

/// An upstream whose streams stop in the middle until the gate lets each of them go on.
async fn gated(name: &str) -> (Upstream, Gate) {
    let (gate, events) = (Gate::default(), bodies::events(&["Hello", " there"]));
    let reply = Reply::stream(events.clone()).cut_after(4, Part::Gate(gate.clone()));
    let reply = reply.part(Part::Bytes(events[4..].concat().into()));
    (Upstream::new(name).always(reply).forgetting().start().await.unwrap(), gate)
}

/// So many streams at once, each half-way down.
async fn streams(proxy: &Proxy, count: usize) -> Vec<Incoming> {
    let mut opening = JoinSet::new();
    let mut open = Vec::new();
    for n in 0..count {
        let client = proxy.client();
        opening.spawn(async move {
            let mut answer = client.open(&Request::stream()).await;
            assert_eq!(answer.event().await, Some(bodies::message_start()));
            answer
        });
        // No more at once than the system lets wait at the door.
        if n % 100 == 99 {
            while let Some(answer) = opening.join_next().await {
                open.push(answer.unwrap());
            }
        }
    }
    open.extend(opening.join_all().await);
    open
}

#[tokio::test]
async fn a_signal_under_load_lets_everything_finish() {
    let (alpha, gate) = gated("alpha").await;
    let mut proxy = Config::in_order([&alpha]).start().await;
    let open = streams(&proxy, 60).await;
    proxy.signal("TERM").await;
    proxy.says("stopping").await;
    (0..60).for_each(|_| gate.open());
    for answer in open {
        assert_right(&answer.finish().await, true, "alpha");
    }
    assert_eq!(proxy.exit().await.code(), Some(0));
    let records = proxy.records();
    assert_eq!(records.len(), 60);
    assert!(records.iter().all(|record| record["ending"] == "complete"));
}

async fn many_streams(count: usize) {
    let mut ends = Vec::new();
    for name in ["alpha", "beta"] {
        ends.push(gated(name).await);
    }
    let config = Config::of(ends.iter().map(|(upstream, _)| Endpoint::of(upstream)));
    let proxy = config.set("timeouts.stream_idle", "10m").start().await;
    let answer = proxy.send(&Request::get("/healthz")).await;
    assert_eq!(answer.status(), 200);
    let (pid, before) = (proxy.pid(), memory(proxy.pid(), "VmRSS"));
    let open = streams(&proxy, count).await;
    assert!(descriptors(pid) > 2 * count);
    let each = memory(pid, "VmRSS").saturating_sub(before) / count as u64;
    eprintln!("{count} streams at once: {each} bytes each");
    // Unoptimised futures are several times as large.
    let most = if cfg!(debug_assertions) { 128 << 10 } else { 29 << 10 };
    assert!(each < most, "{each} bytes for each of {count} streams");
    for (_, gate) in &ends {
        (0..count).for_each(|_| gate.open());
    }
    for answer in open {
        let answer = answer.finish().await;
        let by = answer.upstream().to_owned();
        assert_right(&answer, true, &by);
        assert_eq!(answer.end, End::Clean);
    }
    eventually("all records", || proxy.records().len() == count).await;
}

#[tokio::test]
async fn hundreds_of_streams_at_once_each_get_their_end() {
    many_streams(300).await;
}

/// Needs 10,100 descriptors: `ulimit -n 20000; cargo test --release --test tests -- --ignored --exact
/// trouble::five_thousand_streams_at_once_each_get_their_end --nocapture`
#[tokio::test]
#[ignore = "needs more descriptors than most shells allow"]
async fn five_thousand_streams_at_once_each_get_their_end() {
    many_streams(5000).await;
}

#[tokio::test]
async fn what_a_busy_time_took_goes_back_to_the_system() {
    const BODY: usize = 8 << 20;
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).start().await;
    let large = Request::messages(&json!({ "messages": [{ "role": "user", "content": "x".repeat(BODY) }] }));
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
    let before = memory(proxy.pid(), "VmRSS");
    let mut busy = JoinSet::new();
    for _ in 0..8 {
        let (client, request) = (proxy.client(), large.clone());
        busy.spawn(async move { assert_right(&client.send(&request).await, false, "alpha") });
    }
    busy.join_all().await;
    assert!(memory(proxy.pid(), "VmHWM") > before + 4 * BODY as u64, "they were there at once");
    eventually("it holds what it held before", || memory(proxy.pid(), "VmRSS") < before + 2 * BODY as u64).await;
}
