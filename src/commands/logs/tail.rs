//! `logs tail`: the newest records, and with `-f` those that come.

use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::lines::{Form, Lines};
use super::output::{Output, columns};
use super::{Log, ask};
use crate::cli::LogsTailArgs;
use crate::commands::{CommandError, Exit, note};
use crate::logs::follow::Follow;
use crate::logs::store::Query;
use crate::wire::filter::Filter;
use crate::wire::record::RequestRecord;

/// How often it looks for more.
const EVERY: Duration = Duration::from_millis(200);

pub(super) fn run(log: &Log, args: &LogsTailArgs) -> Result<Exit, CommandError> {
    let filter = ask::filter(&args.filter)?;
    let form = Form::of(args.json, args.plain, columns());
    let unreadable = |error: io::Error| log.unreadable(&error);
    // Where following begins is fixed first, so that a record that comes meanwhile is shown once.
    let follow = args.follow.then(|| Follow::from_end(&log.directory())).transpose().map_err(unreadable)?;
    let start = follow.as_ref().map(Follow::start);
    let newest = match start {
        // Nothing was there: all that is there by now is new.
        Some(None) => Vec::new(),
        start => newest(log, &filter, start.flatten().as_deref(), args.lines, form).map_err(unreadable)?,
    };
    let mut lines = Lines::new(form);
    let mut out = Output::direct(form);
    for record in newest.iter().rev() {
        out.write(&lines.text(record))?;
    }
    match follow {
        Some(follow) => go_on(log, follow, &filter, &mut lines, &mut out),
        None => {
            if newest.is_empty() && args.lines > 0 {
                note(&log.nothing(if filter.is_empty() { "no request is logged" } else { "nothing fits" }));
            }
            Ok(Exit::Fine)
        }
    }
}

/// The last ones that fit, newest first.
fn newest(
    log: &Log,
    filter: &Filter,
    before: Option<&str>,
    limit: usize,
    form: Form,
) -> io::Result<Vec<RequestRecord>> {
    let query = Query { filter, before, limit, detail: form.detail() };
    let mut newest = Vec::new();
    log.store.search(&query, &AtomicBool::new(false), &mut |record| {
        newest.push(record);
        ControlFlow::Continue(())
    })?;
    Ok(newest)
}

/// Until nobody reads any more.
fn go_on(
    log: &Log,
    mut follow: Follow,
    filter: &Filter,
    lines: &mut Lines,
    out: &mut Output,
) -> Result<Exit, CommandError> {
    loop {
        let mut wrote = Ok(());
        let followed = follow.poll(&mut |line| {
            // Half a line that a killed writer left is no record.
            let record = filter.may_match_line(line).then(|| serde_json::from_slice::<RequestRecord>(line).ok());
            match record.flatten().filter(|record| filter.matches(record)) {
                Some(record) if wrote.is_ok() => wrote = out.write(&lines.text(&record)),
                _ => {}
            }
            Ok(())
        });
        wrote?;
        followed.map_err(|error| log.unreadable(&error))?;
        if rest_while_read() {
            return Ok(Exit::Fine);
        }
    }
}

/// Waits a little. True when whoever read stdout has closed it: nothing may come that would tell by failing.
#[cfg(unix)]
fn rest_while_read() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let out = io::stdout();
    let mut watched = [PollFd::new(&out, PollFlags::empty())];
    let rest = Timespec { tv_sec: 0, tv_nsec: i64::from(EVERY.subsec_nanos()) };
    match poll(&mut watched, Some(&rest)) {
        Ok(0) => false,
        Ok(_) => true,
        Err(_) => {
            std::thread::sleep(EVERY);
            false
        }
    }
}

#[cfg(not(unix))]
fn rest_while_read() -> bool {
    std::thread::sleep(EVERY);
    false
}
