//! Holds a conversation: each side is asked the same at the same time, and the answers are
//! compared.
//!
//! Invariant: once the sides have parted over an object (one took a write that the other refused),
//! what follows about that object is counted apart: it tells nothing new.
//!
//! Must not know: what is worth asking.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::{Value, json};

use super::compare::{Place, compare};
use super::mask::{mask, mask_text};
use super::memory::{Memory, object_path};
use super::report::{Difference, Report};
use super::steps::{Act, Request, Scenario};
use crate::client::{Answer, Client, Stream};
use crate::pause;

/// Headers that clients act on.
const HEADERS: &[&str] = &[
    "content-type",
    "warning",
    "cache-control",
    "retry-after",
    "location",
    "vary",
    "allow",
    "x-content-type-options",
    "content-encoding",
];
/// Headers whose value is each server's own: compared is whether they are there.
const PRESENT: &[&str] = &["etag", "audit-id", "x-kubernetes-pf-flowschema-uid"];
/// Where the servers' own objects are.
const MADE_BY_SERVERS: &[&str] = &[
    "/api/v1/namespaces",
    "/api/v1/services",
    "/api/v1/endpoints",
    "/api/v1/configmaps",
    "/apis/discovery.k8s.io/v1/endpointslices",
    "/apis/coordination.k8s.io/v1/leases",
    "/apis/scheduling.k8s.io/v1/priorityclasses",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
];
/// What a bookmark has that ends the initial events; others may have annotations too.
const ENDS_INITIAL_EVENTS: &str = "/object/metadata/annotations/k8s.io~1initial-events-end";
/// A watch that says nothing for so long is done.
const QUIET: Duration = Duration::from_millis(250);
/// How long the sides have to say the same on their watches.
const WATCH_PATIENCE: Duration = Duration::from_secs(4);

/// A conversation with two sides.
#[derive(Debug)]
pub struct Conversation<'a> {
    sides: [Speaker<'a>; 2],
    /// What was found.
    pub report: Report,
    /// How many requests were held.
    pub requests: u64,
    /// How many watch events were compared.
    pub events: u64,
    parted: HashSet<String>,
}

#[derive(Debug)]
struct Speaker<'a> {
    client: &'a Client,
    memory: Memory,
    streams: Vec<(String, String, Stream)>,
}

impl<'a> Conversation<'a> {
    /// With the real one first.
    #[must_use]
    pub fn new(theirs: &'a Client, ours: &'a Client) -> Self {
        let speaker =
            |client| Speaker { client, memory: Memory::new(client.port()), streams: Vec::new() };
        Self {
            sides: [speaker(theirs), speaker(ours)],
            report: Report::default(),
            requests: 0,
            events: 0,
            parted: HashSet::new(),
        }
    }

    /// Takes in what the servers made by themselves: in what order they did so is their own.
    pub async fn begin(&mut self) -> Result<()> {
        for side in &mut self.sides {
            for path in MADE_BY_SERVERS {
                let answer = side.client.ask("GET", path, &[], Bytes::new()).await?;
                let body = serde_json::from_slice(&answer.body).unwrap_or_default();
                side.memory.learn_made(&body);
            }
        }
        Ok(())
    }

    /// Holds a scenario.
    ///
    /// *Errors*: a server gave no answer at all.
    pub async fn hold(&mut self, scenario: &Scenario) -> Result<()> {
        for act in &scenario.acts {
            self.requests += 1;
            match act {
                Act::Ask(request) => self.ask(&scenario.name, request).await?,
                Act::Open { name, target, accept } => {
                    self.open(&scenario.name, name, target, accept).await?;
                }
                Act::Close => self.close(&scenario.name).await?,
            }
        }
        for side in &mut self.sides {
            side.streams.clear();
        }
        Ok(())
    }

