//! Watches: one JSON event per line, for as long as somebody reads.
//!
//! Invariants: events that are ready together leave together; the line of an event is made once for
//! all watchers; a watch ends when its time is up or when the server stops, and never holds up
//! whoever writes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::FutureExt as _;
use futures::stream;
use http::StatusCode;
use schema::Value;
use schema::typed::normalize;
use schema::types::Schema;
use serde_json::json;

use super::answer::{self, Answer, Body};
use super::ask::Ask;
use super::door::Door;
use super::metrics::WatchCounted;
use super::negotiate::{Form, Shape};
use super::shapes::Shaper;
use super::verbs::Asked;
use crate::cache::{WatchEvent, WatchedObject, Watcher};
use crate::registry::{self, ListOptions, Resource};
use crate::status::{Reason, Status};
use crate::tables::Headers;

/// How much is put together before it is sent, in bytes.
const BATCH_BYTES: usize = 64 * 1024;
const DEADLINE: &str = "context deadline exceeded";

/// Opens a watch.
pub(crate) async fn answer(
    door: &Arc<Door>,
    ask: &Ask,
    asked: &Asked<'_>,
    form: Form,
) -> Result<Answer, Status> {
    let mut pairs = ask.query.pairs().to_vec();
    // The legacy path says so without the parameter.
    pairs.insert(0, ("watch".to_owned(), "true".to_owned()));
    let options = ListOptions::from_query(&pairs)?;
    if options.timeout_seconds.is_some_and(|seconds| seconds < 0) {
        // Compat: it opens, and its time is up at once.
        let line = error_line(&Status::plain(500, Reason::InternalError, DEADLINE));
        return Ok(answer::typed(StatusCode::OK, "application/json", line));
    }
    let watcher = asked.door.registry.watch(&asked.context, &asked.target, &options).await?;
    let lines = Lines {
        door: Arc::clone(door),
        watcher,
        writer: Writer::new(asked, form)?,
        over: false,
        _counted: door.metrics.watch_begins(),
    };
    Ok(answer::typed(StatusCode::OK, "application/json", Body::stream(lines.stream())))
}

struct Lines {
    door: Arc<Door>,
    watcher: Watcher,
    writer: Writer,
    over: bool,
    _counted: WatchCounted,
}

impl Lines {
    fn stream(self) -> impl futures::Stream<Item = Bytes> + Send {
        stream::unfold(self, |mut lines| async move {
            let batch = lines.batch().await?;
            Some((batch, lines))
        })
    }

    /// Waits for an event and takes along what else is there.
    async fn batch(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        let first = tokio::select! {
            () = self.door.shutdown.cancelled() => return None,
            event = self.watcher.next() => event?,
        };
        let first = self.line(first);
        let mut second = match self.watcher.next().now_or_never() {
            Some(Some(event)) if !self.over => Some(event),
            Some(None) => {
                self.over = true;
                None
            }
            _ => None,
        };
        // Most often one event is all there is: its shared line goes out as it is.
        let Some(event) = second.take() else { return Some(first) };
        let mut batch = BytesMut::with_capacity(first.len() * 4);
        batch.extend_from_slice(&first);
        let line = self.line(event);
        batch.extend_from_slice(&line);
        while batch.len() < BATCH_BYTES && !self.over {
            match self.watcher.next().now_or_never() {
                Some(Some(event)) => {
                    let line = self.line(event);
                    batch.extend_from_slice(&line);
                }
                Some(None) => self.over = true,
                None => break,
            }
        }
        Some(batch.freeze())
    }

    fn line(&mut self, event: WatchEvent) -> Bytes {
        match self.writer.line(event) {
            Ok(line) => line,
            Err(status) => {
                self.over = true;
                error_line(&status)
            }
        }
    }
}

/// Writes events as lines in the shape that was asked for.
struct Writer {
    shaper: Shaper,
    resource: Arc<Resource>,
    form: Form,
    /// Whether the columns have been told.
    told: bool,
}

impl Writer {
    fn new(asked: &Asked<'_>, form: Form) -> Result<Self, Status> {
        let resource = Arc::clone(&asked.target.resource);
        Ok(Writer { shaper: Shaper::new(asked)?, resource, form, told: false })
    }

    fn line(&mut self, event: WatchEvent) -> Result<Bytes, Status> {
        let (word, watched) = match event {
            WatchEvent::Added(object) => ("ADDED", object),
            WatchEvent::Modified(object) => ("MODIFIED", object),
            WatchEvent::Deleted(object) => ("DELETED", object),
            WatchEvent::Bookmark { revision, initial_events_end } => {
                return self.bookmark(&revision.to_string(), initial_events_end);
            }
            WatchEvent::Error(error) => return Err(registry::watch_refusal(&self.resource, error)),
        };
        self.changed(word, &watched)
    }

    fn changed(&mut self, word: &str, watched: &WatchedObject) -> Result<Bytes, Status> {
        if self.form.shape == Shape::Object {
            if self.resource.is_stored_version() {
                return Ok(watched.line());
            }
            let object = self.resource.presented(watched.object());
            return Ok(line_of(word, &object));
        }
        let object = self.resource.presented(watched.object());
        let object: Value = serde_json::from_slice(&object).map_err(Status::internal)?;
        self.shaped(word, &object)
    }

    fn shaped(&mut self, word: &str, object: &Value) -> Result<Bytes, Status> {
        let told = std::mem::replace(&mut self.told, true);
        let headers = if told { Headers::Hidden } else { Headers::Shown };
        let shaped = self.shaper.single(object, self.form, headers)?;
        Ok(line_of(word, shaped.to_string().as_bytes()))
    }

    fn bookmark(&mut self, revision: &str, end: bool) -> Result<Bytes, Status> {
        let facts = self.resource.facts;
        let mut metadata = json!({"resourceVersion": revision});
        if end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let mut object = json!({
            "kind": facts.kind,
            "apiVersion": facts.api_version(),
            "metadata": metadata,
        });
        // Compat: a bookmark is a table without rows, and tells the columns when it comes first.
        if let Shape::Table(_) = self.form.shape {
            let told = std::mem::replace(&mut self.told, true);
            let headers = if told { Headers::Hidden } else { Headers::Shown };
            object = self.shaper.bookmark_table(&object["metadata"], self.form, headers);
        } else if self.form.shape == Shape::Object {
            // Compat: a bookmark is an empty object of its kind, with what Go writes even then.
            let typed = normalize(Schema::builtin(), self.resource.type_id, object);
            object = typed.map_err(|error| Status::internal(error.message))?;
            // Compat: it is made from the internal object: its annotations that are fields there
            // are told of, and its count of replicas is never unset.
            if let Some((name, zero)) = self.resource.rule.internal_annotation {
                object["metadata"]["annotations"][name] = zero.into();
            }
            if facts.group == "apps" && facts.subresource("scale").is_some() {
                object["spec"]["replicas"] = 0.into();
            }
        } else {
            object = self.shaper.single(&object, self.form, Headers::Hidden)?;
        }
        Ok(line_of("BOOKMARK", object.to_string().as_bytes()))
    }
}

fn line_of(word: &str, object: &[u8]) -> Bytes {
    let mut line = BytesMut::with_capacity(object.len() + word.len() + 24);
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(word.as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    line.freeze()
}

fn error_line(status: &Status) -> Bytes {
    line_of("ERROR", &status.to_json())
}
