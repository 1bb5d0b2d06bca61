//! The paths and what each answers.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get};

use super::access::{Access, guard};
use super::health::{Check, health, run_checks};
use super::{Gateway, debug};
use crate::doors::GrpcDoor;
use crate::limits::REQUEST_OVERHEAD_BYTES;
use crate::member::Member;
use crate::version::{CLUSTER_VERSION, ENGRAM_VERSION, ETCD_VERSION, STORAGE_VERSION};

type Shared = State<Arc<Member>>;

/// The pages of the client port.
pub(crate) fn client_pages(member: Arc<Member>, grpc: GrpcDoor) -> Router {
    let config = member.config();
    let access = Access { hosts: config.host_whitelist.clone(), origins: config.cors.clone() };
    let mut router = observed(Router::new())
        .route("/version", only_get(get(version)))
        .route("/engram/state", only_get(get(state_page)))
        .route("/debug/vars", any(debug::vars));
    if config.enable_pprof || config.log_level == "debug" {
        router = router
            .route("/debug/pprof/", any(debug::index))
            .route("/debug/pprof/{page}", any(debug::page));
    }
    if config.enable_grpc_gateway {
        let gateway = Gateway::new(grpc, config.max_request_bytes + REQUEST_OVERHEAD_BYTES);
        let page = any(move |request: Request<Body>| async move { gateway.answer(request).await });
        for path in ["/v3/", "/v3/{*path}", "/v3beta/{*path}"] {
            router = router.route(path, page.clone());
        }
    }
    let router = router.fallback(not_found).with_state(member);
    // Outermost: it looks at requests that no page would match, too.
    Router::new().fallback_service(router).layer(from_fn_with_state(Arc::new(access), guard))
}

/// The pages of a metrics listener.
pub(crate) fn metrics_pages(member: Arc<Member>) -> Router {
    observed(Router::new()).fallback(not_found).with_state(member)
}

/// A path that nobody serves.
pub(crate) async fn not_found() -> Response {
    plain_error(StatusCode::NOT_FOUND, "404 page not found")
}

/// An error as Go's servers tell it: a line of text.
pub(crate) fn plain_error(code: StatusCode, text: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (code, headers, format!("{text}\n")).into_response()
}

fn observed(router: Router<Arc<Member>>) -> Router<Arc<Member>> {
    let router =
        router.route("/health", only_get(get(health_page))).route("/metrics", any(metrics_page));
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

/// Compat: any other method is refused with this text, HEAD included.
fn only_get(page: MethodRouter<Arc<Member>>) -> MethodRouter<Arc<Member>> {
    async fn refused() -> Response {
        let mut response = plain_error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
        response
    }
    page.head(refused).fallback(refused)
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
    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
    ([(header::CONTENT_TYPE, TEXT)], member.metrics_text()).into_response()
}
