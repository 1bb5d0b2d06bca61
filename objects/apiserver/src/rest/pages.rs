//! Everything that is no object: discovery, OpenAPI, version, health, metrics, the list of paths.

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, VARY};
use http::{HeaderValue, Method, StatusCode};
use schema::{Value, openapi};
use serde_json::json;

use super::answer::{self, Answer};
use super::ask::Ask;
use super::discovery::{Discovery, Tagged};
use super::door::Door;
use super::negotiate::{Offer, Shape};
use crate::status::Status;

/// The release whose API is served.
pub const KUBERNETES_VERSION: &str = "v1.37.0";

/// Answers a page. *Errors*: refusals; a page that does not exist is an answer.
pub(crate) fn answer(door: &Door, ask: &Ask, segments: &[&str]) -> Result<Answer, Status> {
    let discovery = &door.discovery;
    match segments {
        ["healthz" | "livez" | "readyz"] => Ok(door.health.answer(segments[0], None, &ask.query)),
        ["healthz" | "livez" | "readyz", check @ ..] => {
            Ok(door.health.answer(segments[0], Some(&check.join("/")), &ask.query))
        }
        ["version"] => version(ask),
        ["metrics"] => {
            let page = Bytes::from(door.metrics.page());
            Ok(answer::typed(StatusCode::OK, "text/plain; version=0.0.4", page))
        }
        [""] => paths(door, ask),
        ["openapi", "v3", path @ ..] => open_api(ask, path),
        ["openapi", "v2"] => Ok(open_api_v2(ask)),
        ["api"] => {
            let plain = || discovery.api_versions(&door.address);
            aggregated(ask, Offer::CoreDiscovery, &discovery.core, plain)
        }
        ["apis"] => aggregated(ask, Offer::Discovery, &discovery.named, || discovery.group_list()),
        ["apis", group] => plain(ask, discovery.api_group(group)),
        ["api", version] => {
            only_get(ask)?;
            resources(ask, discovery, "", version)
        }
        ["apis", group, version] => {
            only_get(ask)?;
            resources(ask, discovery, group, version)
        }
        _ => Ok(answer::no_such_page()),
    }
}

fn only_get(ask: &Ask) -> Result<(), Status> {
    if ask.method == Method::GET { Ok(()) } else { Err(Status::method_not_allowed()) }
}

fn plain(ask: &Ask, document: Option<Value>) -> Result<Answer, Status> {
    let form = ask.form(Offer::Documents)?;
    let document = document.map(|document| answer::document(StatusCode::OK, form, &document));
    Ok(document.unwrap_or_else(answer::no_such_page))
}

fn resources(
    ask: &Ask,
    discovery: &Discovery,
    group: &str,
    version: &str,
) -> Result<Answer, Status> {
    let document = discovery.resource_list(group, version);
    if document.is_none() && discovery.has_group(group) {
        return Err(Status::no_such_path());
    }
    plain(ask, document)
}

fn aggregated(
    ask: &Ask,
    offer: Offer,
    tagged: &Tagged,
    plain_document: impl Fn() -> Value,
) -> Result<Answer, Status> {
    let form = ask.form(offer)?;
    if form.shape != Shape::Discovery {
        return plain(ask, Some(plain_document()));
    }
    let mut answer = if ask.header(IF_NONE_MATCH) == tagged.etag {
        answer::typed(StatusCode::NOT_MODIFIED, "application/json", Bytes::new())
    } else {
        answer::json(StatusCode::OK, form, tagged.document.clone())
    };
    let headers = answer.headers_mut();
    // Compat: clients pick their decoder by these parameters.
    let content_type =
        format!("{};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", form.content_type());
    let content_type = HeaderValue::from_str(&content_type);
    headers.insert(CONTENT_TYPE, content_type.expect("made of names"));
    headers.insert(ETAG, HeaderValue::from_str(&tagged.etag).expect("quoted hexadecimal"));
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
    Ok(answer)
}

fn version(ask: &Ask) -> Result<Answer, Status> {
    only_get(ask)?;
    let form = ask.form(Offer::Json)?;
    let document = json!({
        "major": "1",
        "minor": "37",
        "emulationMajor": "1",
        "emulationMinor": "37",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "36",
        "gitVersion": KUBERNETES_VERSION,
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": concat_platform(),
        "engramVersion": env!("CARGO_PKG_VERSION"),
    });
    Ok(answer::document(StatusCode::OK, form, &document))
}

fn concat_platform() -> String {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{}/{machine}", std::env::consts::OS)
}

fn paths(door: &Door, ask: &Ask) -> Result<Answer, Status> {
    let form = ask.form(Offer::Documents)?;
    let mut paths = door.discovery.paths();
    paths.extend(door.health.paths());
    paths.extend(["/metrics", "/openapi/v3", "/openapi/v3/", "/version"].map(str::to_owned));
    paths.sort();
    Ok(answer::document(StatusCode::OK, form, &json!({"paths": paths})))
}

/// The old document. In protobuf, the form that client-go asks for, it is without any path or
/// definition: kubectl falls back to it for kinds that the new ones do not have, and then finds
/// that it does not have them either.
fn open_api_v2(ask: &Ask) -> Answer {
    const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    if ask.header(ACCEPT).contains("proto-openapi.spec.v2") {
        let field = |tag: u8, bytes: &[u8]| {
            // Every field is short: one byte holds its length.
            let mut field = vec![tag << 3 | 2, bytes.len().to_le_bytes()[0]];
            field.extend_from_slice(bytes);
            field
        };
        let info = [field(1, b"Kubernetes"), field(2, KUBERNETES_VERSION.as_bytes())].concat();
        let document = [field(1, b"2.0"), field(2, &info), field(8, b"")].concat();
        return answer::typed(StatusCode::OK, PROTOBUF, Bytes::from(document));
    }
    answer::typed(StatusCode::OK, "application/json", openapi::document_v2().bytes)
}

fn open_api(ask: &Ask, path: &[&str]) -> Result<Answer, Status> {
    if path.iter().all(|segment| segment.is_empty()) {
        let index = openapi::index();
        // Compat: the index says that it is text.
        return Ok(answer::typed(StatusCode::OK, "text/plain; charset=utf-8", index.bytes));
    }
    let Some(document) = openapi::document(&path.join("/")) else {
        return Ok(answer::bare(StatusCode::NOT_FOUND));
    };
    let etag = format!("\"{}\"", document.hash);
    let asked = ask.query.first("hash");
    let stale = asked.is_some_and(|hash| hash != document.hash);
    let mut answer = if stale {
        answer::typed(StatusCode::MOVED_PERMANENTLY, "application/json", Bytes::new())
    } else if ask.header(IF_NONE_MATCH) == etag {
        answer::typed(StatusCode::NOT_MODIFIED, "application/json", Bytes::new())
    } else {
        answer::typed(StatusCode::OK, "application/json", document.bytes)
    };
    if stale {
        answer::header(&mut answer, LOCATION, &document.url);
    } else if asked.is_some() {
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
    }
    answer::header(&mut answer, ETAG, &etag);
    answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    Ok(answer)
}
