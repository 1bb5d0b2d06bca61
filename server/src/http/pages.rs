//! The paths and what each answers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};

use super::health::{Check, health, run_checks};
use crate::member::Member;
use crate::version::{CLUSTER_VERSION, ENGRAM_VERSION, ETCD_VERSION, STORAGE_VERSION};

type Shared = State<Arc<Member>>;

/// The pages of the client port.
pub(crate) fn client_pages(member: Arc<Member>) -> Router {
    observed(Router::new())
        .route("/version", only_get(get(version)))
        .route("/engram/state", only_get(get(state_page)))
        .with_state(member)
}

/// The pages of a metrics listener.
pub(crate) fn metrics_pages(member: Arc<Member>) -> Router {
    observed(Router::new()).with_state(member)
}

fn observed(router: Router<Arc<Member>>) -> Router<Arc<Member>> {
    let router = router
        .route("/health", only_get(get(health_page)))
        .route("/metrics", only_get(get(metrics_page)));
    let router = checked(router, "livez", Check::LIVE);
    checked(router, "readyz", Check::READY)
}

/// A group of checks: the whole group, and one path per check.
fn checked(
    mut router: Router<Arc<Member>>,
    group: &'static str,
    checks: &'static [Check],
) -> Router<Arc<Member>> {
    for (at, check) in checks.iter().enumerate() {
        let one = &checks[at..=at];
        let page = get(move |State(member): Shared, RawQuery(query): RawQuery| async move {
            checks_page(&member, group, one.to_vec(), &Query::read(query)).await
        });
        router = router.route(&format!("/{group}/{}", check.name()), only_get(page));
    }
    let page = get(move |State(member): Shared, RawQuery(query): RawQuery| async move {
        let query = Query::read(query);
        let excluded = query.all("exclude");
        let named = |check: &&Check| !excluded.iter().any(|name| name == check.name());
        let checks = checks.iter().filter(named).copied().collect();
        checks_page(&member, group, checks, &query).await
    });
    router.route(&format!("/{group}"), only_get(page))
}

/// Compat: any other method is refused with this text.
fn only_get(page: MethodRouter<Arc<Member>>) -> MethodRouter<Arc<Member>> {
    page.fallback(|| async {
        let allow = [(header::ALLOW, HeaderValue::from_static("GET"))];
        (StatusCode::METHOD_NOT_ALLOWED, allow, "Method Not Allowed\n")
    })
}

/// The query of a URL; values are not percent-decoded, since none of ours needs it.
struct Query(Vec<(String, String)>);

impl Query {
    fn read(query: Option<String>) -> Self {
        let query = query.unwrap_or_default();
        let pairs = query.split('&').filter(|part| !part.is_empty()).map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (name.to_owned(), value.to_owned())
        });
        Query(pairs.collect())
    }

    fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }
}

async fn health_page(State(member): Shared, RawQuery(query): RawQuery) -> Response {
    let query = Query::read(query);
    let serializable = query.all("serializable").first().is_some_and(|value| value == "true");
    let (code, body) = health(&member, &query.all("exclude"), serializable).await;
    (code, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

async fn checks_page(
    member: &Member,
    group: &'static str,
    checks: Vec<Check>,
    query: &Query,
) -> Response {
    let report = run_checks(member, group, &checks).await;
    let (code, body) = match (report.healthy, query.has("verbose")) {
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", report.lines)),
        (true, true) => (StatusCode::OK, format!("{}ok\n", report.lines)),
        (true, false) => (StatusCode::OK, "ok\n".to_owned()),
    };
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (code, headers, body).into_response()
}

async fn version() -> Response {
    let body = format!(
        "{{\"etcdserver\":\"{ETCD_VERSION}\",\"etcdcluster\":\"{CLUSTER_VERSION}\",\
         \"storage\":\"{STORAGE_VERSION}\",\"engram\":\"{ENGRAM_VERSION}\"}}"
    );
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// What members can be compared by: the digest of the whole state at an applied index. Ours alone.
async fn state_page(State(member): Shared) -> Response {
    let (applied, digest) = member.reader().digest_at_applied();
    let revision = member.reader().revision();
    let body = format!(
        "{{\"applied_index\":{},\"revision\":{revision},\"digest\":\"{digest}\"}}",
        applied.index
    );
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn metrics_page(State(member): Shared) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match member.metrics_text() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
