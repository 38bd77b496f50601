//! Who has logged in: the page's cookie stands for the token, which the page then need not keep.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Outcome, Refusal, Told};
use super::input::Input;
use super::state::Shared;
use crate::clock;
use crate::domain::secret::Secret;

pub const COOKIE: &str = "claude_proxy_session";
/// The oldest one is forgotten when there are more.
const MOST: usize = 64;
const LASTS: Duration = Duration::from_hours(7 * 24);
/// A wrong token is answered after this, one at a time, so that guessing takes for ever.
const PENALTY: Duration = Duration::from_millis(500);
/// So many wait for that at a time.
const LINE: usize = 16;

/// The body of `POST /api/login`.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Login {
    /// `web_admin.auth_token`.
    pub token: String,
}

/// What a login and a logout answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LoginView {
    pub logged_in: bool,
}

/// Logins that are good, in memory only: none outlives the program.
#[derive(Debug, Default)]
pub struct Sessions {
    held: Mutex<Held>,
    /// Wrong tokens wait in line here.
    gate: tokio::sync::Mutex<()>,
    waiting: AtomicUsize,
}

#[derive(Debug, Default)]
struct Held {
    /// Oldest first.
    open: VecDeque<(Secret, Instant)>,
    /// The token they were opened with: another one ends them all.
    token: Option<Secret>,
}

impl Sessions {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the request carries a session's cookie that is still good.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let now = clock::now();
        let held = self.held();
        let good = |value: &str| held.open.iter().any(|(id, until)| *until > now && id.matches(value.as_bytes()));
        cookies(headers).any(good)
    }

    /// The token in force. One that differs from the last ends every session.
    pub fn settle(&self, token: Option<&Secret>) {
        let mut held = self.held();
        if held.token.as_ref() != token {
            held.token = token.cloned();
            held.open.clear();
        }
    }

    /// What a wrong token costs. A line that is long already is not made longer: guesses must not keep all places busy.
    pub async fn penalty(&self) -> Outcome<()> {
        let _place = Place::take(&self.waiting)?;
        let _turn = self.gate.lock().await;
        tokio::time::sleep(PENALTY).await;
        Ok(())
    }

    fn open(&self, id: Secret) {
        let now = clock::now();
        let mut held = self.held();
        held.open.retain(|(_, until)| *until > now);
        while held.open.len() >= MOST {
            held.open.pop_front();
        }
        held.open.push_back((id, now + LASTS));
    }

    fn close(&self, headers: &HeaderMap) {
        let mut held = self.held();
        for value in cookies(headers) {
            held.open.retain(|(id, _)| !id.matches(value.as_bytes()));
        }
    }
}

/// A place in the line of wrong tokens.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Outcome<Self> {
        let place = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) < LINE {
            return Ok(place);
        }
        Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many", "too many wrong tokens at once")
            .hint("wait a moment; web_admin.auth_token is in the config file"))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let pairs = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    pairs.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// `POST /api/login`
pub async fn login(State(admin): State<Shared>, Input(asked): Input<Login>) -> Outcome<Response> {
    let standing = admin.standing();
    if let Some(token) = &standing.config.web_admin.auth_token
        && !token.matches(asked.token.as_bytes())
    {
        admin.sessions.penalty().await?;
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", "that is not the token")
            .hint("it is web_admin.auth_token in the config file")
            .field("token"));
    }
    let id = Secret::new(random()?);
    let age = LASTS.as_secs();
    let cookie = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}", id.expose());
    admin.sessions.open(id);
    answered(true, &cookie)
}

/// `POST /api/logout`
pub async fn logout(State(admin): State<Shared>, headers: HeaderMap) -> Outcome<Response> {
    admin.sessions.close(&headers);
    answered(false, &format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"))
}

fn answered(logged_in: bool, cookie: &str) -> Outcome<Response> {
    let mut cookie = HeaderValue::from_str(cookie).map_err(|_| Refusal::internal("the cookie cannot be written"))?;
    cookie.set_sensitive(true);
    let mut answer = Told(LoginView { logged_in }).into_response();
    answer.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(answer)
}

/// 192 bits from the system.
fn random() -> Outcome<String> {
    let mut bytes = [0; 24];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| Refusal::internal("the system gives no random numbers"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_cookie(text: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(text).unwrap())])
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_good_until_it_ends() {
        let sessions = Sessions::default();
        let token = Secret::new("a");
        sessions.settle(Some(&token));
        let id = random().unwrap();
        let own = with_cookie(&format!("other=1; {COOKIE}={id}"));
        assert!(!sessions.admits(&own));
        sessions.open(Secret::new(&*id));
        assert!(sessions.admits(&own));
        assert!(!sessions.admits(&with_cookie(&format!("{COOKIE}={id}x"))));
        assert!(!sessions.admits(&with_cookie(&format!("x{COOKIE}={id}"))));
        assert!(!sessions.admits(&HeaderMap::new()));
        sessions.settle(Some(&token));
        assert!(sessions.admits(&own), "the same token ends nothing");
        tokio::time::advance(LASTS).await;
        assert!(!sessions.admits(&own), "it is over");
    }

    #[tokio::test]
    async fn a_logout_and_another_token_end_it() {
        let sessions = Sessions::default();
        let own = with_cookie(&format!("{COOKIE}=one"));
        sessions.open(Secret::new("one"));
        sessions.close(&own);
        assert!(!sessions.admits(&own));
        sessions.open(Secret::new("one"));
        sessions.settle(Some(&Secret::new("changed")));
        assert!(!sessions.admits(&own));
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_take_their_time_and_the_line_is_short() {
        let sessions = std::sync::Arc::new(Sessions::default());
        let began = clock::now();
        let guess = || {
            let sessions = std::sync::Arc::clone(&sessions);
            async move { sessions.penalty().await }
        };
        let guesses: Vec<_> = (0..LINE + 5).map(|_| tokio::spawn(guess())).collect();
        let mut refused = 0;
        for guess in guesses {
            refused += usize::from(guess.await.unwrap().is_err());
        }
        assert_eq!((refused, clock::now() - began), (5, PENALTY * 16));
        assert_eq!(sessions.penalty().await, Ok(()), "the line is empty again");
    }

    #[tokio::test]
    async fn their_number_is_bounded() {
        let sessions = Sessions::default();
        (0..=MOST).for_each(|n| sessions.open(Secret::new(n.to_string())));
        assert!(!sessions.admits(&with_cookie(&format!("{COOKIE}=0"))), "the oldest went");
        assert!(sessions.admits(&with_cookie(&format!("{COOKIE}={MOST}"))));
    }
}
