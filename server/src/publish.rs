//! What consensus tells after each applied batch: to the watchers, to the leader's time and to the
//! tokens.
//!
//! Invariant: no event is lost between the start of consensus and the opening of the hub: the hub
//! begins at the revision the reader shows when it is opened, and whoever publishes meanwhile
//! waits for that.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use store::{AppliedBatch, Reader, Revision};
use tokio::sync::watch as channel;
use watch::Hub;

use crate::auth::SimpleTokens;
use crate::clock::Clock;
use crate::lease::Leases;
use crate::metrics::counts::AppliedCounts;
use crate::tuning::Tuning;

/// Stands between the apply task and those who are told.
pub(crate) struct Publishing {
    hub: OnceLock<Hub>,
    opening: Mutex<()>,
    leases: Leases,
    counts: AppliedCounts,
    tokens: SimpleTokens,
    /// Counts what may have changed who may do what.
    auth_changes: channel::Sender<u64>,
}

impl Publishing {
    /// Nobody watches yet.
    pub(crate) fn new(clock: Arc<dyn Clock>, token_ttl: Duration, tuning: &Tuning) -> Self {
        Publishing {
            hub: OnceLock::new(),
            opening: Mutex::new(()),
            tokens: SimpleTokens::new(token_ttl, Arc::clone(&clock)),
            leases: Leases::new(clock, tuning.lease_checkpoint_interval),
            counts: AppliedCounts::new(),
            auth_changes: channel::Sender::new(0),
        }
    }

    /// What was applied so far.
    pub(crate) fn counts(&self) -> &AppliedCounts {
        &self.counts
    }

    /// Opens the hub at the reader's revision. Called once.
    pub(crate) fn open(&self, reader: &Reader, limits: watch::Limits) {
        let _nobody_publishes = self.opening.lock();
        let history: Arc<dyn watch::History> = Arc::new(reader.clone());
        let hub = Hub::new(history, limits);
        assert!(self.hub.set(hub).is_ok(), "the hub is opened once");
    }

    /// The hub. The member opens it before anybody can ask.
    pub(crate) fn hub(&self) -> &Hub {
        self.hub.get().expect("the hub is opened before the member is handed out")
    }

    /// The leader's time.
    pub(crate) fn leases(&self) -> &Leases {
        &self.leases
    }

    /// The tokens that this member remembers.
    pub(crate) fn tokens(&self) -> &SimpleTokens {
        &self.tokens
    }

    /// Changes whenever users, roles or the switch may have changed.
    pub(crate) fn auth_changes(&self) -> channel::Receiver<u64> {
        self.auth_changes.subscribe()
    }

    fn auth_changed(&self) {
        self.auth_changes.send_modify(|count| *count += 1);
    }

    fn with_hub(&self, tell: impl FnOnce(&Hub)) {
        if let Some(hub) = self.hub.get() {
            return tell(hub);
        }
        let _not_opening = self.opening.lock();
        // Not open even now: the hub will begin above this batch, which is already in the state.
        if let Some(hub) = self.hub.get() {
            tell(hub);
        }
    }
}

impl raft::Publisher for Publishing {
    fn publish(&self, batch: &AppliedBatch) {
        self.leases.applied(batch);
        self.counts.applied(batch);
        if self.tokens.applied(batch) {
            self.auth_changed();
        }
        self.with_hub(|hub| hub.publish(&batch.events));
    }

    fn installed(&self, revision: Revision) {
        // What ended tokens may be in the part of the log that was skipped.
        self.tokens.forget_all();
        self.auth_changed();
        self.with_hub(|hub| hub.installed(revision));
    }
}
