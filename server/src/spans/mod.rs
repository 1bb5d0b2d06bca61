//! Telling an OpenTelemetry collector of each client call: `--enable-distributed-tracing`.
//!
//! Invariants: a call waits for nothing here: its span goes into a bounded queue, or is dropped
//! when that is full; one task sends the queue's spans in batches, with a deadline; a collector
//! that is not there costs that task's time and the queue's room, and is said once.
//! Compat: the span of otelgrpc that etcd has for a call: name, attributes, status, parent, and who
//! samples. The messages are written here (`wire`): OpenTelemetry's crates would be six more, for
//! the one message that is sent. Must not know: what a call does.

mod call;
mod export;
mod parent;
mod wire;

use std::time::Duration;

use http::Request;
use parking_lot::Mutex;
use rand::Rng as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub(crate) use call::CallSpan;
use call::Done;
use export::Export;
use parent::Parent;

use crate::clock::since_1970;
use crate::config::{SAMPLES_OF, SpanSettings};
use crate::doors::ConnectionInfo;
use crate::metrics::calls::Stopwatch;

/// Spans that wait to be sent; further ones are dropped. *Source*: OpenTelemetry's default.
const QUEUED_MAX: usize = 2048;
/// How long the end of the member waits for the last spans to be sent.
const CLOSED_WITHIN: Duration = Duration::from_millis(500);
/// Who says that it made a span. Compat: etcd's, so that what looks for it finds ours.
const SCOPE: &str = "go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc";

/// The way of spans to the collector.
#[derive(Debug)]
pub(crate) struct Spans {
    queue: mpsc::Sender<Box<Done>>,
    stop: watch::Sender<bool>,
    sending: Mutex<Option<JoinHandle<()>>>,
    /// Of so many calls in a million that no caller has decided about.
    samples: u32,
}

impl Spans {
    /// Begins. Must be called on a tokio runtime, which then does the sending.
    ///
    /// *Errors*: the address cannot be one. That nobody listens there is none.
    pub(crate) fn open(settings: &SpanSettings) -> Result<Self, String> {
        let (queue, queued) = mpsc::channel(QUEUED_MAX);
        let (stop, stopped) = watch::channel(false);
        let export = Export::new(settings, queued, stopped)?;
        tracing::info!(
            address = settings.address,
            "service-name" = settings.service_name,
            "service-instance-id" = settings.instance_id,
            "sampling-rate" = settings.samples,
            "distributed tracing setup enabled"
        );
        let sending = Mutex::new(Some(tokio::spawn(export.run())));
        Ok(Spans { queue, stop, sending, samples: settings.samples })
    }

    /// Begins the span of a call, unless nobody wants it. Compat: a caller that says whether it
    /// tells of its own span decides for ours too.
    pub(crate) fn start<B>(&self, request: &Request<B>) -> Option<Box<CallSpan>> {
        let parent = Parent::read(request.headers());
        let is_wanted = parent.as_ref().map_or_else(|| self.draws(), |parent| parent.is_sampled);
        if !is_wanted {
            return None;
        }
        let mut random = crate::random::secrets();
        let trace_id = parent.as_ref().map_or_else(|| random.random(), |parent| parent.trace_id);
        let local = request.extensions().get::<ConnectionInfo>().and_then(|info| info.local);
        let done = Done {
            method: request.uri().path().trim_start_matches('/').to_owned(),
            trace_id,
            span_id: random.random(),
            parent_id: parent.as_ref().map(|parent| parent.span_id),
            trace_state: parent.map(|parent| parent.state).unwrap_or_default(),
            local,
            began_since_1970: since_1970(),
            took: Duration::ZERO,
            code: 0,
            message: String::new(),
        };
        Some(Box::new(CallSpan { done, since: Stopwatch::start(), queue: self.queue.clone() }))
    }

    fn draws(&self) -> bool {
        match self.samples {
            0 => false,
            SAMPLES_OF => true,
            samples => crate::random::secrets().random_range(0..SAMPLES_OF) < samples,
        }
    }

    /// Sends what waits, if that can be done soon.
    pub(crate) async fn close(&self) {
        self.stop.send_replace(true);
        let sending = self.sending.lock().take();
        if let Some(sending) = sending
            && tokio::time::timeout(CLOSED_WITHIN, sending).await.is_err()
        {
            tracing::debug!("the last spans were not sent");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(samples: u32) -> SpanSettings {
        let address = "127.0.0.1:1".to_owned();
        SpanSettings { address, service_name: "etcd".to_owned(), instance_id: None, samples }
    }

    fn wanted(spans: &Spans, calls: usize) -> usize {
        (0..calls).filter(|_| spans.start(&Request::new(())).is_some()).count()
    }

    #[tokio::test]
    async fn as_many_calls_are_told_as_the_rate_says() {
        let spans = |samples| Spans::open(&settings(samples)).expect("it is an address");
        assert_eq!(wanted(&spans(0), 100), 0);
        assert_eq!(wanted(&spans(SAMPLES_OF), 100), 100);
        let some = wanted(&spans(SAMPLES_OF / 4), 4000);
        assert!((700..1300).contains(&some), "a quarter of 4000, not {some}");
    }

    #[tokio::test]
    async fn what_nobody_takes_is_dropped_and_not_waited_for() {
        let (queue, mut queued) = mpsc::channel(2);
        let spans = Spans {
            queue,
            stop: watch::Sender::new(false),
            sending: Mutex::new(None),
            samples: SAMPLES_OF,
        };
        for _ in 0..10 {
            spans.start(&Request::new(())).expect("wanted").end(0);
        }
        drop(spans);
        let mut kept = 0;
        while queued.recv().await.is_some() {
            kept += 1;
        }
        assert_eq!(kept, 2);
    }
}
