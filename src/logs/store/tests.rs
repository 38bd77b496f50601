use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use super::*;
use crate::wire::record::{AttemptRecord, Ending, Usage};

static NEVER: AtomicBool = AtomicBool::new(false);

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, part: &str) -> PathBuf {
        self.path().join(format!("requests-{part}.jsonl"))
    }

    /// Adds these records to the file of a day, or of a part of it.
    fn add(&self, part: &str, records: impl IntoIterator<Item = RequestRecord>) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.file(part)).unwrap();
        for record in records {
            writeln!(file, "{}", serde_json::to_string(&record).unwrap()).unwrap();
        }
    }

    fn add_text(&self, part: &str, text: &str) {
        fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.file(part))
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    /// The index's own files, without a journal.
    fn indexes(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| path.extension().is_some_and(|end| end == "sqlite")).collect()
    }

    fn index(&self) -> PathBuf {
        let indexes = self.indexes();
        assert_eq!(indexes.len(), 1, "{indexes:?}");
        indexes[0].clone()
    }

    fn store(&self) -> LogStore {
        LogStore::open(self.path())
    }
}

fn record(id: &str, day: u32) -> RequestRecord {
    RequestRecord {
        v: 1,
        id: id.to_owned(),
        time: format!("2026-03-{day:02}T12:00:00.000+00:00"),
        method: "POST".into(),
        path: "/v1/messages".into(),
        model: Some("claude-opus-4-8".into()),
        status: 200,
        ending: Ending::Complete,
        endpoint: Some("primary".into()),
        duration_ms: 1000,
        first_byte_ms: Some(100),
        attempts: vec![AttemptRecord { endpoint: "primary".into(), ..AttemptRecord::default() }],
        usage: Some(Usage { input: Some(10), output: Some(5), ..Usage::default() }),
        ..RequestRecord::default()
    }
}

fn failed(id: &str, day: u32) -> RequestRecord {
    let attempt = |endpoint: &str, fault: &str| AttemptRecord {
        endpoint: endpoint.into(),
        fault: Some(fault.into()),
        ..AttemptRecord::default()
    };
    RequestRecord {
        status: 529,
        ending: Ending::Failed,
        endpoint: Some("kimi".into()),
        attempts: vec![attempt("primary", "connect"), attempt("kimi", "limited")],
        error: Some("no luck".into()),
        ..record(id, day)
    }
}

fn with_body(id: &str, body: &str) -> RequestRecord {
    let mut record = record(id, 9);
    record.response.body = Some(body.into());
    record.response.size = body.len() as u64;
    record
}

fn filter(text: &str) -> Filter {
    Filter::parse(text, "2026-03-10T00:00:00Z".parse::<jiff::Timestamp>().unwrap().into()).unwrap()
}

fn found(store: &LogStore, text: &str) -> Vec<String> {
    let (filter, mut ids) = (filter(text), Vec::new());
    let query = Query { filter: &filter, before: None, limit: usize::MAX, detail: Detail::Summary };
    let mut hit = |record: RequestRecord| {
        ids.push(record.id);
        ControlFlow::Continue(())
    };
    store.search(&query, &NEVER, &mut hit).unwrap();
    ids
}

fn page(store: &LogStore, text: &str, before: Option<&str>, limit: usize) -> (Vec<String>, Option<String>) {
    let query = Query { filter: &filter(text), before, limit, detail: Detail::Summary };
    let page = store.page(&query, &NEVER).unwrap();
    (page.logs.into_iter().map(|record| record.id).collect(), page.next)
}

/// Three days, two parts of the second, a torn line in the middle and one at the end.
fn filled() -> Folder {
    let folder = Folder::new();
    folder.add("2026-03-07", (0..5).map(|n| record(&format!("a{n}"), 7)));
    folder.add("2026-03-08.1", (0..5).map(|n| failed(&format!("b{n}"), 8)));
    folder.add_text("2026-03-08.1", "{\"id\":\"torn\",\"time\":\"2026\n");
    folder.add("2026-03-08", (0..5).map(|n| record(&format!("c{n}"), 8)));
    folder.add("2026-03-09", (0..5).map(|n| with_body(&format!("d{n}"), &format!("say \"Hi {n}\"\n修一下 parser"))));
    folder.add_text("2026-03-09", "{\"id\":\"half");
    folder
}

