//! Sending spans in batches, and saying when that begins to fail and when it works again.
//! Must not know: which calls are told.

use std::time::Duration;

use http::uri::PathAndQuery;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use super::call::{Done, text};
use super::wire::{ExportRequest, ExportResponse, Resource, ResourceSpans, Scope, ScopeSpans};
use super::{CLOSED_WITHIN, SCOPE, wire};
use crate::config::SpanSettings;
use crate::version::ENGRAM_VERSION;

/// Most spans of one message. *Source*: OpenTelemetry's default.
const BATCH_MAX: usize = 512;
/// How long a span waits for others to be sent with.
const BATCH_WITHIN: Duration = Duration::from_secs(1);
/// How long sending one batch may take. *Source*: OpenTelemetry's default.
const SENT_WITHIN: Duration = Duration::from_secs(10);

/// The one task that sends.
pub(super) struct Export {
    channel: Channel,
    address: String,
    resource: Resource,
    queue: mpsc::Receiver<Box<Done>>,
    stop: watch::Receiver<bool>,
    fails: bool,
}

impl Export {
    /// *Errors*: the address cannot be one. Must be called on a tokio runtime.
    pub(super) fn new(
        settings: &SpanSettings,
        queue: mpsc::Receiver<Box<Done>>,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, String> {
        let address = settings.address.clone();
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| format!("--distributed-tracing-address {address:?}: {error}"))?;
        let channel = endpoint.connect_timeout(SENT_WITHIN).connect_lazy();
        let mut attributes = vec![text("service.name", settings.service_name.clone())];
        attributes.extend(settings.instance_id.clone().map(|id| text("service.instance.id", id)));
        let resource = Resource { attributes };
        Ok(Export { channel, address, resource, queue, stop, fails: false })
    }

    /// Sends until the member stops, and then what is left.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::new();
        while let Some(first) = self.next().await {
            batch.push(*first);
            let full = sleep(BATCH_WITHIN);
            tokio::pin!(full);
            while batch.len() < BATCH_MAX {
                tokio::select! {
                    () = &mut full => break,
                    next = self.next() => match next {
                        Some(next) => batch.push(*next),
                        None => break,
                    },
                }
            }
            self.send(&mut batch, SENT_WITHIN).await;
        }
        while let Ok(last) = self.queue.try_recv() {
            batch.push(*last);
        }
        if !batch.is_empty() {
            self.send(&mut batch, CLOSED_WITHIN).await;
        }
    }

    /// *Shape*: none when the member stops.
    async fn next(&mut self) -> Option<Box<Done>> {
        tokio::select! {
            next = self.queue.recv() => next,
            _ = self.stop.wait_for(|stop| *stop) => None,
        }
    }

    async fn send(&mut self, batch: &mut Vec<Done>, within: Duration) {
        let count = batch.len();
        let spans = batch.drain(..).map(|done| done.into_wire()).collect();
        let sent = timeout(within, self.export(spans)).await;
        let sent = sent.unwrap_or_else(|_| Err(format!("no answer within {within:?}")));
        let (address, failed_before) = (&self.address, self.fails);
        self.fails = sent.is_err();
        match sent {
            Err(error) if !failed_before => tracing::warn!(
                address,
                spans = count,
                error,
                "spans cannot be sent to the collector; they are dropped until it takes them"
            ),
            Ok(()) if failed_before => {
                tracing::info!(address, spans = count, "spans are sent to the collector again");
            }
            _ => {}
        }
    }

    async fn export(&self, spans: Vec<wire::Span>) -> Result<(), String> {
        let scope = Scope { name: SCOPE.to_owned(), version: ENGRAM_VERSION.to_owned() };
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
        let resource = Some(self.resource.clone());
        let request =
            ExportRequest { resource_spans: vec![ResourceSpans { resource, scope_spans }] };
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(|error| innermost(&error))?;
        let codec = ProstCodec::<ExportRequest, ExportResponse>::default();
        let path = PathAndQuery::from_static(wire::EXPORT);
        let answer = grpc.unary(tonic::Request::new(request), path, codec).await;
        answer.map(drop).map_err(|status| status.message().to_owned())
    }
}

/// What is at the bottom of it: the layers above say nothing.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