    async fn ask(&mut self, scenario: &str, request: &Request) -> Result<()> {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        self.sides.iter_mut().for_each(|side| side.memory.learn_request(&body));
        let [theirs, ours] = &self.sides;
        let (a, b) = tokio::join!(theirs.ask(request), ours.ask(request));
        let described = describe(request);
        let (a, b) = (
            a.with_context(|| format!("the real one, asked {described}"))?,
            b.with_context(|| format!("ours, asked {described}"))?,
        );
        let step = usize::try_from(self.requests)?;
        let path = request.target.split('?').next().unwrap_or_default();
        let (status_a, status_b) = (a.status, b.status);
        let object = touched(request, path);
        let known = self.parted.iter().any(|parted| object.starts_with(parted.as_str()));
        let views = [a, b]
            .into_iter()
            .zip(&mut self.sides)
            .map(|(answer, side)| side.view(request.method, path, &answer, step));
        let views: Vec<Value> = views.collect();
        let found = compare(&views[0], &views[1]);
        if known {
            self.report.follow_ups += found.len() as u64;
            return Ok(());
        }
        let writes = request.method != "GET";
        if status_a.is_success() != status_b.is_success() && writes {
            self.parted.insert(object);
        }
        // What one refuses and the other does not has nothing else in common.
        let apart = status_a.is_success() != status_b.is_success();
        let found = if apart { vec![parted(&views)] } else { found };
        for place in found {
            self.report.add(Difference {
                scenario: scenario.to_owned(),
                asked: asked(request.method, path),
                request: described.clone(),
                place: place.path.trim_start_matches("$.").to_owned(),
                theirs: place.theirs,
                ours: place.ours,
            });
        }
        Ok(())
    }

    async fn open(
        &mut self,
        scenario: &str,
        name: &str,
        target: &str,
        accept: &'static str,
    ) -> Result<()> {
        for side in &mut self.sides {
            let filled = side.memory.fill(target);
            let stream = side.client.watch(&filled, &[("Accept", accept)]).await;
            let stream = stream.with_context(|| format!("{scenario}: opening {name}"))?;
            side.streams.push((name.to_owned(), target.to_owned(), stream));
        }
        Ok(())
    }

    /// Waits until the streams agree in number and are quiet, and compares them.
    async fn close(&mut self, scenario: &str) -> Result<()> {
        self.quiet().await;
        let [theirs, ours] = &mut self.sides;
        let pairs: Vec<_> = theirs.streams.drain(..).zip(ours.streams.drain(..)).collect();
        for ((name, target, a), (_, _, b)) in pairs {
            let path = target.split('?').next().unwrap_or_default().to_owned();
            let step = usize::try_from(self.requests)?;
            let views = [(a, 0), (b, 1)]
                .map(|(stream, number)| self.sides[number].view_stream(&path, &stream, step));
            self.events += views[0]["events"].as_array().map_or(0, Vec::len) as u64;
            for place in compare(&views[0], &views[1]) {
                self.report.add(Difference {
                    scenario: scenario.to_owned(),
                    asked: asked("WATCH", &path),
                    request: format!("{name}: WATCH {target}"),
                    place: place.path.trim_start_matches("$.").to_owned(),
                    theirs: place.theirs,
                    ours: place.ours,
                });
            }
        }
        Ok(())
    }

    async fn quiet(&self) {
        let deadline = Instant::now() + WATCH_PATIENCE;
        let counts = || -> [Vec<(usize, bool)>; 2] {
            [0, 1].map(|side: usize| {
                self.sides[side].streams.iter().map(|(_, _, stream)| stream.count()).collect()
            })
        };
        let mut last = counts();
        let mut since = Instant::now();
        loop {
            let ended = last.iter().flatten().all(|(_, ended)| *ended);
            let settled = last[0] == last[1] && since.elapsed() > QUIET;
            if ended || settled || Instant::now() > deadline {
                return;
            }
            pause::pause(pause::POLL).await;
            let now = counts();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
    }
}

impl Speaker<'_> {
    async fn ask(&self, request: &Request) -> Result<Answer> {
        let target = self.memory.fill(&request.target);
        let body = match std::str::from_utf8(&request.body) {
            Ok(text) if text.contains("{{") => Bytes::from(self.memory.fill(text)),
            _ => request.body.clone(),
        };
        let mut headers = vec![("Accept", request.accept)];
        if !request.content_type.is_empty() {
            headers.push(("Content-Type", request.content_type));
        }
        self.client.ask(request.method, &target, &headers, body).await
    }

    /// What of an answer is compared, as one value.
    fn view(&mut self, method: &str, path: &str, answer: &Answer, step: usize) -> Value {
        let mut headers = json!({});
        for name in HEADERS {
            let values = answer.headers.get_all(*name).iter();
            let values: Vec<_> =
                values.map(|value| mask_text(&String::from_utf8_lossy(value.as_bytes()))).collect();
            if !values.is_empty() {
                headers[*name] = values.join(" & ").into();
            }
        }
        for name in PRESENT.iter().filter(|name| answer.headers.contains_key(**name)) {
            headers[*name] = "is there".into();
        }
        let body = self.body(method, path, answer, step);
        json!({"status": answer.status.as_u16(), "header": headers, "body": body})
    }

