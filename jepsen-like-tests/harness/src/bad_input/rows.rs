//! The sixty cases: what goes in, what comes out, what stays, and which checks prove it. The first
//! thirty-four are gRPC's.
//!
//! Invariants: each number from 1 to 60 has one row; each check that a row names exists, and those
//! of this suite ran in a whole run.
//!
//! Must not know: how a check works.

use super::services;

/// One of the sixty.
pub(super) struct Row {
    pub(super) number: u8,
    pub(super) input: &'static str,
    /// The exact error text and code, or what is served.
    pub(super) answer: &'static str,
    /// What must not change, or not grow.
    pub(super) unchanged: &'static str,
    pub(super) checks: &'static [Check],
}

/// Something that fails when the row does not hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Check {
    /// Every case of the row in this suite's table of services.
    Services,
    /// A check of this suite, by its name.
    Suite(&'static str),
    /// A test: its file from the root, its name.
    Test(&'static str, &'static str),
    /// A line of another suite: the suite, the file of its cases, the line or its name.
    Case(&'static str, &'static str, &'static str),
}

use Check::{Case, Services, Suite, Test};

pub(super) const fn row(
    number: u8,
    input: &'static str,
    answer: &'static str,
    unchanged: &'static str,
    checks: &'static [Check],
) -> Row {
    Row { number, input, answer, unchanged, checks }
}

/// All rows, in order.
pub(super) fn all() -> impl Iterator<Item = &'static Row> {
    GRPC.iter().chain(super::rows_beyond_grpc::ROWS)
}

/// Number and name of each check of this suite that a row names.
pub(super) fn of_this_suite() -> Vec<(u8, &'static str)> {
    let mut named = services::names();
    for row in all() {
        named.extend(row.checks.iter().filter_map(|check| match check {
            Suite(name) => Some((row.number, *name)),
            _ => None,
        }));
    }
    named
}

const PAIRS: &str = "HashKV and revision";
const ALL: &str = "pairs, leases, members, users, roles";
const AUTH_SCRIPT: &str = "jepsen-like-tests/harness/src/auth/script.rs";
const HUB: &str = "watch/tests/hub/creating_and_canceling.rs";
const ETCDCTL: &str = "jepsen-like-tests/harness/src/etcdctl/transcript.txt";

