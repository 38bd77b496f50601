//! How long the log takes to answer when there is much of it:
//!
//! ```text
//! cargo test --release --lib figures -- --ignored --nocapture
//! ```
//! `CLAUDE_PROXY_FIGURES` names a folder to keep the log in (made when it is empty); `CLAUDE_PROXY_FIGURES_MIB` its size.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use super::*;
use crate::clock;
use crate::wire::record::{AttemptRecord, Ending, Exchanged, Usage};

static NEVER: AtomicBool = AtomicBool::new(false);

/// Like the log of a busy week: mostly streams with bodies of some kilobytes, a few large ones, some failures.
fn generate(folder: &Path, mib: u64) {
    let words = ["parser", "the", "function", "returns", "修一下", "a \"quoted\" word", "tests", "line\nbreak"];
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let mut text = |length: usize| {
        let mut text = String::with_capacity(length + 20);
        while text.len() < length {
            text.push_str(words[usize::try_from(next(8)).unwrap()]);
            text.push(' ');
        }
        text
    };
    let mut number = 0u64;
    for day in 1..=7 {
        let path = folder.join(format!("requests-2026-03-{day:02}.jsonl"));
        let mut file = BufWriter::new(fs::File::create(path).unwrap());
        let mut size = 0;
        while size < (mib << 20) / 7 {
            number += 1;
            let length = if number.is_multiple_of(50) { 60_000 } else { 2_000 };
            let mut record = one(number, day);
            record.request.body = Some(text(length));
            record.response.body = Some(format!("event: x\ndata: {}\n\n", serde_json::to_string(&text(3000)).unwrap()));
            if number == 1000 {
                record.response.body.get_or_insert_default().push_str("a needle in the haystack");
            }
            let line = serde_json::to_string(&record).unwrap();
            writeln!(file, "{line}").unwrap();
            size += line.len() as u64 + 1;
        }
    }
    eprintln!("{number} records");
}

fn one(number: u64, day: u32) -> RequestRecord {
    let failed = number.is_multiple_of(97);
    let headers = (0..12).map(|n| (format!("x-header-{n}"), "some value of a usual length".to_owned())).collect();
    RequestRecord {
        v: 1,
        id: format!("req_{number:024}"),
        time: format!("2026-03-{day:02}T{:02}:{:02}:00.000+00:00", number % 24, number % 60),
        method: "POST".into(),
        path: "/v1/messages?beta=true".into(),
        model: Some(
            ["claude-opus-4-8", "claude-sonnet-5", "claude-haiku-4-5"][usize::try_from(number % 3).unwrap()].into(),
        ),
        stream: true,
        session: Some(format!("session-{}", number % 40)),
        status: if failed { 529 } else { 200 },
        ending: if failed { Ending::Failed } else { Ending::Complete },
        endpoint: Some(if number.is_multiple_of(5) { "kimi" } else { "primary" }.into()),
        duration_ms: number % 20_000,
        first_byte_ms: Some(number % 3000),
        attempts: vec![AttemptRecord { endpoint: "primary".into(), ..AttemptRecord::default() }],
        usage: Some(Usage { input: Some(number % 100_000), output: Some(number % 3000), ..Usage::default() }),
        request: Exchanged { headers, size: 2000, ..Exchanged::default() },
        ..RequestRecord::default()
    }
}

fn folder() -> (PathBuf, Option<tempfile::TempDir>) {
    let variable = |name: &str| std::env::var(name).ok();
    let mib = variable("CLAUDE_PROXY_FIGURES_MIB").and_then(|mib| mib.parse().ok()).unwrap_or(1024);
    let (path, kept) = match variable("CLAUDE_PROXY_FIGURES") {
        Some(path) => (PathBuf::from(path), None),
        None => {
            let folder = tempfile::tempdir().unwrap();
            (folder.path().to_owned(), Some(folder))
        }
    };
    fs::create_dir_all(&path).unwrap();
    if sources(&path).unwrap().is_empty() {
        generate(&path, mib);
    }
    (path, kept)
}

/// Records found, the time to the first one and the time to the end.
fn time(store: &LogStore, text: &str, limit: usize) -> (usize, Duration, Duration) {
    let filter = Filter::parse(text, clock::wall()).unwrap();
    let query = Query { filter: &filter, before: None, limit, detail: Detail::Summary };
    let (mut found, mut first) = (0, None);
    let began = clock::now();
    let mut hit = |_: RequestRecord| {
        found += 1;
        first.get_or_insert_with(|| clock::now() - began);
        ControlFlow::Continue(())
    };
    store.search(&query, &NEVER, &mut hit).unwrap();
    (found, first.unwrap_or_default(), clock::now() - began)
}

#[test]
#[ignore = "makes a gigabyte and measures"]
fn figures() {
    let (path, _kept) = folder();
    let bytes: u64 = sources(&path).unwrap().iter().map(|source| source.size).sum();
    eprintln!("{} MiB in {}", bytes >> 20, path.display());
    for entry in fs::read_dir(&path).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with("index-") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let questions = [
        ("", 50),
        ("status>=400", 50),
        ("status>=400", usize::MAX),
        ("endpoint:kimi ttft>2900ms", usize::MAX),
        ("\"needle in the haystack\"", usize::MAX),
        ("\"is nowhere in it\"", usize::MAX),
        ("修一下没有", usize::MAX),
        ("endpoint:kimi status:529 \"needle in\"", usize::MAX),
    ];
    let show = |state: &str, store: &LogStore| {
        for (text, limit) in questions {
            let (found, first, all) = time(store, text, limit);
            eprintln!("{state:10} {text:40} {found:6} found, the first after {first:>9.1?}, all after {all:>9.1?}");
        }
    };
    // Without an index, as on the first question after an update; it is being made meanwhile.
    let store = LogStore::open(&path);
    eprintln!("{:10} the newest page after {:.1?}", "no index", time(&store, "", 50).2);
    show("no index", &store);
    let began = clock::now();
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().into();
    let all = || (at("2026-02-01T00:00:00Z"), at("2026-04-01T00:00:00Z"), Duration::from_hours(24));
    let (from, to, step) = all();
    store.stats(from, to, step).unwrap();
    eprintln!("the rest of the index was made in {:.1?}", clock::now() - began);
    show("indexed", &LogStore::open(&path));
    let began = clock::now();
    store.stats(from, to, step).unwrap();
    eprintln!("sums over all of it in {:.1?}", clock::now() - began);
    let began = clock::now();
    assert!(store.get("req_000000000000000000000500").unwrap().is_some());
    eprintln!("one record by its id in {:.1?}", clock::now() - began);
}