    fn body(&mut self, method: &str, path: &str, answer: &Answer, step: usize) -> Value {
        let text = String::from_utf8_lossy(&answer.body);
        let content_type = answer.headers.get("content-type").and_then(|it| it.to_str().ok());
        let content_type = content_type.unwrap_or_default();
        let parsed = if content_type.contains("yaml") {
            serde_saphyr::from_str(&text).ok()
        } else if content_type.contains("json") {
            serde_json::from_str(&text).ok()
        } else {
            None
        };
        let Some(mut body) = parsed else {
            return if answer.body.iter().all(|byte| *byte < 128) {
                mask_text(&text).into()
            } else {
                "<bytes>".into()
            };
        };
        self.memory.learn(method, path, &body, step);
        mask(&mut body, &self.memory);
        body
    }

    /// What of a stream is compared, as one value.
    fn view_stream(&mut self, path: &str, stream: &Stream, step: usize) -> Value {
        let (lines, ended) = stream.seen();
        let mut events = Vec::new();
        for line in lines {
            let Ok(mut event) = serde_json::from_str::<Value>(&line) else {
                events.push(Value::String(line));
                continue;
            };
            if event["type"] == "BOOKMARK" {
                if event.pointer(ENDS_INITIAL_EVENTS).is_some() {
                    event["object"]["metadata"]["resourceVersion"] = "<bookmark>".into();
                } else {
                    continue;
                }
            } else {
                self.memory.learn("WATCH", path, &event["object"], step);
            }
            mask(&mut event, &self.memory);
            events.push(event);
        }
        let header = stream.headers.get("content-type").and_then(|value| value.to_str().ok());
        json!({
            "status": stream.status.as_u16(),
            "content-type": header,
            "events": events,
            "ended": ended,
        })
    }
}

/// The one difference between an answer and a refusal.
fn parted(views: &[Value]) -> Place {
    let [theirs, ours] = [0, 1].map(|side| {
        let message = views[side]["body"]["message"].as_str().unwrap_or_default();
        Some(format!("{} {message}", views[side]["status"]).trim_end().into())
    });
    Place { path: "$.status".to_owned(), theirs, ours }
}

fn describe(request: &Request) -> String {
    let Request { method, target, content_type, body, accept } = request;
    let mut text = format!("{method} {target}");
    if *accept != super::steps::JSON {
        text += &format!(" as {accept}");
    }
    if !body.is_empty() {
        text += &format!(" with {content_type}: {}", String::from_utf8_lossy(body));
    }
    text
}

/// The path of the object that a request is about: a POST's is named in its body.
fn touched(request: &Request, path: &str) -> String {
    if request.method != "POST" {
        return path.to_owned();
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let name = body.pointer("/metadata/name").and_then(Value::as_str);
    name.map_or_else(|| format!("{path}/?"), |name| object_path("POST", path, name))
}

/// Method and resource, without names: `PUT deployments/status`.
fn asked(method: &str, path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let rest = match parts.first() {
        Some(&"api") => parts.get(2..),
        Some(&"apis") => parts.get(3..),
        _ => None,
    };
    let rest = match rest {
        Some(["namespaces", _, rest @ ..])
            if !rest.is_empty() && rest[0] != "status" && rest[0] != "finalize" =>
        {
            rest
        }
        Some(rest) if !rest.is_empty() => rest,
        _ => return format!("{method} {}", parts.join("/")),
    };
    let resource = rest[0];
    match rest.get(2..) {
        Some(sub) if !sub.is_empty() => format!("{method} {resource}/{}", sub.join("/")),
        _ => format!("{method} {resource}"),
    }
}

#[cfg(test)]
mod tests {
    use super::asked;

    #[test]
    fn a_request_is_named_by_its_resource() {
        assert_eq!(asked("GET", "/api/v1/namespaces/a/pods/b/status"), "GET pods/status");
        assert_eq!(asked("PUT", "/apis/apps/v1/namespaces/a/deployments/b"), "PUT deployments");
        assert_eq!(asked("GET", "/api/v1/namespaces/a"), "GET namespaces");
        assert_eq!(asked("PUT", "/api/v1/namespaces/a/finalize"), "PUT namespaces/finalize");
        assert_eq!(asked("GET", "/version"), "GET version");
    }
}
