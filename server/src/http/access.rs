//! Who may ask over HTTP: host names, origins, and paths in their clean form.
//!
//! Invariants: a name that was not allowed is refused before anything is looked up; it is checked
//! only where there is no TLS, since a certificate already ties a name to its server.
//! Compat: etcd's order: host, then the headers for other origins, then OPTIONS, then the pages.
//! Must not know: the pages.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::pages::plain_error;
use crate::doors::ConnectionInfo;

/// What the flags allow; an empty list or `*` allows all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    /// Host names, without ports.
    pub(crate) hosts: Vec<String>,
    /// Origins, as browsers name them.
    pub(crate) origins: Vec<String>,
}

impl Access {
    fn allows_host(&self, host: &str) -> bool {
        allows(&self.hosts, host)
    }

    /// The origin to name in an answer to a request from `origin`.
    fn origin(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        if allows(&self.origins, "*") {
            return Some(HeaderValue::from_static("*"));
        }
        origin.filter(|origin| origin.to_str().is_ok_and(|o| allows(&self.origins, o))).cloned()
    }
}

fn allows(list: &[String], name: &str) -> bool {
    list.is_empty() || list.iter().any(|allowed| allowed == "*" || allowed == name)
}

/// Checks a request before the pages see it.
pub(super) async fn guard(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    let secure = request.extensions().get::<ConnectionInfo>().is_some_and(|info| info.secure);
    let host = host_name(request.uri(), request.headers());
    if !secure && !access.allows_host(&host) {
        tracing::warn!(host, "rejecting HTTP request to prevent DNS rebinding attacks");
        return plain_error(StatusCode::MISDIRECTED_REQUEST, &misdirected(&host));
    }
    let origin = access.origin(request.headers().get(header::ORIGIN));
    let mut response = match request.method() {
        &Method::OPTIONS => StatusCode::OK.into_response(),
        _ => match cleaned(request.uri()) {
            Some(path) => redirect(&path, request.method()),
            None => next.run(request).await,
        },
    };
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        const METHODS: HeaderValue = HeaderValue::from_static("POST, GET, OPTIONS, PUT, DELETE");
        const HEADERS: HeaderValue =
            HeaderValue::from_static("accept, content-type, authorization");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    }
    response
}

/// The name that the client called us by, without the port.
fn host_name(uri: &Uri, headers: &HeaderMap) -> String {
    let header = headers.get(header::HOST).map(|host| String::from_utf8_lossy(host.as_bytes()));
    let host = uri.authority().map(|host| host.as_str().into()).or(header).unwrap_or_default();
    match host.rsplit_once(':') {
        // Without brackets, more than one colon is no host and port.
        Some((name, _)) if !name.contains(':') => name.to_owned(),
        Some((name, _)) if name.starts_with('[') && name.ends_with(']') => {
            name[1..name.len() - 1].to_owned()
        }
        _ => host.into_owned(),
    }
}

fn misdirected(host: &str) -> String {
    format!(
        "\nengram was asked for by a host name that it does not know.\n\n\
         Either enable TLS, where every name is allowed, or allow this one:\n\
         \x20 --host-whitelist {host:?}\n\n\
         The check keeps web pages from reaching this member by a name of their own\n\
         (\"DNS rebinding\", CVE-2018-5702).\n"
    )
}

/// Compat: a path with empty or dotted parts is sent to its clean form.
fn cleaned(uri: &Uri) -> Option<String> {
    let path = uri.path();
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let mut clean = format!("/{}", parts.join("/"));
    // The gateway is a tree of its own.
    let is_tree = clean == "/v3";
    if (path.ends_with('/') || is_tree) && clean != "/" {
        clean.push('/');
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    (clean != path).then(|| format!("{clean}{query}"))
}

fn redirect(to: &str, method: &Method) -> Response {
    let Ok(location) = HeaderValue::from_str(to) else {
        return plain_error(StatusCode::BAD_REQUEST, "Bad Request");
    };
    let mut response = StatusCode::TEMPORARY_REDIRECT.into_response();
    if [Method::GET, Method::HEAD].contains(method) {
        let shown = to.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&#34;");
        let body = format!("<a href=\"{shown}\">Temporary Redirect</a>.\n\n");
        let html = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
        response = (StatusCode::TEMPORARY_REDIRECT, html, body).into_response();
    }
    response.headers_mut().insert(header::LOCATION, location);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_without_their_port() {
        let rows = [
            ("localhost:2379", "localhost"),
            ("localhost", "localhost"),
            ("[::1]:2379", "::1"),
            ("a:b:c", "a:b:c"),
            ("", ""),
        ];
        for (host, name) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            assert_eq!(host_name(&Uri::from_static("/x"), &headers), name);
        }
    }

    #[test]
    fn names_and_origins_are_allowed_by_their_lists() {
        let access = Access { hosts: vec!["a".into()], origins: vec!["http://b:1".into()] };
        assert!(access.allows_host("a") && !access.allows_host("b"));
        assert!(Access::default().allows_host("b"));
        let origin = HeaderValue::from_static("http://b:1");
        assert_eq!(access.origin(Some(&origin)), Some(origin));
        assert_eq!(access.origin(Some(&HeaderValue::from_static("http://c:1"))), None);
        assert_eq!(Access::default().origin(None), Some(HeaderValue::from_static("*")));
    }

    #[test]
    fn paths_are_sent_to_their_clean_form() {
        let rows = [
            ("/v3/kv/range", None),
            ("//v3/kv/range?a=1", Some("/v3/kv/range?a=1")),
            ("/v3", Some("/v3/")),
            ("/v3/", None),
            ("/a/../health", Some("/health")),
            ("/v3/kv/range/", None),
            ("/", None),
            ("/../..", Some("/")),
        ];
        for (path, clean) in rows {
            let uri: Uri = path.parse().expect("a valid path");
            assert_eq!(cleaned(&uri).as_deref(), clean, "{path}");
        }
    }
}
