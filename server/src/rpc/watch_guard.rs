//! Holds the open watches of one stream against what their users may still read.
//!
//! Invariants: a watch that its user may not read any more sends no event after this member knows,
//! and ends with etcd's refusal as the reason; a token that ends does not end the watches that were
//! made with it. Stricter than etcd, which looks only when a watch is made.
//! Must not know: events, and how the hub keeps watches.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use proto::etcdserverpb::WatchCreateRequest;
use proto::spliced::WatchResponse;
use proto::status::EtcdError;
use store::Reader;
use store::auth::{Asker, Call};

use crate::errors::status;

/// Compat: an empty key means the smallest one, in a watch.
const FIRST_KEY: &[u8] = b"\0";

/// Who made a watch, known once the watch was allowed; nobody while authentication is off.
pub(crate) type Owner = Arc<OnceLock<Arc<str>>>;

/// What a watch sees.
pub(crate) struct Watched {
    key: Bytes,
    range_end: Bytes,
    owner: Owner,
}

impl Watched {
    /// What is asked for, and where its owner will be told.
    pub(crate) fn of(create: &WatchCreateRequest) -> (Self, Owner) {
        let owner = Owner::default();
        let key = match create.key.is_empty() {
            true => Bytes::from_static(FIRST_KEY),
            false => create.key.clone(),
        };
        let range_end = create.range_end.clone();
        (Watched { key, range_end, owner: Arc::clone(&owner) }, owner)
    }

    fn call(&self) -> Call<'_> {
        Call::Watch { key: &self.key, range_end: &self.range_end }
    }

    /// Why its owner may not have it now; `None` when it may.
    pub(crate) fn refusal(&self, reader: &Reader) -> Option<EtcdError> {
        match self.owner.get() {
            Some(name) if !name.is_empty() => reader.permit_now(name, &self.call()).err(),
            _ => reader.permit(Asker::default(), &self.call()).err(),
        }
    }
}

/// The call that a watch request is. Compat: in the words in which it came, with the key that an
/// empty one means.
pub(crate) fn call_of(create: &WatchCreateRequest) -> Call<'_> {
    let key: &[u8] = if create.key.is_empty() { FIRST_KEY } else { &create.key };
    Call::Watch { key, range_end: &create.range_end }
}

/// See the module's page.
#[derive(Default)]
pub(crate) struct Guard {
    /// Asked for, in order; the hub answers in the same order.
    asked: VecDeque<Watched>,
    open: HashMap<i64, Watched>,
    /// Watches that lost their right, until the hub has ended them.
    ending: HashMap<i64, EtcdError>,
}

impl Guard {
    /// A watch is asked for.
    pub(crate) fn ask(&mut self, watched: Watched) {
        self.asked.push_back(watched);
    }

    /// The last one asked for was refused before the hub heard of it.
    pub(crate) fn refused(&mut self) {
        self.asked.pop_back();
    }

    /// Looks at all watches again: the ids of those that must end now.
    pub(crate) fn lost(&mut self, reader: &Reader) -> Vec<i64> {
        if !reader.auth_enabled() {
            return Vec::new();
        }
        let lost: Vec<(i64, EtcdError)> = self
            .open
            .iter()
            .filter_map(|(id, watched)| Some((*id, watched.refusal(reader)?)))
            .filter(|(id, _)| !self.ending.contains_key(id))
            .collect();
        self.ending.extend(lost.iter().copied());
        lost.into_iter().map(|(id, _)| id).collect()
    }

    /// Looks at one watch again: its user may have lost the right while it was made.
    pub(crate) fn has_lost(&mut self, reader: &Reader, id: i64) -> bool {
        if !reader.auth_enabled() || self.ending.contains_key(&id) {
            return false;
        }
        let refusal = self.open.get(&id).and_then(|watched| watched.refusal(reader));
        refusal.is_some_and(|refusal| self.ending.insert(id, refusal).is_none())
    }

    /// What of an answer may leave: nothing but its end, for a watch that lost its right.
    pub(crate) fn pass(&mut self, mut answer: WatchResponse) -> Option<WatchResponse> {
        if answer.created {
            let watched = self.asked.pop_front();
            if let (Some(watched), false) = (watched, answer.canceled) {
                self.open.insert(answer.watch_id, watched);
            }
            return Some(answer);
        }
        if answer.canceled {
            self.open.remove(&answer.watch_id);
            if let Some(refusal) = self.ending.remove(&answer.watch_id) {
                answer.cancel_reason = go_text(&status(refusal));
            }
            return Some(answer);
        }
        if self.ending.contains_key(&answer.watch_id) { None } else { Some(answer) }
    }
}

/// A status as Go prints it: what etcd gives as a watch's reason.
pub(crate) fn go_text(status: &tonic::Status) -> String {
    format!("rpc error: code = {:?} desc = {}", status.code(), status.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(watch_id: i64, created: bool, canceled: bool) -> WatchResponse {
        WatchResponse { watch_id, created, canceled, ..WatchResponse::default() }
    }

    #[test]
    fn watches_are_known_by_the_hubs_answers() {
        let mut guard = Guard::default();
        for key in ["a", "b", "c"] {
            let create = WatchCreateRequest { key: key.into(), ..Default::default() };
            guard.ask(Watched::of(&create).0);
        }
        guard.refused();
        guard.pass(answer(0, true, false)).expect("passes");
        guard.pass(answer(-1, true, true)).expect("passes");
        assert_eq!(guard.open.len(), 1);
        assert_eq!(guard.open[&0].key, "a");
        guard.pass(answer(0, false, true)).expect("passes");
        assert!(guard.open.is_empty());
    }

    #[test]
    fn a_watch_that_lost_its_right_sends_its_end_alone() {
        let mut guard = Guard::default();
        guard.ask(Watched::of(&WatchCreateRequest::default()).0);
        guard.pass(answer(7, true, false)).expect("passes");
        guard.ending.insert(7, EtcdError::PermissionDenied);
        assert_eq!(guard.pass(answer(7, false, false)), None);
        assert!(guard.pass(answer(8, false, false)).is_some());
        let end = guard.pass(answer(7, false, true)).expect("passes");
        let reason = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
        assert_eq!(end.cancel_reason, reason);
    }
}
