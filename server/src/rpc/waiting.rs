//! A caller in a queue: if its call ends before its turn, its key goes.
//!
//! Invariant: the key is given up once, also when the call is dropped because its client went away.

use std::future::Future;

use tonic::Status;

use crate::coordination::{OwnClient, Place};

/// Compat: etcd's locks and elections lose the code of what went wrong inside; the text stays.
pub(crate) fn untyped(error: Status) -> Status {
    Status::unknown(error.message())
}

/// See the module's page.
pub(crate) struct Waiting {
    pub(crate) client: OwnClient,
    pub(crate) place: Place,
    leaves: bool,
}

impl Waiting {
    pub(crate) fn new(client: OwnClient, place: Place) -> Self {
        Self { client, place, leaves: true }
    }

    /// Waits, but no longer than the member serves.
    pub(crate) async fn until<T>(
        &self,
        what: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let mut end = self.client.end();
        tokio::select! {
            biased;
            end = end.reached() => Err(end),
            done = what => done,
        }
    }

    /// The turn has come: the key stays.
    pub(crate) fn done(mut self) {
        self.leaves = false;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.leaves {
            return;
        }
        let (client, place) = (self.client.clone(), self.place.clone());
        tokio::spawn(async move {
            // Nobody is left to be told; the lease takes the key if this does not.
            if let Err(error) = place.leave(&client).await {
                tracing::debug!(%error, "a place in a queue was not given up");
            }
        });
    }
}
