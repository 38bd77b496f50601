//! The one page of documentation of the filter language: `claude-proxy help filter`, the README and the web page.

use std::fmt::Write as _;

use super::fields::FIELDS;

const HEAD: &str = "\
The filter language of `logs tail`, `logs search`, the dashboard and the page

  status>=400 endpoint:kimi model~opus ttft>5s \"rate limit\"

Terms side by side must all fit. `or` between terms: one of them is enough. `-`
or `not` before a term: it must not fit. Parentheses group:
`(status:529 or ending:cut) -endpoint:kimi`. A plain word, or a \"text in
quotes\", is looked for in the whole request: ids, headers, errors, and bodies
as far as they are logged. Case never matters.

Operators
  :  =      is           ending:cut
  !=        is not       model!=claude-sonnet-5
  ~         contains     path~count_tokens
  !~        lacks        error!~\"no content\"
  > >= < <=              duration>30s

Fields
";

const TAIL: &str = "
Values
  Durations have a unit: 500ms, 5s, 2m, 1h30m. Counts may have k or M: 10k,
  1.5M. Sizes may have a unit: 10KiB, 1MB. A status may be a class: 4xx.
  A value with spaces or parentheses stands in quotes; inside them write \\\"
  for a quote, \\\\ for a backslash, \\n for a line break. A text with one of
  : = ~ < > in it needs quotes as well.
  Times are local: 2h (that long ago), 14:00 (the last one that has been),
  today, yesterday, monday, 2026-03-09, 2026-03-09T14:00, or RFC 3339.
  `time:yesterday` is that day; `since:` and `until:` are `time>=` and `time<`.

Good to know
  In a shell, put the filter into single quotes. One that begins with `-` goes
  behind `--`, or begins with `not` instead.
  A field that a request does not have fits no term, so `ttft<5s` leaves out
  what never answered; `-ttft>=5s` does not. `!=` and `!~` are the opposites of
  `=` and `~`, so they fit it.
  Bodies are searched as they were logged: `logging.log_request_body: truncated`
  keeps their first 1024 bytes. A stream is logged as its events, so a phrase of
  the answer may be spread over several of them; look for one word of it.

Examples
  claude-proxy logs search 'status>=500 -tried:primary' --since yesterday
  claude-proxy logs search 'attempts>1 fault~timeout time>2h'
  claude-proxy logs tail -f 'ending:cut or ending:failed'
  claude-proxy logs search 'session:6e1f2a in>100k'
";

/// Columns of the page.
const WIDEST: usize = 80;

/// Plain text that fits a terminal of 80 columns.
pub fn text() -> String {
    let mut page = HEAD.to_owned();
    for info in FIELDS {
        let names = std::iter::once(&info.name).chain(info.aliases).copied().collect::<Vec<_>>().join(", ");
        let (about, example) = (info.about, info.example);
        // Writing to a String cannot fail.
        let _ = if 22 + about.chars().count() + example.chars().count() <= WIDEST {
            writeln!(page, "  {names:18} {about}: {example}")
        } else {
            writeln!(page, "  {names:18} {about}:\n{:21}{example}", "")
        };
    }
    page.push_str(TAIL);
    page
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::wire::filter::Filter;

    fn is_filter(text: &str) {
        Filter::parse(text, SystemTime::UNIX_EPOCH).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    }

    #[test]
    fn every_example_is_a_filter() {
        for example in FIELDS.iter().flat_map(|info| info.example.split("  ")) {
            is_filter(example);
        }
        let page = text();
        let quoted = |line: &str| line.split('\'').nth(1).map(ToOwned::to_owned);
        let examples: Vec<_> =
            page.lines().filter(|line| line.contains("claude-proxy logs")).filter_map(quoted).collect();
        assert_eq!(examples.len(), 4);
        for example in &examples {
            is_filter(example);
        }
        is_filter("(status:529 or ending:cut) -endpoint:kimi");
        is_filter("status>=400 endpoint:kimi model~opus ttft>5s \"rate limit\"");
    }

    #[test]
    fn the_page_fits_a_terminal_and_names_every_field() {
        let page = text();
        assert!(page.lines().all(|line| line.chars().count() <= WIDEST), "{page}");
        assert!(FIELDS.iter().all(|info| page.contains(&format!("  {}", info.name))));
    }
}
