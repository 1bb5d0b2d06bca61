//! Rows 35 to 60: HTTP, Kubernetes objects, command lines, files, peers, time and sockets.
//!
//! Must not know: how a check works.

use super::rows::Check::{Case, Suite, Test};
use super::rows::{Row, row};

const GATEWAY: &str = "server/tests/services/gateway.rs";
const GATEWAY_ROWS: &str = "jepsen-like-tests/harness/src/gateway/rows.rs";
const SCANNED: &str = "server/src/http/gateway/scan.rs";
const OBJECTS: &str = "jepsen-like-tests/kubernetes/src/diff/bad_input.txt";
const OBJECTS_IN_CODE: &str = "jepsen-like-tests/kubernetes/src/diff/bad_input.rs";
const KUBERNETES: &str = "Kubernetes bad input";
const DAMAGE: &str = "raft/tests/log/damage.rs";
const ENGINES: &str = "store/rocks/tests/engine_rocks.rs";
const PAGES: &str = "store/bbolt/tests/damaged.rs";
const CONFIG: &str = "engram/tests/binary/config.rs";
const TLS: &str = "engram/tests/binary/tls.rs";
const SAME_OBJECT: &str = "the object it was aimed at, its resourceVersion";
const NO_DATA: &str = "no data directory is made or changed";

