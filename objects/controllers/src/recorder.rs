//! Events: what controllers tell people, as core/v1 Events that `kubectl describe` shows.
//!
//! Invariants: recording never waits and never fails a controller: when too much is recorded,
//! events are dropped. The same event again raises `count` instead of adding an object; many alike
//! in a short time become one; a single object gets a burst and then a trickle.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Resource};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::is_not_found;

/// Events waiting to be sent; more are dropped.
const WAITING_MAX: usize = 1000;
/// Remembered events; when full, all are forgotten and counts start anew.
const REMEMBERED_MAX: usize = 4096;
/// This many alike within [`ALIKE_WINDOW`] become one. Compat: Kubernetes' event correlator.
const ALIKE_MAX: usize = 10;
const ALIKE_WINDOW: Duration = Duration::from_secs(600);
/// One object of one component gets this many at once, then one per [`REFILL`].
const BURST: f64 = 25.0;
const REFILL: Duration = Duration::from_secs(300);

/// Whether an event is good news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The usual course of things.
    Normal,
    /// Somebody may want to act.
    Warning,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Records events in the name of one component. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    component: &'static str,
    sink: EventSink,
}

impl Recorder {
    /// A recorder for this component.
    pub fn new(component: &'static str, sink: EventSink) -> Self {
        Self { component, sink }
    }

    /// Good news of an object.
    pub fn normal<K>(&self, about: &K, reason: &str, message: impl Into<String>)
    where
        K: Resource<DynamicType = ()>,
    {
        self.record(reference_to(about), Severity::Normal, reason, message.into());
    }

    /// Bad news of an object.
    pub fn warning<K>(&self, about: &K, reason: &str, message: impl Into<String>)
    where
        K: Resource<DynamicType = ()>,
    {
        self.record(reference_to(about), Severity::Warning, reason, message.into());
    }

    /// News of an object that is known by reference.
    pub fn record(
        &self,
        about: ObjectReference,
        severity: Severity,
        reason: &str,
        message: String,
    ) {
        let news =
            News { component: self.component, about, severity, reason: reason.into(), message };
        // A full channel drops the event: telling people must not slow the work down.
        let _ = self.sink.to.try_send(news);
    }
}

/// A reference to an object, for events.
pub fn reference_to<K: Resource<DynamicType = ()>>(object: &K) -> ObjectReference {
    let meta = object.meta();
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        field_path: None,
    }
}

/// Where recorders send to; one task writes for all of them.
#[derive(Debug, Clone)]
pub struct EventSink {
    to: mpsc::Sender<News>,
}

impl EventSink {
    /// Starts the task that writes events. What is still waiting at shutdown is dropped.
    pub fn start(client: Client, shutdown: CancellationToken, tasks: &TaskTracker) -> Self {
        let (to, mut from) = mpsc::channel(WAITING_MAX);
        let mut correlator = Correlator::default();
        tasks.spawn(async move {
            loop {
                let news = tokio::select! {
                    () = shutdown.cancelled() => return,
                    news = from.recv() => news,
                };
                let Some(news) = news else { return };
                if let Some(write) = correlator.correlate(news, Instant::now())
                    && let Some(name) = send(&client, &write).await
                {
                    correlator.sent(write.key, name, write.count, write.first);
                }
            }
        });
        Self { to }
    }
}

/// What a recorder was told.
#[derive(Debug)]
struct News {
    component: &'static str,
    about: ObjectReference,
    severity: Severity,
    reason: String,
    message: String,
}

/// Two events with the same key are the same event again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct EventKey {
    component: &'static str,
    object: [String; 4],
    severity: Severity,
    reason: String,
    /// Empty for the event that stands for many alike.
    message: String,
}

#[derive(Debug)]
struct Write {
    key: EventKey,
    news: News,
    count: i32,
    first: Timestamp,
    /// The event to raise the count of; none to create one.
    existing: Option<String>,
}

#[derive(Debug, Default)]
struct Correlator {
    sent: HashMap<EventKey, (String, i32, Timestamp)>,
    alike: HashMap<EventKey, (Instant, Vec<String>)>,
    budgets: HashMap<(&'static str, [String; 4]), (Instant, f64)>,
}

impl Correlator {
    /// What is to be written of this news, if anything.
    fn correlate(&mut self, mut news: News, now: Instant) -> Option<Write> {
        self.bound();
        let object = [&news.about.kind, &news.about.namespace, &news.about.name, &news.about.uid]
            .map(|part| part.clone().unwrap_or_default());
        let mut key = EventKey {
            component: news.component,
            object: object.clone(),
            severity: news.severity,
            reason: news.reason.clone(),
            message: String::new(),
        };
        if self.one_of_many(&key, &news.message, now) {
            news.message = format!("(combined from similar events): {}", news.message);
        } else {
            key.message.clone_from(&news.message);
        }
        if !self.within_budget((news.component, object), now) {
            return None;
        }
        let known = self.sent.get(&key);
        Some(Write {
            count: known.map_or(1, |(_, count, _)| count.saturating_add(1)),
            first: known.map_or_else(Timestamp::now, |(_, _, first)| *first),
            existing: known.map(|(name, ..)| name.clone()),
            key,
            news,
        })
    }