#[test]
fn everything_is_found_newest_first_whether_indexed_or_not() {
    let folder = filled();
    let store = folder.store();
    for round in ["fresh", "indexed"] {
        let all = found(&store, "");
        assert_eq!(all.len(), 20, "{round}");
        assert_eq!((all[0].as_str(), all[5].as_str(), all[10].as_str(), all[19].as_str()), ("d4", "c4", "b4", "a0"));
        for (text, expected) in [
            ("status:529", vec!["b4", "b3", "b2", "b1", "b0"]),
            ("status:529 id~b3", vec!["b3"]),
            ("endpoint:kimi -id:b1 -id:b2", vec!["b4", "b3", "b0"]),
            ("tried:primary fault:limited id:B0", vec!["b0"]),
            ("error~LUCK id:b4", vec!["b4"]),
            ("time:2026-03-07", vec!["a4", "a3", "a2", "a1", "a0"]),
            ("since:2026-03-09 until:2026-03-10 id:d1", vec!["d1"]),
            ("\"hi 3\"", vec!["d3"]),
            ("\"say \\\"hi 2\\\"\\n修\"", vec!["d2"]),
            ("PARSER -\"hi 1\" -\"Hi 2\" -\"hi 3\" -\"hi 4\"", vec!["d0"]),
            ("model:opus-4-8 status:200 \"hi 4\"", vec!["d4"]),
            ("absent", vec![]),
            ("attempts>1 duration<1s", vec![]),
        ] {
            assert_eq!(found(&store, text), expected, "{round}: {text}");
        }
    }
}

#[test]
fn pages_follow_one_another_while_records_arrive_and_files_are_put_aside() {
    let folder = filled();
    let store = folder.store();
    let mut seen = Vec::new();
    let mut next = None;
    for round in 0.. {
        let (ids, cursor) = page(&store, "", next.as_deref(), 3);
        seen.extend(ids);
        match cursor {
            None => break,
            cursor => next = cursor,
        }
        if round == 0 {
            folder.add_text("2026-03-09", "-written\"}\n");
            folder.add("2026-03-09", [record("new", 9)]);
        }
        if round == 1 {
            fs::rename(folder.file("2026-03-09"), folder.file("2026-03-09.1")).unwrap();
            folder.add("2026-03-09", [record("newer", 9)]);
        }
    }
    let expected: Vec<String> =
        ["d", "c", "b", "a"].iter().flat_map(|day| (0..5).rev().map(move |n| format!("{day}{n}"))).collect();
    assert_eq!(seen, expected);
    assert_eq!(page(&store, "", None, 3).0, ["newer", "new", "half-written"]);
}