pub(super) const ROWS: &[Row] = &[
    row(
        35,
        "JSON with bad base64, numbers beyond 2^63, keys twice, 10 MB, 10,000 levels, NaN",
        "the gateway's words and codes; 429 above the limit, `proto: exceeded max recursion depth`",
        "memory: one body of the limit",
        &[
            Case("gateway", GATEWAY_ROWS, "\"limit\\\":NaN"),
            Case("gateway", GATEWAY_ROWS, "9223372036854775808"),
            Test(GATEWAY, "what_is_wrong_is_told_in_the_gateways_words"),
            Test(GATEWAY, "a_body_that_is_too_large_is_refused_and_holds_no_memory"),
            Test(SCANNED, "depth_and_size_are_bounded"),
        ],
    ),
    row(
        36,
        "a foreign Host or Origin",
        "421; no CORS headers",
        "nothing is read",
        &[
            Test(GATEWAY, "unknown_hosts_and_origins_are_kept_out"),
            Case("gateway", GATEWAY_ROWS, "Host: evil\\r\\n"),
        ],
    ),
    row(
        37,
        "headers and bodies that come slowly or never",
        "ended after 10 s; 60 s for the rest of a header",
        "memory: 12 KiB for each",
        &[Case("silent connections", "jepsen-like-tests/harness/src/silent.rs", "HalfHello")],
    ),
    row(
        38,
        "requests with two lengths, or a length and chunks",
        "400, or the chunks count, and the connection ends: never a second request",
        "nothing is written",
        &[Suite("a length and chunks"), Suite("two lengths"), Suite("a space before the colon")],
    ),
    row(
        39,
        "paths with dots and encoded slashes, wrong groups and versions, long names, bad labels",
        "kube-apiserver's status for each",
        SAME_OBJECT,
        &[
            Case(KUBERNETES, OBJECTS, "== the path /api/v1/namespaces/bad-input/configmaps/%2e%2e"),
            Case(KUBERNETES, OBJECTS, "== a name that is too long"),
            Case(KUBERNETES, OBJECTS, "== a label that is none"),
            Case(KUBERNETES, OBJECTS, "== another group"),
        ],
    ),
    row(
        40,
        "YAML with aliases that double, tabs, two documents",
        "kube-apiserver's status for each",
        SAME_OBJECT,
        &[
            Case(KUBERNETES, OBJECTS, "== aliases that double"),
            Case(KUBERNETES, OBJECTS, "== YAML with a tab"),
            Case(KUBERNETES, OBJECTS, "== YAML of two documents"),
        ],
    ),
    row(
        41,
        "patches of 10,001 operations, that copy too much, with bad pointers, of an unknown type",
        "kube-apiserver's status for each",
        SAME_OBJECT,
        &[
            Case(KUBERNETES, OBJECTS_IN_CODE, "a JSON patch of 10,001 operations"),
            Case(KUBERNETES, OBJECTS_IN_CODE, "a JSON patch that copies too much"),
            Case(KUBERNETES, OBJECTS, "== a JSON patch with a bad pointer"),
            Case(KUBERNETES, OBJECTS, "== a patch of an unknown type"),
        ],
    ),
    row(
        42,
        "watches with bad resourceVersions and timeouts, bookmarks abused",
        "kube-apiserver's status for each",
        SAME_OBJECT,
        &[
            Case(KUBERNETES, OBJECTS, "== a watch with resourceVersion=x"),
            Case(KUBERNETES, OBJECTS, "== a watch with timeoutSeconds=-1"),
            Case(KUBERNETES, OBJECTS, "== a watch with allowWatchBookmarks=perhaps"),
        ],
    ),
    row(
        43,
        "continue tokens that are forged",
        "kube-apiserver's status for each",
        SAME_OBJECT,
        &[
            Case(KUBERNETES, OBJECTS, "== a forged token x"),
            Case(KUBERNETES, OBJECTS, "== a forged token e30="),
        ],
    ),
    row(
        44,
        "limits below zero, selectors that are none",
        "kube-apiserver's status for each",
        SAME_OBJECT,
        &[
            Case(KUBERNETES, OBJECTS, "== a watch with continue=forged&limit=-1"),
            Case(KUBERNETES, OBJECTS, "== a watch with fieldSelector=x"),
        ],
    ),
    row(
        45,
        "updates that are stale, with another uid or immutable fields, bad finalizers and owners",
        "kube-apiserver's status for each",
        SAME_OBJECT,
        &[
            Case(KUBERNETES, OBJECTS, "== a stale update"),
            Case(KUBERNETES, OBJECTS, "== changing the uid"),
            Case(KUBERNETES, OBJECTS, "== changing the selector"),
            Case(KUBERNETES, OBJECTS, "== itself as owner"),
        ],
    ),
    row(
        46,
        "flags that are unknown, given twice over, below zero, too large, of the wrong kind; retention -1; heartbeat as long as an election",
        "etcd's text; code 2 for what cannot be read, 1 for what cannot be done",
        NO_DATA,
        &[
            Suite("an unknown flag"),
            Suite("a flag and its variable"),
            Suite("a variable that is no number"),
            Suite("a number below zero"),
            Suite("a number of 20 digits"),
            Suite("a size with a unit"),
            Suite("a retention of -1"),
            Suite("a retention below zero"),
            Suite("a heartbeat as long as an election"),
            Suite("an election of a minute"),
            Suite("an unknown kind of token"),
            Suite("a word for a boolean"),
            Suite("a URL that is none"),
            Test(CONFIG, "what_cannot_be_done_ends_as_etcd_ends"),
        ],
    ),
    row(
        47,
        "configuration files with keys twice, unknown keys, a gigabyte, bytes that are no UTF-8, aliases that multiply",
        "code 1 and one line; unknown keys are warned about",
        "no data directory; memory: 900 MiB at most for a gigabyte",
        &[
            Suite("a key given twice"),
            Suite("bytes that are no UTF-8"),
            Suite("aliases that multiply"),
            Suite("a file of a gigabyte"),
            Suite("a list that does not end"),
            Suite("a file that is not there"),
            Test(CONFIG, "files_that_cannot_be_read_stop_the_start_with_a_reason"),
            Test(CONFIG, "a_configuration_file_stands_alone_and_http_has_a_port_of_its_own"),
        ],
    ),
    row(
        48,
        "an initial cluster that names its member twice, or not, or elsewhere; another token",
        "etcd's text, code 1; members with another token do not hear each other",
        NO_DATA,
        &[
            Suite("a cluster that names its member twice"),
            Suite("two members with one URL"),
            Suite("a cluster without this member"),
            Suite("another URL than the member's"),
            Suite("a cluster to join where nobody is"),
            Test(
                "raft/tests/consensus/identities.rs",
                "members_of_clusters_with_another_token_do_not_hear_each_other",
            ),
        ],
    ),
    row(
        49,
        "keys of other certificates, CAs exchanged; certificates past their end or for other names",
        "etcd's text, code 1; etcd's refusal in the handshake",
        NO_DATA,
        &[
            Suite("a key of another certificate"),
            Suite("a key in the place of the certificate"),
            Suite("a key where the CAs should be"),
            Test(TLS, "tls_that_cannot_work_stops_the_start_with_a_reason"),
            Test(TLS, "who_is_let_in_and_what_the_others_hear_is_as_with_etcd"),
            Test(TLS, "a_stranger_among_peers_is_rejected_with_etcds_line"),
        ],
    ),
    row(
        50,
        "data directories that cannot be made, are files, links, in use, of etcd, of another member or release",
        "code 1, one line with the path",
        NO_DATA,
        &[
            Suite("a file in the place of the data directory"),
            Suite("a data directory below a file"),
            Suite("a link that leads nowhere"),
            Suite("a data directory that cannot be made"),
            Suite("a link to a directory"),
            Suite("a data directory of etcd"),
            Test("engram/src/data_dir.rs", "a_data_directory_is_private_and_has_one_owner"),
            Test("engram/src/data_dir.rs", "a_directory_of_etcd_is_refused_and_left_as_it_is"),
            Test(DAMAGE, "another_members_log_is_refused_by_name"),
            Test(DAMAGE, "a_later_format_is_refused_and_named"),
        ],
    ),
    row(
        51,
        "a restore onto files, of nothing, of two files, of what is no snapshot",
        "etcdutl's refusal; no directory is made",
        "what is there stays",
        &[
            Suite("a restore into a directory with files"),
            Suite("a restore of a file that is not there"),
            Suite("a restore of what is no snapshot"),
            Suite("a restore of two files"),
            Suite("a restore of nothing"),
            Suite("a revision raised by less than nothing"),
            Suite("a status of what is no snapshot"),
        ],
    ),
    row(
        52,
        "snapshots cut at their pages, altered, without a checksum, with pages in a circle; names that lead outside",
        "a code above 0 and a line that names the file",
        "no directory is made; memory: 600 MiB",
        &[
            Suite("a snapshot cut at its pages"),
            Suite("a snapshot with a bit turned"),
            Suite("a snapshot without its checksum"),
            Suite("a snapshot whose pages go in a circle"),
            Suite("a sound snapshot"),
            Test(PAGES, "a_file_cut_off_anywhere_is_refused"),
            Test(PAGES, "a_branch_that_names_itself_ends_the_walk"),
            Test(PAGES, "altered_bytes_never_panic"),
            Test(ENGINES, "file_names_that_leave_the_directory_are_refused"),
        ],
    ),
    row(
        53,
        "the log: each bit turned, lengths of 2^31, gaps, tails of zeros, another member's",
        "code 1 and the file and place; a torn end is cut",
        "every pair, or no start",
        &[
            Suite("bits turned in the log"),
            Suite("the log's file lost"),
            Suite("the log's folder lost"),
            Suite("another member's log"),
            Test(DAMAGE, "any_flipped_bit_of_a_group_that_a_later_one_tells_of_is_damage"),
            Test(DAMAGE, "a_write_torn_at_any_offset_is_cut_and_the_log_goes_on"),
            Test(DAMAGE, "a_missing_segment_in_the_middle_is_damage"),
            Test("raft/src/log/format.rs", "hostile_bodies_are_refused_without_a_panic"),
        ],
    ),
    row(
        54,
        "the state's pointer, manifest or tables lost or altered; an older copy",
        "code 1 and the file; an older state is brought up from the log",
        "every pair, or no start",
        &[
            Suite("bits turned in the manifest"),
            Suite("the pointer to the state lost"),
            Suite("the state lost"),
            Suite("the manifest's pointer lost"),
            Suite("an older state"),
            Test(ENGINES, "a_lost_pointer_is_damage_and_not_a_fresh_start"),
            Test(ENGINES, "a_lost_database_is_damage_and_not_a_fresh_start"),
        ],
    ),
    row(
        55,
        "the vote lost or older",
        "code 1 when no vote is left; one older than the state is raised to its term",
        "no second vote in a term",
        &[
            Suite("an older log, with its votes"),
            Suite("the member's identity lost"),
            Test("raft/src/log/codec.rs", "a_vote_of_another_version_or_length_is_refused"),
            Test(
                "raft/tests/consensus/identities.rs",
                "a_wiped_member_that_starts_unseen_gets_no_votes_and_gives_none",
            ),
        ],
    ),
    row(
        56,
        "bits turned in the state's tables, under reads, compaction and snapshots",
        "an error, or the member ends; never another value",
        "every pair, or no answer",
        &[
            Suite("bits turned in the tables"),
            Test("store/tests/store.rs", "damaged_rows_do_not_open"),
            Test("store/src/codec.rs", "any_flipped_bit_is_damage"),
        ],
    ),
    row(
        57,
        "calls to the port of peers: of removed members, other clusters, terms and indexes at the end of the numbers, 120 MiB, snapshots that are none",
        "`FailedPrecondition` with the reason; `Aborted: malformed message: …`; `OutOfRange`",
        "leadership, term, HashKV; memory: 64 MiB",
        &[
            Suite("a call of another cluster"),
            Suite("a call for another member"),
            Suite("a vote in the last term there is"),
            Suite("a leader of the last term there is"),
            Suite("entries behind the last index there is"),
            Suite("a commit of the last index there is"),
            Suite("entries with a gap"),
            Suite("an append of 120 MiB"),
            Suite("a snapshot with a file outside of its folder"),
            Suite("nothing is written outside of the member's folder"),
            Suite("a snapshot with an altered piece"),
            Suite("a snapshot that breaks off"),
            Suite("a vote for a member that was removed"),
            Test("raft/src/convert.rs", "numbers_after_which_none_could_follow_are_refused"),
            Test(
                "raft/src/local_identity.rs",
                "strangers_do_not_fill_the_memory_and_keep_no_known_peer_out",
            ),
        ],
    ),
    row(
        58,
        "a clock at 1970, 2038 and 2262",
        "served; leases and elections go by another clock",
        "every pair; leases end in their time",
        &[Suite("a clock at 1970"), Suite("a clock at 2038"), Suite("a clock at 2262")],
    ),
    row(
        59,
        "thousands of short TLS connections",
        "served, beside other clients",
        "memory: 64 MiB; files come back",
        &[Suite("thousands of short TLS connections")],
    ),
    row(
        60,
        "no file descriptors left",
        "connections wait; who was there is served; afterwards all are",
        "the member lives; nothing acknowledged is lost",
        &[Suite("no files left for clients"), Suite("no files left because of the peers' port")],
    ),
];
