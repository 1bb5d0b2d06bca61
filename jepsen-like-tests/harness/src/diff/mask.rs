//! What is not compared, each with its reason; and answers as text with that taken out.
//!
//! Must not know: how answers are obtained.

use proto::etcdserverpb::response_op::Response as OpResponse;
use proto::etcdserverpb::{
    LeaseLeasesResponse, LeaseTimeToLiveResponse, ResponseHeader, TxnResponse,
};
use tonic::{Response, Status};

/// What is left out of the comparison, and why.
pub const MASKS: &[(&str, &str)] = &[
    ("header.cluster_id, header.member_id", "drawn from each cluster's own URLs and token"),
    ("header.raft_term", "counts each cluster's own elections"),
    (
        "the order of pairs that a sort does not tell apart",
        "etcd sorts with an unstable sort; with a limit, which of the equal pairs are cut is open too, so \
         then only what was sorted by is compared",
    ),
    ("LeaseTimeToLive.ttl", "counts real seconds; the granted time and the keys are compared"),
    (
        "HashKV at a revision that was compacted at (not asked)",
        "etcd keeps the hash it took during that compaction and answers with it, and with the compacted \
         revision before it; Engram hashes what is there",
    ),
    (
        "a compaction at revision 0 (not asked)",
        "etcd answers each later HashKV of the latest revision with the hash of nothing it took then",
    ),
    (
        "a put that keeps the value or lease of a key deleted before it in one transaction (not asked)",
        "etcd 3.7.3 panics and loses the member; Engram puts an empty value, or no lease",
    ),
    (
        "a cancel of a watch that still reads its past (waited for)",
        "etcd takes such a watch out of its queue, and what it was not told by then it never is; \
         Engram reads the past sooner",
    ),
    (
        "a cancel of a watch that compaction had canceled, or its id given again (not asked)",
        "etcd keeps such a watch until it is canceled again and confirms that; Engram is done with it",
    ),
    (
        "a progress request beside such a watch or one of the future (not waited for)",
        "etcd never answers it; Engram does once its live watches are up to date",
    ),
    (
        "Status.storageVersion in the first seconds (asked again)",
        "etcd tells an older one until it has written the cluster's version, some moments after its \
         start",
    ),
    (
        "with authentication on, a range that ends before it begins (not asked)",
        "it is empty; whether etcd finds a permission for it hangs on the shape of its tree of \
         permissions, which is passed through by both ends; Engram holds it against its begin",
    ),
    (
        "an alarm request with an unknown action (not asked)",
        "etcd 3.7.3 panics and loses the member that was asked; Engram answers with no alarm",
    ),
    ("the order of LeaseLeases", "sorted by expiry, which is real time; the set is compared"),
    (
        "sizes, Raft's numbers and the leader in Status, the hash of Hash, the bytes of \
         Snapshot",
        "each server's own; whether there are any, Snapshot's trailer and what is left of \
         Status are compared",
    ),
    ("tokens", "drawn at random, or signed with the time; their form is compared"),
    (
        "the order of members and of alarms",
        "sorted by ids, which each cluster draws; members are compared by name",
    ),
    (
        "a lock or a campaign without a lease (not asked)",
        "it gets one with any id, which its key is named after",
    ),
    (
        "a second lock or campaign of one lease behind others (not asked)",
        "whether it is heard before those are gone is chance, and so is the revision it is \
         answered with",
    ),
    (
        "with authentication on, a wait for a lock or an election whose watch etcd refuses",
        "its watch for all who wait on a member has the token of whoever came first, also when that \
         counts no more",
    ),
    (
        "when a member was added, updated or removed: the first seconds (asked again)",
        "etcd calls the cluster unhealthy until its members were connected for five seconds",
    ),
    (
        "`Downgrade` with `ENABLE` and a version that etcd goes to (not asked)",
        "etcd changes its versions some time later; Engram's stay, see below",
    ),
];

/// An answer or an error as text that is equal exactly when the answers are.
pub fn text<T: std::fmt::Debug>(
    answer: Result<Response<T>, Status>,
    mask: impl FnOnce(&mut T),
) -> String {
    match answer {
        Ok(response) => {
            let mut message = response.into_inner();
            mask(&mut message);
            format!("{message:?}")
        }
        Err(status) => format!("error {:?}: {}", status.code(), status.message()),
    }
}

/// Keeps only the revision.
pub fn header(header: &mut Option<ResponseHeader>) {
    if let Some(header) = header {
        header.cluster_id = 0;
        header.member_id = 0;
        header.raft_term = 0;
    }
}

/// Masks the headers of a transaction's answer; ranges inside ask for no sort (see the generator).
pub fn txn(answer: &mut TxnResponse) {
    header(&mut answer.header);
    for operation in &mut answer.responses {
        match &mut operation.response {
            Some(OpResponse::ResponseRange(range)) => header(&mut range.header),
            Some(OpResponse::ResponsePut(put)) => header(&mut put.header),
            Some(OpResponse::ResponseDeleteRange(delete)) => header(&mut delete.header),
            Some(OpResponse::ResponseTxn(nested)) => txn(nested),
            None => {}
        }
    }
}

/// Masks what counts real seconds.
pub fn time_to_live(answer: &mut LeaseTimeToLiveResponse) {
    header(&mut answer.header);
    answer.ttl = answer.ttl.signum();
    answer.keys.sort();
}

/// Masks what is ordered by real time.
pub fn leases(answer: &mut LeaseLeasesResponse) {
    header(&mut answer.header);
    answer.leases.sort_by_key(|lease| lease.id);
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_of_differences_lists_every_mask() {
        let page = include_str!("../../../../docs/compatibility/differences.md");
        let listed = |row: &(&str, &str)| page.contains(&format!("| {} | {} |", row.0, row.1));
        for row in super::MASKS.iter().chain(crate::bad_input::OURS_ALONE) {
            assert!(listed(row), "the page lacks {row:?}");
        }
    }
}
