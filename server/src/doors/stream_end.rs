//! Why a stream ends although its client goes on: the member stops, or there is no leader.

use proto::status::EtcdError;
use tokio::sync::watch as channel;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::dispatch::wants_leader;
use crate::errors::status;
use crate::member::Member;

/// The end of one stream.
pub(crate) struct StreamEnd {
    stopped: channel::Receiver<bool>,
    /// `None` for a client that did not ask for a leader.
    leaderless: Option<channel::Receiver<bool>>,
}

impl StreamEnd {
    /// The end of a stream with this metadata.
    pub(crate) fn of(member: &Member, metadata: &MetadataMap) -> Self {
        let wants = wants_leader(metadata.as_ref());
        let leaderless = wants.then(|| member.leaderless.subscribe());
        StreamEnd { stopped: member.stopped(), leaderless }
    }

    /// Waits for the end and says why. *Cancellation*: may be dropped and asked again.
    pub(crate) async fn reached(&mut self) -> Status {
        let leaderless = async {
            match &mut self.leaderless {
                Some(leaderless) => drop(leaderless.wait_for(|leaderless| *leaderless).await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.stopped.wait_for(|stopped| *stopped) => status(EtcdError::Stopped),
            () = leaderless => status(EtcdError::NoLeader),
        }
    }
}
