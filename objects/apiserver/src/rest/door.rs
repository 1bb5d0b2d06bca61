//! The door itself: every request passes here, through the same filters in the same order.
//!
//! Invariants: no request goes without an answer, not even one that panics; nobody unknown gets
//! further than health and version; what is not long-running ends in time.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt as _;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt as _;
use tokio_util::sync::CancellationToken;

use super::answer::{self, Answer};
use super::ask::{self, Ask};
use super::discovery::Discovery;
use super::health::Health;
use super::limits::{REQUEST_TIMEOUT, Seats, UNREAD_BYTES_MAX, UNREAD_TIMEOUT};
use super::metrics::{Counted, Labels, Metrics};
use super::path::{BadEscape, Path};
use super::{pages, verbs};
use crate::registry::Registry;
use crate::serve::authn::{Authenticator, Shown};
use crate::serve::authz;
use crate::serve::user::{AUTHENTICATED, User};
use crate::status::Status;

/// What the door is made of.
pub(crate) struct Door {
    pub(crate) registry: Arc<Registry>,
    pub(crate) authenticator: Authenticator,
    pub(crate) discovery: Discovery,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    pub(crate) seats: Seats,
    /// `host:port`, as discovery tells it.
    pub(crate) address: String,
    /// Ends watches when the server stops.
    pub(crate) shutdown: CancellationToken,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Door {
    /// Answers one request.
    pub(crate) async fn answer<B>(self: &Arc<Self>, request: Request<B>, shown: &Shown) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, mut body) = request.into_parts();
        let answer = self.answer_to(Request::from_parts(head, &mut body), shown).await;
        // An HTTP/2 stream whose request is not read to its end is reset, often before its answer
        // has left: whoever is refused early would not learn why.
        drain(&mut body).await;
        answer
    }

    async fn answer_to<B>(self: &Arc<Self>, request: Request<B>, shown: &Shown) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let began = Instant::now();
        let accept_encoding = ask::header(request.headers(), ACCEPT_ENCODING).to_owned();
        let mut labels = Labels::default();
        let answered = AssertUnwindSafe(self.filtered(request, shown, &mut labels));
        let mut answer = match answered.catch_unwind().await {
            Ok(answer) => answer,
            Err(_) => {
                tracing::error!("a request panicked");
                let text = "This request caused apiserver to panic. Look in the logs.\n";
                answer::text(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
        };
        if answer.extensions_mut().remove::<answer::Bare>().is_none() {
            stamp(answer.headers_mut());
        }
        self.metrics.answered(labels, answer.status().as_u16(), began.elapsed());
        answer::compressed(answer, &accept_encoding).await
    }

    /// The filters, in their order.
    async fn filtered<B>(
        self: &Arc<Self>,
        request: Request<B>,
        shown: &Shown,
        labels: &mut Labels,
    ) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let plain = ask::refusal_form(&head.headers, None);
        let user = match self.user(&head.headers, shown) {
            Ok(user) => user,
            Err(status) => return answer::refusal(&status, plain),
        };
        let ask = match Ask::read(head, user) {
            Ok(ask) => ask,
            Err(BadEscape) => return answer::of_no_request("400 Bad Request"),
        };
        if let Err(status) = authz::authorize(&ask) {
            return answer::refusal(&status, ask.refusal_form());
        }
        *labels = verbs::labels(self, &ask);
        if ask.is_watch() {
            return self.routed(&ask, body).await;
        }
        let Some(_seat) = self.seats.take(ask.writes()) else { return too_many() };
        let gauge = if ask.writes() { &self.metrics.mutating } else { &self.metrics.reading };
        let _counted = Counted::new(gauge);
        let limit = timeout(&ask).unwrap_or(REQUEST_TIMEOUT);
        match tokio::time::timeout(limit, self.routed(&ask, body)).await {
            Ok(answer) => answer,
            Err(_) => {
                let why = "request did not complete within the allotted timeout";
                answer::refusal(&Status::timeout(why, 0), ask.refusal_form())
            }
        }
    }

    async fn routed<B>(self: &Arc<Self>, ask: &Ask, body: B) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let answered = match &ask.path {
            Path::Resource(path) => verbs::answer(self, ask, path, body).await,
            Path::Page(segments) => {
                let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
                pages::answer(self, ask, &segments)
            }
        };
        answered.unwrap_or_else(|status| answer::refusal(&status, ask.refusal_form()))
    }

    /// Who asks, or as whom. *Errors*: 401.
    fn user(&self, headers: &HeaderMap, shown: &Shown) -> Result<User, Status> {
        let authorization = Some(ask::header(headers, AUTHORIZATION));
        let authorization = authorization.filter(|text| !text.is_empty());
        let user = self.authenticator.user(shown, authorization);
        let user = user.map_err(|_| Status::unauthorized())?;
        Ok(impersonated(headers, &user).unwrap_or(user))
    }
}

/// As whom a known user wants to be seen. Compat: `Impersonate-User` and `Impersonate-Group`.
fn impersonated(headers: &HeaderMap, by: &User) -> Option<User> {
    if !by.is_authenticated() {
        return None;
    }
    let name = headers.get("impersonate-user")?.to_str().ok()?.to_owned();
    let groups = headers.get_all("impersonate-group").iter();
    let mut groups: Vec<String> =
        groups.filter_map(|group| group.to_str().ok()).map(str::to_owned).collect();
    if name == "system:anonymous" {
        return Some(User { groups: User::anonymous().groups, name, uid: String::new() });
    }
    if !groups.iter().any(|group| group == AUTHENTICATED) {
        groups.push(AUTHENTICATED.to_owned());
    }
    let uid = headers.get("impersonate-uid").and_then(|uid| uid.to_str().ok()).unwrap_or_default();
    Some(User { name, uid: uid.to_owned(), groups })
}

/// Reads what is left of a request that was answered early: so much, and for so long.
async fn drain<B: http_body::Body<Data = Bytes> + Unpin>(body: &mut B) {
    if body.is_end_stream() {
        return;
    }
    let rest = async {
        let mut left = UNREAD_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    // What is not there by then is not waited for.
    drop(tokio::time::timeout(UNREAD_TIMEOUT, rest).await);
}

/// What every answer to a request has.
fn stamp(headers: &mut HeaderMap) {
    let audit_id = audit_id();
    let name = HeaderName::from_static("audit-id");
    headers.insert(name, HeaderValue::from_str(&audit_id).expect("hexadecimal"));
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    }
}

/// A random UUID.
fn audit_id() -> String {
    let bits = rand::random::<u128>();
    // Version 4, variant 1.
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn too_many() -> Answer {
    let text = "Too many requests, please try again later.\n";
    let mut answer = answer::text(StatusCode::TOO_MANY_REQUESTS, text);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// `timeout` of the query, as Go writes durations in whole seconds or minutes: no longer than ours.
fn timeout(ask: &Ask) -> Option<Duration> {
    let text = ask.query.first("timeout")?;
    let seconds = match text.strip_suffix("ms") {
        Some(number) => number.parse::<f64>().ok()? / 1000.0,
        None => match (text.strip_suffix('s'), text.strip_suffix('m')) {
            (Some(number), _) => number.parse::<f64>().ok()?,
            (_, Some(number)) => number.parse::<f64>().ok()? * 60.0,
            _ => return None,
        },
    };
    let duration = Duration::try_from_secs_f64(seconds).ok().filter(|limit| !limit.is_zero())?;
    Some(duration.min(REQUEST_TIMEOUT))
}
