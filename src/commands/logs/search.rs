//! `logs search`: every record that fits, newest first, shown as it is found.

use std::ops::ControlFlow;

use super::lines::{Form, Lines};
use super::output::{Output, columns};
use super::{Log, ask};
use crate::cli::LogsSearchArgs;
use crate::commands::{CommandError, Exit, note};
use crate::logs::store::Query;
use crate::wire::record::RequestRecord;

pub(super) fn run(log: &Log, args: &LogsSearchArgs) -> Result<Exit, CommandError> {
    let filter = ask::between(args.since.as_deref(), args.until.as_deref())?.and(ask::filter(&args.filter)?);
    let form = Form::of(args.json, args.plain, columns());
    let mut lines = Lines::new(form);
    let mut out = Output::paged(form, args.no_pager);
    let query = Query { filter: &filter, before: None, limit: args.limit.unwrap_or(usize::MAX), detail: form.detail() };
    let mut found: usize = 0;
    let mut wrote = Ok(());
    let left = out.left();
    let searched = log.store.search(&query, &left, &mut |record: RequestRecord| {
        found += 1;
        wrote = out.write(&lines.text(&record));
        if wrote.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    out.finish();
    wrote?;
    searched.map_err(|error| log.unreadable(&error))?;
    if found == 0 {
        note(&log.nothing("nothing fits"));
        return Ok(Exit::Failed);
    }
    Ok(Exit::Fine)
}