#[test]
fn a_page_knows_whether_there_is_more() {
    let folder = filled();
    let store = folder.store();
    let (ids, next) = page(&store, "status:529", None, 5);
    assert_eq!((ids.len(), page(&store, "status:529", next.as_deref(), 5)), (5, (vec![], None)));
    assert_eq!(page(&store, "time:2026-03-07", None, 5).1, None, "the oldest record was shown");
    assert_eq!(page(&store, "", None, 100).1, None);
    let gone = page(&store, "", None, 12).1;
    for part in ["2026-03-07", "2026-03-08.1"] {
        fs::remove_file(folder.file(part)).unwrap();
    }
    assert_eq!(page(&store, "", gone.as_deref(), 9), (vec![], None), "retention took what was left");
    let query = Query { filter: &filter(""), before: Some("42"), limit: 1, detail: Detail::Summary };
    assert_eq!(store.page(&query, &NEVER).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_search_that_is_stopped_tells_where_to_go_on() {
    let folder = filled();
    let store = folder.store();
    let query = Query { filter: &filter(""), before: None, limit: 100, detail: Detail::Summary };
    let stopped = store.page(&query, &AtomicBool::new(true)).unwrap();
    let (ids, _) = page(&store, "", stopped.next.as_deref(), 100);
    assert_eq!(stopped.logs.len() + ids.len(), 20);
}

#[test]
fn one_record_is_there_at_once_with_all_of_its_body() {
    let folder = filled();
    let big = "x".repeat(5 << 20);
    folder.add("2026-03-06", [with_body("big", &big), with_body("we\"ird\\", "y")]);
    let store = folder.store();
    for _ in 0..2 {
        assert_eq!(store.get("big").unwrap().unwrap().response.body.unwrap().len(), big.len());
        assert_eq!(store.get("we\"ird\\").unwrap().unwrap().response.body.as_deref(), Some("y"));
        assert!(store.get("bi").unwrap().is_none() && store.get("half").unwrap().is_none());
    }
    let ids = |prefix: &str, limit| -> Vec<String> {
        store.with_prefix(prefix, limit).unwrap().into_iter().map(|record| record.id).collect()
    };
    assert_eq!(
        (ids("b", 3), ids("d4", 9), ids("z", 9)),
        (vec!["b4".into(), "b3".into(), "b2".into()], vec!["d4".into()], vec![])
    );
    let short = Query { filter: &filter("id:big"), before: None, limit: 1, detail: Detail::Short };
    let exchanged = &store.page(&short, &NEVER).unwrap().logs[0].response;
    assert_eq!((exchanged.body.as_ref().unwrap().len(), exchanged.truncated, exchanged.size), (1024, true, 5 << 20));
}

#[test]
fn an_index_that_is_lost_broken_or_foreign_costs_nothing() {
    let folder = filled();
    let kept = folder.store();
    let lose = || fs::remove_file(folder.index()).unwrap();
    let spoil = || fs::write(folder.index(), "this is no database at all, but a text".repeat(300)).unwrap();
    let make_foreign = || {
        let index = folder.index();
        fs::remove_file(&index).unwrap();
        let foreign = rusqlite::Connection::open(&index).unwrap();
        foreign.execute_batch("CREATE TABLE other (x); PRAGMA user_version = 77").unwrap();
    };
    for trouble in [&(|| ()) as &dyn Fn(), &lose, &spoil, &make_foreign, &lose] {
        trouble();
        for store in [&kept, &folder.store()] {
            assert_eq!(found(store, "status:529").len(), 5);
            assert!(store.get("c3").unwrap().is_some());
        }
        assert!(folder.index().exists());
    }
    assert_eq!(found(&folder.store(), "endpoint:kimi").len(), 5);
}

#[test]
#[cfg(unix)]
fn the_index_is_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = filled();
    let store = folder.store();
    found(&store, "status:200");
    for entry in fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with("index") {
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
    }
}

#[test]
fn somebody_who_holds_the_index_is_no_hindrance() {
    let folder = filled();
    found(&folder.store(), "status:200");
    let other = rusqlite::Connection::open(folder.index()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    folder.add("2026-03-10", [failed("e1", 10)]);
    assert_eq!(found(&folder.store(), "status:529").len(), 6);
    assert!(folder.store().get("e1").unwrap().is_some());
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().into();
    let stats = folder.store().stats(at("2026-03-01T00:00:00Z"), at("2026-04-01T00:00:00Z"), Duration::from_hours(24));
    assert_eq!(stats.unwrap().total.requests, 21);
}

#[test]
fn a_file_that_was_changed_is_read_anew() {
    let folder = filled();
    let store = folder.store();
    assert_eq!(found(&store, "status:529").len(), 5);
    let text = fs::read_to_string(folder.file("2026-03-08.1")).unwrap();
    fs::write(folder.file("2026-03-08.1"), text.lines().next().unwrap().to_owned() + "\n").unwrap();
    assert_eq!(found(&store, "status:529"), ["b0"], "it was cut");
    folder.add("2026-03-08.1", (5..9).map(|n| failed(&format!("b{n}"), 8)));
    assert_eq!(found(&store, "status:529"), ["b8", "b7", "b6", "b5", "b0"], "and grew again");
    fs::write(folder.file("2026-03-08.1"), "").unwrap();
    folder.add("2026-03-08.1", [failed("other", 8)]);
    assert_eq!(found(&store, "status:529"), ["other"]);
    fs::remove_file(folder.file("2026-03-08.1")).unwrap();
    assert_eq!(found(&store, "status:529").len(), 0);
    assert!(store.get("other").unwrap().is_none());
}

#[test]
fn a_folder_that_is_not_there_is_empty_and_stays_away() {
    let folder = Folder::new();
    let store = LogStore::open(&folder.path().join("none"));
    assert_eq!((found(&store, ""), page(&store, "", None, 5)), (vec![], (vec![], None)));
    assert!(store.get("x").unwrap().is_none() && !store.directory().exists());
    assert_eq!(store.stats(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH, Duration::ZERO).unwrap().total.requests, 0);
}

#[test]
fn sums_are_the_same_from_the_index_and_from_the_files() {
    let folder = filled();
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().into();
    let stats = |store: &LogStore| {
        store.stats(at("2026-03-08T00:00:00Z"), at("2026-03-10T00:00:00Z"), Duration::from_hours(24)).unwrap()
    };
    let from_index = stats(&folder.store());
    let index = folder.index();
    fs::remove_file(&index).unwrap();
    fs::create_dir(&index).unwrap();
    let from_files = stats(&folder.store());
    assert_eq!(from_index, from_files);
    let view = from_index;
    let counts: Vec<_> = view.steps.iter().map(|step| (step.requests, step.complete, step.failed)).collect();
    assert_eq!(counts, [(10, 5, 5), (5, 5, 0)]);
    assert_eq!((view.total.tokens.input, view.total.tokens.output), (150, 75));
    assert_eq!(view.total.endpoints["primary"], crate::wire::stats::Attempts { ok: 10, failed: 5 });
    assert_eq!(view.endpoints, ["primary", "kimi"]);
    assert_eq!(view.total.first_byte.p95_ms, Some(100));
}

#[test]
fn much_that_is_new_is_indexed_in_the_background_while_answers_come_at_once() {
    let folder = Folder::new();
    let body = "z".repeat(100_000);
    folder.add("2026-03-09", (0..60).map(|n| with_body(&format!("d{n}"), &body)));
    let store = folder.store();
    assert_eq!(page(&store, "", None, 2).0, ["d59", "d58"]);
    assert!(folder.indexes().is_empty(), "the newest page needs no index");
    assert_eq!(page(&store, "status:200", None, 2).0, ["d59", "d58"]);
    let limit = crate::clock::now() + Duration::from_secs(10);
    let covered = || {
        let connection = rusqlite::Connection::open(folder.index()).unwrap();
        connection.query_row("SELECT count(*) FROM records", [], |row| row.get::<_, i64>(0)).unwrap_or(0)
    };
    while covered() < 60 {
        assert!(crate::clock::now() < limit, "it was never indexed");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(found(&store, "id:d7"), ["d7"]);
}

#[test]
fn two_processes_at_once_get_right_answers_while_the_index_is_lost_again_and_again() {
    let folder = filled();
    let lost = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            // Each store has connections of its own, as another process would.
            scope.spawn(|| {
                for round in 0..30 {
                    let store = folder.store();
                    assert_eq!(found(&store, "status:529").len(), 5, "{round}");
                    assert_eq!(found(&store, "endpoint:primary \"hi 3\""), ["d3"], "{round}");
                    assert!(store.get("c3").unwrap().is_some());
                }
                lost.store(true, Ordering::Relaxed);
            });
        }
        scope.spawn(|| {
            while !lost.load(Ordering::Relaxed) {
                folder.indexes().iter().for_each(|index| drop(fs::remove_file(index)));
                std::thread::sleep(Duration::from_millis(3));
                folder.indexes().iter().for_each(|index| drop(fs::write(index, "no database".repeat(500))));
                std::thread::sleep(Duration::from_millis(3));
            }
        });
    });
}

