//! Heads of answers: read strictly, and what they say about where the body ends.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use httparse::{Error, ParserConfig, Status};
use memchr::memchr;

use super::framing::Framing;
use super::{MAX_HEAD, MAX_HEADERS};

/// All that may come before an answer's head is complete: that head and any number of interim answers. Those without
/// end would otherwise keep the one thread busy, at megabytes a turn, until the time for a first byte is over.
const MAX_UNANSWERED: usize = 1024 * 1024;
/// More than nearly every head has.
const FEW_HEADERS: usize = 48;

/// An answer's head, and how its body is framed.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) response: Response<()>,
    pub(super) framing: Framing,
    /// Whether the connection may carry another request after this answer.
    pub(super) keeps: bool,
}

/// Collects the bytes of a head until it is complete; interim answers before it are dropped.
#[derive(Debug)]
pub(super) struct Heads {
    method: Method,
    partial: Vec<u8>,
    heard: usize,
}

impl Heads {
    /// For the answer to a request of this method.
    pub(super) fn new(method: Method) -> Self {
        Self { method, partial: Vec::new(), heard: 0 }
    }

    /// Whether any byte came: half an answer is no silence.
    pub(super) fn anything(&self) -> bool {
        self.heard > 0
    }

    /// The next bytes. Once the head is complete: it, and how many of these bytes belong to heads; the rest is body.
    ///
    /// # Errors
    /// A sentence: this is no answer of HTTP/1.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Option<(Head, usize)>, String> {
        self.heard += bytes.len();
        let before = self.partial.len();
        if before > 0 {
            self.partial.extend_from_slice(bytes);
            // Nothing but the end of a line can complete a head.
            if memchr(b'\n', bytes).is_none() {
                return self.check_size(self.partial.len()).map(|()| None);
            }
        }
        let all = if before > 0 { &self.partial[..] } else { bytes };
        let mut at = 0;
        while let Some((head, length)) = parse(&all[at..], &self.method)? {
            at += length;
            if !is_interim(head.response.status()) {
                return Ok(Some((head, at - before)));
            }
        }
        self.check_size(all.len() - at)?;
        self.partial = all[at..].to_vec();
        Ok(None)
    }

    fn check_size(&self, unfinished: usize) -> Result<(), String> {
        if unfinished > MAX_HEAD {
            return Err(too_large());
        }
        if self.heard > MAX_UNANSWERED {
            return Err("more than 1 MiB came before the answer's head".to_owned());
        }
        Ok(())
    }
}

/// 101 is no interim answer: it ends HTTP on this connection.
fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

fn too_large() -> String {
    "its head is larger than 64 KiB".to_owned()
}

fn no_http(error: impl std::fmt::Display) -> String {
    format!("its answer is no HTTP: {error}")
}

fn parse(bytes: &[u8], method: &Method) -> Result<Option<(Head, usize)>, String> {
    let mut few = [const { MaybeUninit::uninit() }; FEW_HEADERS];
    match parse_into(bytes, method, &mut few) {
        Err(Error::TooManyHeaders) => {
            let mut many = vec![MaybeUninit::uninit(); MAX_HEADERS];
            parse_into(bytes, method, &mut many).map_err(no_http)?
        }
        parsed => parsed.map_err(no_http)?,
    }
    .transpose()
}

type Parsed = Option<Result<(Head, usize), String>>;

fn parse_into<'a>(
    bytes: &'a [u8],
    method: &Method,
    room: &mut [MaybeUninit<httparse::Header<'a>>],
) -> Result<Parsed, Error> {
    let mut parsed = httparse::Response::new(&mut []);
    match ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, bytes, room)? {
        Status::Complete(length) if length > MAX_HEAD => Ok(Some(Err(too_large()))),
        Status::Complete(length) => Ok(Some(head(&parsed, &bytes[..length], method).map(|head| (head, length)))),
        Status::Partial => Ok(None),
    }
}

fn head(parsed: &httparse::Response<'_, '_>, bytes: &[u8], method: &Method) -> Result<Head, String> {
    let status = StatusCode::from_u16(parsed.code.unwrap_or_default()).map_err(no_http)?;
    let headers = headers(parsed.headers, bytes)?;
    let is_current = parsed.version == Some(1);
    let framing = framing(status, &headers, method, is_current)?;
    let one_framing =
        !(headers.contains_key(header::TRANSFER_ENCODING) && headers.contains_key(header::CONTENT_LENGTH));
    let keeps = is_current
        && one_framing
        && framing != Framing::UntilClose
        && status != StatusCode::SWITCHING_PROTOCOLS
        && !says_close(&headers);
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(Head { response, framing, keeps })
}

/// All values share one copy of the head.
fn headers(parsed: &[httparse::Header<'_>], bytes: &[u8]) -> Result<HeaderMap, String> {
    let shared = Bytes::copy_from_slice(bytes);
    let start = bytes.as_ptr().addr();
    let mut headers = HeaderMap::with_capacity(parsed.len());
    for line in parsed {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(no_http)?;
        let value = line.value.trim_ascii();
        let at = value.as_ptr().addr() - start;
        let value = if value.is_empty() { Bytes::new() } else { shared.slice(at..at + value.len()) };
        headers.append(name, HeaderValue::from_maybe_shared(value).map_err(no_http)?);
    }
    Ok(headers)
}

/// RFC 9112 section 6.3. A coding that is not `chunked` at its end leaves the body without any end but the connection's.
fn framing(status: StatusCode, headers: &HeaderMap, method: &Method, is_current: bool) -> Result<Framing, String> {
    if *method == Method::HEAD || status.is_informational() || matches!(status.as_u16(), 204 | 304) {
        return Ok(Framing::Length(0));
    }
    if let Some(coding) = headers.get_all(header::TRANSFER_ENCODING).iter().next_back() {
        return match last_coding(coding) {
            _ if !is_current => Err(no_http("HTTP/1.0 knows no Transfer-Encoding")),
            coding if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::chunked()),
            // An old word for no coding; the length beside it is all that tells the end.
            coding if coding.eq_ignore_ascii_case(b"identity") => length_or_close(headers),
            _ => Ok(Framing::UntilClose),
        };
    }
    length_or_close(headers)
}

fn length_or_close(headers: &HeaderMap) -> Result<Framing, String> {
    Ok(content_length(headers)?.map_or(Framing::UntilClose, Framing::Length))
}

fn last_coding(value: &HeaderValue) -> &[u8] {
    let value = value.as_bytes();
    value.rsplit(|byte| *byte == b',').next().unwrap_or_default().trim_ascii()
}

/// The one length that all lines and list members name.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, String> {
    let mut length = None;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        for member in value.as_bytes().split(|byte| *byte == b',') {
            let named = number(member.trim_ascii()).ok_or_else(|| no_http("its Content-Length is no number"))?;
            if length.is_some_and(|length| length != named) {
                return Err(no_http("it has two lengths"));
            }
            length = Some(named);
        }
    }
    Ok(length)
}

/// Digits only: what else `parse` would take (a plus sign) others read in other ways.
fn number(digits: &[u8]) -> Option<u64> {
    let is_plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_plain.then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

fn says_close(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONNECTION).iter();
    let mut options = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

#[cfg(test)]
mod tests;
