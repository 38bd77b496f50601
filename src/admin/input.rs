//! What a request says: its body as JSON, its query, a name in its path. What is wrong is told with its place, never
//! with a value: values may be keys.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use http::HeaderMap;
use http::header;
use http::request::Parts;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answer::{Outcome, Refusal};
use crate::domain::endpoint::percent_decoded;

/// A body that must be there.
pub struct Input<T>(pub T);

/// A body that may be there.
pub struct MaybeInput<T>(pub Option<T>);

/// The query.
pub struct Asked<T>(pub T);

/// The `{name}` or `{id}` of the path, percent-decoded.
pub struct Named(pub String);

/// What a change without other content may say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Revision {
    /// The revision of the file that the change was made from; another one now is a conflict (409).
    pub revision: Option<String>,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Input<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Outcome<Self> {
        let body = body(request, state).await?;
        if body.is_empty() {
            return Err(Refusal::bad_request("bad_json", "a JSON body is needed"));
        }
        parse(&body).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for MaybeInput<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Outcome<Self> {
        let body = body(request, state).await?;
        if body.is_empty() { Ok(Self(None)) } else { parse(&body).map(|value| Self(Some(value))) }
    }
}

/// It was read before the route was found: this only hands it over.
async fn body<S: Send + Sync>(request: Request, state: &S) -> Outcome<Bytes> {
    Bytes::from_request(request, state).await.map_err(|_| Refusal::bad_request("bad_body", "the body cannot be read"))
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Outcome<Self> {
        let refuse = |error: &dyn std::error::Error| {
            // The innermost one says what is wrong; those around it say only that something is.
            let innermost = std::iter::successors(Some(error), |error| error.source()).last();
            let why = without_value(&innermost.map(ToString::to_string).unwrap_or_default());
            Refusal::bad_request("bad_query", format!("the query is wrong: {why}"))
        };
        Query::try_from_uri(&parts.uri).map(|Query(asked)| Self(asked)).map_err(|error| refuse(&error))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Refusal;

    /// The third part of the path, in every route that names something.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Outcome<Self> {
        let name = parts.uri.path().split('/').nth(3).map(percent_decoded).filter(|name| !name.is_empty());
        name.map(Self).ok_or_else(|| Refusal::not_found("the path names nothing"))
    }
}

/// The revision that a change counts on, in its body or in `If-Match`.
pub fn revision(headers: &HeaderMap, body: Option<String>) -> Option<String> {
    let matched = || {
        let text = headers.get(header::IF_MATCH)?.to_str().ok()?.trim();
        let text = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
        (text != "*" && !text.is_empty()).then(|| text.to_owned())
    };
    body.or_else(matched)
}

/// # Errors
/// 400: no JSON, or not what is expected here, with the place.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Outcome<T> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request("bad_json", format!("the body is no JSON: {error}")))?;
    let Value::Object(members) = value else {
        return Err(Refusal::bad_request("bad_json", "the body is no JSON object"));
    };
    T::deserialize(Value::Object(members.clone())).map_err(|error| misfit::<T>(members, &error))
}

/// Which member it is that does not fit, found by trying each alone: all of ours may be absent.
fn misfit<T: DeserializeOwned>(members: Map<String, Value>, error: &serde_json::Error) -> Refusal {
    let alone = |(key, value): (String, Value)| {
        let error = T::deserialize(Value::Object(Map::from_iter([(key.clone(), value)]))).err()?;
        Some((key, error))
    };
    match members.into_iter().find_map(alone) {
        Some((key, error)) => {
            let why = without_value(&error.to_string());
            Refusal::bad_request("bad_json", format!("{key}: {why}")).field(key)
        }
        None => Refusal::bad_request("bad_json", without_value(&error.to_string())),
    }
}

/// `invalid type: string "sk-…", expected u64` without what was sent.
fn without_value(message: &str) -> String {
    let Some((kind, expected)) = message.rsplit_once(", expected ") else { return message.to_owned() };
    match kind.split_once(": ") {
        Some((kind, sent)) if kind.starts_with("invalid") => {
            let sort = sent.split([' ', '"', '`']).next().unwrap_or_default();
            format!("{kind}: {sort}, expected {expected}")
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::edit::EndpointChange;

    fn refused(body: &str) -> (String, Option<String>) {
        let refusal = parse::<EndpointChange>(body.as_bytes()).unwrap_err();
        assert_eq!(refusal.status, 400);
        (refusal.detail.message, refusal.detail.field)
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_place_and_without_its_value() {
        for (body, message, field) in [
            ("{\"name\":\n\"a\",}", "line 2 column 5", None),
            ("", "EOF", None),
            ("[]", "no JSON object", None),
            (r#"{"priority":"sk-secret"}"#, "priority: invalid type: string, expected i64", Some("priority")),
            (
                r#"{"name":"a","auth_value":918273645}"#,
                "auth_value: invalid type: integer, expected",
                Some("auth_value"),
            ),
            (r#"{"auth_valeu":"sk-secret"}"#, "unknown field `auth_valeu`, expected one of", Some("auth_valeu")),
        ] {
            let (said, at) = refused(body);
            assert!(said.contains(message), "{body}: {said}");
            assert!(!said.contains("sk-secret") && !said.contains("918273645"), "{said}");
            assert_eq!(at.as_deref(), field, "{body}");
        }
        assert!(parse::<EndpointChange>(br#"{"name":"a","auth_value":null}"#).is_ok());
    }

    #[test]
    fn a_revision_may_stand_in_a_header() {
        let with =
            |value: &'static str| HeaderMap::from_iter([(header::IF_MATCH, http::HeaderValue::from_static(value))]);
        assert_eq!(revision(&with("\"abc\""), None).as_deref(), Some("abc"));
        assert_eq!(revision(&with("abc"), Some("own".into())).as_deref(), Some("own"));
        assert_eq!(revision(&with("*"), None), None);
        assert_eq!(revision(&HeaderMap::new(), None), None);
    }
}