#[test]
fn words_that_were_rolled_back_are_not_remembered() {
    let folder = filled();
    let store = folder.store();
    found(&store, "status:200");
    let other = rusqlite::Connection::open(folder.index()).unwrap();
    // Taking in the next records fails in the middle, when new words have got their numbers.
    other.execute_batch("CREATE TRIGGER no BEFORE INSERT ON records BEGIN SELECT RAISE(ABORT, 'no'); END").unwrap();
    folder.add("2026-03-10", [RequestRecord { endpoint: Some("late".into()), ..record("e1", 10) }]);
    assert_eq!(found(&store, "endpoint:late"), ["e1"]);
    other.execute_batch("DROP TRIGGER IF EXISTS no; INSERT INTO words (word) VALUES ('other'), ('another')").ok();
    for store in [&store, &folder.store()] {
        assert_eq!(found(store, "endpoint:late"), ["e1"]);
        assert_eq!(found(store, "endpoint:other"), [""; 0]);
    }
}

#[test]
#[cfg(unix)]
fn a_folder_that_cannot_be_written_to_is_read_all_the_same() {
    use std::os::unix::fs::PermissionsExt;
    let folder = filled();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let store = folder.store();
    assert_eq!((found(&store, "").len(), found(&store, "status:529").len()), (20, 5));
    assert!(store.get("c3").unwrap().is_some());
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
}