const GRPC: &[Row] = &[
    row(
        1,
        "put or delete with an empty key",
        "`InvalidArgument: etcdserver: key is not provided`",
        PAIRS,
        &[Services],
    ),
    row(2, "range end before the key", "an empty answer, `count: 0`", PAIRS, &[Services]),
    row(
        3,
        "range end `\\0` alone; with a grant of one key",
        "everything from the key on; `PermissionDenied: etcdserver: permission denied`",
        PAIRS,
        &[
            Services,
            Test(
                "server/tests/services/auth_advisories.rs",
                "a_watch_without_an_end_needs_all_that_follows",
            ),
            Case("authentication", AUTH_SCRIPT, "(\"x\", \"\\0\")"),
        ],
    ),
    row(
        4,
        "keys of 1 byte, 64 KiB, 1.5 MiB",
        "taken up to the limit, then `InvalidArgument: etcdserver: request is too large`",
        PAIRS,
        &[Services],
    ),
    row(
        5,
        "a value at the limit, and one byte more",
        "the last byte that fits is etcd's",
        PAIRS,
        &[Services],
    ),
    row(
        6,
        "limit, revision, lease and TTL below zero; revisions compacted and to come",
        "etcd's answer for each: `OutOfRange: etcdserver: mvcc: required revision has been compacted`, …",
        PAIRS,
        &[Services],
    ),
    row(
        7,
        "a TTL of 0 and of 2^63 - 1",
        "raised to 2 s; `OutOfRange: etcdserver: too large lease TTL`",
        PAIRS,
        &[Services],
    ),
    row(
        8,
        "a lease id that is taken; id 0",
        "`FailedPrecondition: etcdserver: lease already exists`; an id is drawn",
        "leases",
        &[Services, Case("etcdctl transcripts", ETCDCTL, "$ lease grant 600")],
    ),
    row(
        9,
        "transactions of 128, 129 and no operations, and with an empty one",
        "`InvalidArgument: etcdserver: too many operations in txn request`; `key not found` for the empty one",
        PAIRS,
        &[Services],
    ),
    row(
        10,
        "transactions nested 2, 8, 9, 33, 101 deep",
        "taken up to 32; `InvalidArgument: etcdserver: too many operations in txn request`; `Internal: … recursion limit reached` above 50",
        PAIRS,
        &[
            Services,
            Test("store/src/validate.rs", "nesting_is_bounded_before_a_decoder_would_refuse_it"),
            Test(
                "proto/messages/tests/nesting.rs",
                "a_request_beyond_prosts_limit_is_an_error_and_not_a_crash",
            ),
        ],
    ),
    row(
        11,
        "one key put twice, or put and deleted, also across nested branches",
        "`InvalidArgument: etcdserver: duplicate key given in txn request`",
        PAIRS,
        &[Services],
    ),
    row(
        12,
        "a compare with another target's value, without one, of a range",
        "compared with the default, as etcd does",
        PAIRS,
        &[Services],
    ),
    row(
        13,
        "sort order and target out of range",
        "`InvalidArgument: etcdserver: invalid sort option`",
        PAIRS,
        &[Services],
    ),
    row(
        14,
        "count only, keys only and a limit; filters that cross",
        "the count alone; no pairs and the count",
        PAIRS,
        &[Services],
    ),
    row(
        15,
        "ignore_value and ignore_lease on a missing key, or with a value or lease",
        "`InvalidArgument: etcdserver: key not found`, `value is provided`, `lease is provided`",
        PAIRS,
        &[Services],
    ),
    row(
        16,
        "a put with an unknown lease",
        "`NotFound: etcdserver: requested lease not found`",
        PAIRS,
        &[Services],
    ),
    row(
        17,
        "watch ids twice and -1, an empty range, a cancel of nothing",
        "canceled with `duplicate watch ID` and `watcher range is empty`; a cancel of nothing is silent",
        PAIRS,
        &[
            Services,
            Test(HUB, "cancel_of_an_unknown_id_is_silent"),
            Test(HUB, "an_id_used_again_does_not_get_the_events_of_the_first"),
        ],
    ),
    row(
        18,
        "watches from -1, from a compacted revision, from 2^63 - 1",
        "canceled with the compacted revision; the future is waited for",
        PAIRS,
        &[Services],
    ),
    row(
        19,
        "a progress request before any watch",
        "nothing; the stream serves on",
        PAIRS,
        &[Services],
    ),
    row(
        20,
        "10,000 watches on one stream; one more than may be",
        "served; refused with its reason",
        "other streams",
        &[Services, Test(HUB, "one_watcher_too_many_is_refused")],
    ),
    row(
        21,
        "a reader that never reads",
        "its queue is bounded; others hear everything",
        "memory: 256 MiB for 2 GB that are not read",
        &[
            Suite("twenty watches whose client never reads"),
            Test(
                "watch/tests/hub/catching_up.rs",
                "a_thousand_stalled_streams_do_not_grow_the_queues",
            ),
        ],
    ),
    row(
        22,
        "floods of resets, CONTINUATION, empty DATA, PING, SETTINGS; a header of a megabyte; windows of zero; half-closed streams",
        "the connection is cut off or served; a read of another client within 3 s",
        "memory: 64 MiB for each flood; HashKV",
        &[
            Suite("streams that are reset at once"),
            Suite("headers that go on without end"),
            Suite("empty frames of data"),
            Suite("pings"),
            Suite("settings"),
            Suite("headers of a megabyte"),
            Suite("a hundred answers that no window lets through"),
            Test("server/tests/services/watch.rs", "watches_of_a_half_closed_stream_go_on"),
        ],
    ),
    row(
        23,
        "gzip that unpacks to 165 MB, that is none, that is cut off; an unknown encoding",
        "`ResourceExhausted` (8); `Internal` (13); `Unimplemented` (12)",
        "HashKV; memory: 48 MiB",
        &[
            Suite("gzip that unpacks to 165 MB"),
            Suite("gzip that is none"),
            Suite("gzip that is cut off"),
            Suite("an encoding that nobody knows"),
            Suite("compressed, and not said so"),
        ],
    ),
    row(
        24,
        "wrong content type, no `te`, frames cut off, a frame of 4 GiB, no message, two; deadlines that cannot be read or are over; the health of an unknown service",
        "etcd's HTTP and gRPC code and text for each; a frame that is cut off in its first five bytes: `UNKNOWN: unexpected EOF`; no message and no frame: `UNKNOWN: EOF`",
        "HashKV; memory: 48 MiB",
        &[
            Suite("a frame with a flag of 7"),
            Suite("a frame that is cut off"),
            Suite("four of a frame's five bytes"),
            Suite("a frame of 4 GiB"),
            Suite("no message"),
            Suite("no message and no frame"),
            Suite("two messages"),
            Suite("a stream that is cut off"),
            Suite("the content type of JSON"),
            Suite("no content type"),
            Suite("no te"),
            Suite("a content type that only begins so"),
            Suite("a content type with a part behind it"),
            Suite("a call by GET"),
            Suite("an unknown service as JSON"),
            Suite("a deadline that is none"),
            Suite("a deadline without a unit"),
            Suite("a deadline of nine digits"),
            Suite("a deadline of another unit"),
            Suite("a deadline in 11,000 years"),
            Suite("a deadline that is over"),
            Suite("a watch until its deadline"),
            Suite("the health of nobody"),
            Suite("a watch of the health of nobody"),
        ],
    ),
    row(
        25,
        "strings that are no UTF-8, unknown fields, fields of another type, groups, numbers and lengths beyond the end",
        "unknown fields are passed over; `Internal` (13) for what cannot be read",
        "HashKV; memory: 48 MiB",
        &[
            Suite("a name that is no UTF-8"),
            Suite("a field that nobody knows"),
            Suite("a field of another type"),
            Suite("a group that nobody knows"),
            Suite("a group that does not end"),
            Suite("an end of no group"),
            Suite("the field 0"),
            Suite("a number of eleven bytes"),
            Suite("a length beyond the end"),
            Suite("a length of 2^63"),
            Suite("groups nested 20,000 deep"),
        ],
    ),
    row(
        26,
        "tokens: none, forged, of another cluster, behind `Bearer `, past their end; JWTs with alg none, another key, no user",
        "`InvalidArgument: etcdserver: user name is empty`; `Unauthenticated: etcdserver: invalid auth token`",
        "nothing is read",
        &[
            Suite("no token"),
            Suite("a token of another cluster"),
            Suite("a sound token behind `Bearer `"),
            Suite("a sound JWT behind `Bearer `"),
            Suite("a JWT with alg none"),
            Suite("a JWT without its signature"),
            Suite("a JWT of another algorithm"),
            Suite("a JWT signed with another key"),
            Suite("a JWT past its end"),
            Suite("a JWT without a user"),
            Suite("a JWT whose user is a number"),
            Suite("a JWT without a revision"),
            Suite("a JWT for nobody"),
            Suite("a sound token afterwards"),
            Test("server/tests/services/auth.rs", "tokens_end_by_time_and_with_their_user"),
        ],
    ),
    row(
        27,
        "authentication without root, root deleted, roles and users that are none, empty ranges granted",
        "etcd's word for each: `FailedPrecondition: etcdserver: root user does not exist`, …",
        ALL,
        &[
            Suite("authentication switched on without root"),
            Suite("authentication switched on while root has no root role"),
            Suite("an empty range granted"),
            Suite("a range of nothing granted"),
            Suite("a role that is no role given to a user"),
            Suite("a role made twice"),
            Test("server/tests/services/auth.rs", "root_cannot_be_taken_away_while_it_guards"),
            Case("authentication", AUTH_SCRIPT, "Ask::UserDelete(\"root\")"),
        ],
    ),
    row(
        28,
        "members added twice or with bad URLs; the last removed; a voter promoted; an update to another's address",
        "etcd's word for each: `FailedPrecondition: etcdserver: Peer URLs already exists`, …",
        ALL,
        &[
            Suite("a member at the URL of another"),
            Suite("a member with no URL"),
            Suite("a member with a URL that is none"),
            Suite("a member with a path in its URL"),
            Suite("a voter promoted"),
            Suite("a learner that does not run promoted"),
            Suite("a learner moved to the URL of another"),
            Suite("one learner too many"),
            Suite("nobody removed"),
            Suite("a removed member removed again"),
            Test("server/tests/services/members.rs", "refusals_have_etcds_words_and_codes"),
            Test(
                "raft/tests/consensus/membership.rs",
                "changes_that_would_end_the_quorum_are_refused",
            ),
        ],
    ),
    row(
        29,
        "compaction at 0, at the head, beyond it, twice",
        "`OutOfRange: etcdserver: mvcc: required revision has been compacted`, `… is a future revision`",
        ALL,
        &[
            Suite("compaction beyond the newest revision"),
            Suite("compaction at the newest revision"),
            Suite("compaction twice"),
            Suite("compaction at revision 0"),
        ],
    ),
    row(
        30,
        "HashKV at a compacted revision, and at one to come",
        "`OutOfRange: etcdserver: mvcc: required revision has been compacted`, `… is a future revision`",
        ALL,
        &[Suite("a hash of a compacted revision"), Suite("a hash of the future")],
    ),
    row(
        31,
        "snapshots given up in their midst",
        "the next one is whole",
        "turns and files come back",
        &[
            Suite("a snapshot given up in its midst, twenty times"),
            Test("server/tests/services/snapshot.rs", "a_client_that_goes_away_frees_its_turn"),
        ],
    ),
    row(
        32,
        "two defragmentations at once",
        "both are done",
        PAIRS,
        &[Suite("two defragmentations at once")],
    ),
    row(
        33,
        "leadership moved to a learner, and to nobody",
        "`FailedPrecondition: etcdserver: bad leader transferee`",
        ALL,
        &[
            Suite("leadership moved to a learner"),
            Suite("leadership moved to nobody"),
            Test("server/tests/services/maintenance.rs", "a_lone_leader_cannot_move_its_office"),
        ],
    ),
    row(
        34,
        "lock and campaign under a lease that is gone; resigning twice; words of one who leads no more",
        "`etcdserver: requested lease not found`, without a code, as etcd; the second resignation is none; `election: not leader`",
        ALL,
        &[
            Suite("a lock under a lease that is gone"),
            Suite("a campaign under a lease that is gone"),
            Suite("a resignation twice"),
            Suite("a word of one who leads no more"),
            Suite("a resignation from nothing"),
            Test(
                "server/tests/services/coordination.rs",
                "a_caller_whose_lease_ends_while_it_waits_gets_no_lock",
            ),
        ],
    ),
];