    fn sent(&mut self, key: EventKey, name: String, count: i32, first: Timestamp) {
        self.sent.insert(key, (name, count, first));
    }

    fn one_of_many(&mut self, key: &EventKey, message: &str, now: Instant) -> bool {
        let (last, messages) = self.alike.entry(key.clone()).or_insert_with(|| (now, Vec::new()));
        if now.duration_since(*last) > ALIKE_WINDOW {
            messages.clear();
        }
        *last = now;
        if messages.iter().any(|m| m == message) {
            return messages.len() >= ALIKE_MAX;
        }
        if messages.len() < ALIKE_MAX {
            messages.push(message.to_owned());
        }
        messages.len() >= ALIKE_MAX
    }

    fn within_budget(&mut self, object: (&'static str, [String; 4]), now: Instant) -> bool {
        let (at, budget) = self.budgets.entry(object).or_insert((now, BURST));
        let earned = now.duration_since(*at).as_secs_f64() / REFILL.as_secs_f64();
        *budget = (*budget + earned).min(BURST);
        *at = now;
        if *budget < 1.0 {
            return false;
        }
        *budget -= 1.0;
        true
    }

    fn bound(&mut self) {
        if self.sent.len() > REMEMBERED_MAX {
            self.sent.clear();
        }
        if self.alike.len() > REMEMBERED_MAX {
            self.alike.clear();
        }
        if self.budgets.len() > REMEMBERED_MAX {
            self.budgets.clear();
        }
    }
}

/// Writes the event; its name if that succeeded. A failure is logged and forgotten.
async fn send(client: &Client, write: &Write) -> Option<String> {
    let namespace = write.news.about.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let api = Api::<Event>::namespaced(client.clone(), &namespace);
    if let Some(name) = &write.existing {
        let patch = json!({
            "count": write.count,
            "lastTimestamp": Time(Timestamp::now()),
            "message": write.news.message,
        });
        match api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(_) => return Some(name.clone()),
            // Events live an hour; a forgotten one begins anew.
            Err(error) if is_not_found(&error) => {}
            Err(error) => {
                tracing::debug!(%error, "an event was not written");
                return None;
            }
        }
    }
    let event = event_of(write, namespace);
    match api.create(&PostParams::default(), &event).await {
        Ok(created) => created.metadata.name,
        Err(error) => {
            tracing::debug!(%error, "an event was not written");
            None
        }
    }
}

fn event_of(write: &Write, namespace: String) -> Event {
    let now = Timestamp::now();
    let about = write.news.about.name.as_deref().unwrap_or("unknown");
    Event {
        metadata: ObjectMeta {
            // Compat: the object's name and the time in hexadecimal nanoseconds.
            name: Some(format!("{about}.{:x}", now.as_nanosecond())),
            namespace: Some(namespace),
            ..ObjectMeta::default()
        },
        involved_object: write.news.about.clone(),
        type_: Some(write.news.severity.word().to_owned()),
        reason: Some(write.news.reason.clone()),
        message: Some(write.news.message.clone()),
        count: Some(write.count),
        first_timestamp: Some(Time(write.first)),
        last_timestamp: Some(Time(now)),
        source: Some(EventSource { component: Some(write.news.component.to_owned()), host: None }),
        reporting_component: Some(write.news.component.to_owned()),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(message: &str) -> News {
        News {
            component: "test",
            about: ObjectReference { name: Some("a".into()), ..ObjectReference::default() },
            severity: Severity::Normal,
            reason: "Because".into(),
            message: message.into(),
        }
    }

    fn write(correlator: &mut Correlator, message: &str, at: Instant) -> Option<(i32, String)> {
        let write = correlator.correlate(news(message), at)?;
        let name = write.existing.clone().unwrap_or_else(|| message.to_owned());
        correlator.sent(write.key, name, write.count, write.first);
        Some((write.count, write.news.message))
    }

    #[test]
    fn the_same_event_again_raises_its_count() {
        let (mut correlator, now) = (Correlator::default(), Instant::now());
        assert_eq!(write(&mut correlator, "m", now), Some((1, "m".into())));
        assert_eq!(write(&mut correlator, "m", now), Some((2, "m".into())));
        assert_eq!(write(&mut correlator, "other", now), Some((1, "other".into())));
    }

    #[test]
    fn many_alike_become_one_and_then_a_trickle() {
        let (mut correlator, now) = (Correlator::default(), Instant::now());
        for i in 0..9 {
            assert_eq!(write(&mut correlator, &format!("m{i}"), now).expect("sent").0, 1);
        }
        let tenth = write(&mut correlator, "m9", now).expect("sent");
        assert_eq!(tenth, (1, "(combined from similar events): m9".into()));
        assert_eq!(write(&mut correlator, "m10", now).expect("sent").0, 2);
        let more = (11..40).filter(|i| write(&mut correlator, &format!("m{i}"), now).is_some());
        assert_eq!(more.count(), 14, "25 in a burst");
        assert!(write(&mut correlator, "later", now + REFILL).is_some());
    }
}
