//! A watcher of every key on one member, resumed at the next revision whenever its stream ends.
//!
//! Must not know: what it should have seen.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bytes::Bytes;
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{WatchCreateRequest, WatchRequest};
use proto::mvccpb::Event;
use proto::mvccpb::event::EventType;
use services::etcdserverpb::watch_client::WatchClient;
use tokio::task::JoinHandle;

use crate::process::{self, POLL};
use checkers::history::Change;

/// What one watcher was told since it started.
pub(crate) struct Watcher {
    changes: Arc<Mutex<Vec<Change>>>,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Watches every key from the revision on.
    pub(crate) fn start(url: String, start_revision: i64) -> Self {
        let changes = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(follow(url, start_revision, Arc::clone(&changes)));
        Self { changes, task }
    }

    /// Ends without asking for more: its member is gone.
    pub(crate) fn abandon(self) {
        self.task.abort();
    }

    /// Waits until the revision was delivered, then ends and gives what was seen.
    pub(crate) async fn finish(self, revision: i64, deadline: Duration) -> Result<Vec<Change>> {
        let until = Instant::now() + deadline;
        while last_revision(&self.changes) < revision {
            if Instant::now() > until {
                let last = last_revision(&self.changes);
                bail!("a watch is at revision {last} and should be at {revision}");
            }
            crate::pause::pause(POLL).await;
        }
        self.task.abort();
        Ok(std::mem::take(
            &mut self.changes.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
        ))
    }
}

fn last_revision(changes: &Mutex<Vec<Change>>) -> i64 {
    let changes = changes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    changes.last().map_or(0, |change| change.revision)
}

async fn follow(url: String, start_revision: i64, changes: Arc<Mutex<Vec<Change>>>) {
    loop {
        let next = last_revision(&changes).max(start_revision - 1) + 1;
        // Whatever ended the stream, the next one starts after the last revision seen.
        let _ = one_stream(&url, next, &changes).await;
        crate::pause::pause(POLL).await;
    }
}

async fn one_stream(url: &str, start_revision: i64, changes: &Mutex<Vec<Change>>) -> Result<()> {
    let everything = Bytes::from_static(b"\0");
    let create = WatchCreateRequest {
        key: everything.clone(),
        range_end: everything,
        start_revision,
        ..WatchCreateRequest::default()
    };
    let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    let (requests, outgoing) = tokio::sync::mpsc::channel(1);
    requests.send(request).await?;
    let mut client =
        WatchClient::new(process::dial(url).await?).max_decoding_message_size(usize::MAX);
    let mut answers =
        client.watch(tokio_stream::wrappers::ReceiverStream::new(outgoing)).await?.into_inner();
    while let Some(answer) = answers.message().await? {
        if answer.canceled {
            bail!("canceled: {}", answer.cancel_reason);
        }
        let told = answer.events.iter().filter_map(change);
        changes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(told);
    }
    Ok(())
}

fn change(event: &Event) -> Option<Change> {
    let kv = event.kv.as_ref()?;
    let deleted = event.r#type == EventType::Delete as i32;
    Some(Change {
        revision: kv.mod_revision,
        key: String::from_utf8_lossy(&kv.key).into_owned(),
        value: (!deleted).then(|| String::from_utf8_lossy(&kv.value).into_owned()),
    })
}
