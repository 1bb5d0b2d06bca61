//! Rows 1 to 20: the KV, lease and watch services asked for what cannot be.
//!
//! Invariants: what is expected is written down here and holds for the real etcd too, but for the
//! cases in [`OURS_ALONE`], which say why; a refused case leaves HashKV and the revision alone.
//!
//! Must not know: how a server decodes.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use prost::Message as _;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::request_op::Request as Op;
use proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, LeaseGrantResponse,
    PutRequest, PutResponse, RangeRequest, RangeResponse, RequestOp, TxnRequest, TxnResponse,
    WatchCreateRequest,
};

use super::Outcome;
use crate::diff::generate::{STREAMS, Step};
use crate::diff::{Answer, Peer};
use crate::process::POLL;

/// Cases that the real etcd answers differently, and why ours is as it is.
pub const OURS_ALONE: &[(&str, &str)] = &[(
    "a transaction nested 101 deep",
    "the decoder stops at 100 levels of messages, two for each transaction; etcd's takes 10,000",
)];

/// What a case must be answered with.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// This error, word for word; the state stays as it is.
    Error(&'static str),
    /// An error that ends with these words (the decoder names the whole way down before them).
    ErrorEnding(&'static str),
    /// An answer that holds these words.
    Answer(&'static str),
}

/// One bad input.
struct Case {
    row: u8,
    name: &'static str,
    step: Step,
    expected: Expected,
}

/// Runs every case on both servers.
pub(super) async fn run(etcd_url: &str, engram_url: &str, outcome: &mut Outcome) -> Result<()> {
    let mut peers =
        [("etcd", Peer::open(etcd_url).await?), ("engram", Peer::open(engram_url).await?)];
    for (name, peer) in &mut peers {
        for step in preparation() {
            let answer = peer.answer(&step).await?;
            ensure!(answer.succeeded, "{name}: preparing with {step:?}: {}", answer.text);
        }
    }
    for case in cases() {
        let ours_alone = OURS_ALONE.iter().any(|(name, _)| *name == case.name);
        let mut held = Ok(());
        for (name, peer) in &mut peers {
            if *name == "etcd" && ours_alone {
                continue;
            }
            if let Some(finding) = run_case(peer, &case).await? {
                held = Err(format!("{name}: {finding}"));
            }
        }
        outcome.check(case.row, case.name, held);
    }
    let [(_, etcd), (_, engram)] = &mut peers;
    watches(etcd, engram, outcome).await
}

/// Row and name of every case.
pub(super) fn names() -> Vec<(u8, &'static str)> {
    let named = cases().into_iter().map(|case| (case.row, case.name));
    let watches = watch_cases().into_iter().map(|(row, name, ..)| (row, name));
    named.chain(watches).chain(LAST.iter().copied()).collect()
}

/// The cases that are more than one request.
const LAST: [(u8, &str); 3] = [
    (19, "a progress request before any watch"),
    (20, "10,000 watches on one stream"),
    (5, "the last byte that fits"),
];

async fn run_case(peer: &mut Peer, case: &Case) -> Result<Option<String>> {
    let before = state(peer).await?;
    let text = shown(&case.step, peer.answer(&case.step).await?)?;
    let unchanged = state(peer).await? == before;
    let wrong = match case.expected {
        Expected::Error(expected) if text != format!("error {expected}") => Some(expected),
        Expected::Answer(expected) if !text.contains(expected) => Some(expected),
        Expected::ErrorEnding(expected)
            if !(text.starts_with("error Internal: ") && text.ends_with(expected)) =>
        {
            Some(expected)
        }
        Expected::Error(_) | Expected::ErrorEnding(_) if !unchanged => Some("an unchanged state"),
        _ => None,
    };
    Ok(wrong.map(|expected| format!("expected {expected}, got {}", clip(&text))))
}

/// The answer as its own type shows it.
fn shown(step: &Step, answer: Answer) -> Result<String> {
    let Some(message) = answer.message else { return Ok(answer.text) };
    Ok(match step {
        Step::Range(_) => format!("{:?}", RangeResponse::decode(message)?),
        Step::Put(_) => format!("{:?}", PutResponse::decode(message)?),
        Step::Txn(_) => format!("{:?}", TxnResponse::decode(message)?),
        Step::Grant(_) => format!("{:?}", LeaseGrantResponse::decode(message)?),
        _ => answer.text,
    })
}

fn clip(text: &str) -> &str {
    text.char_indices().nth(300).map_or(text, |(end, _)| &text[..end])
}

/// The revision and the hash of all pairs.
async fn state(peer: &mut Peer) -> Result<String> {
    Ok(peer.answer(&Step::HashKv(0)).await?.text)
}

fn preparation() -> Vec<Step> {
    vec![
        Step::Put(put(b"a", b"1")),
        Step::Put(put(b"a", b"2")),
        Step::Put(put(b"b", b"1")),
        Step::Grant(LeaseGrantRequest { id: 77, ttl: 6000 }),
        Step::Compact(CompactionRequest { revision: 2, physical: true }),
    ]
}

fn put(key: &[u8], value: &[u8]) -> PutRequest {
    PutRequest { key: key.to_vec().into(), value: value.to_vec().into(), ..PutRequest::default() }
}

fn range(key: &[u8], range_end: &[u8]) -> RangeRequest {
    RangeRequest {
        key: key.to_vec().into(),
        range_end: range_end.to_vec().into(),
        ..RangeRequest::default()
    }
}

fn operation(request: Op) -> RequestOp {
    RequestOp { request: Some(request) }
}

fn txn_of(operations: Vec<Op>) -> TxnRequest {
    TxnRequest { success: operations.into_iter().map(operation).collect(), ..TxnRequest::default() }
}

/// A put at the bottom of transactions nested this deep.
fn nested(depth: usize) -> TxnRequest {
    (1..depth).fold(txn_of(vec![Op::RequestPut(put(b"deep", b"x"))]), |inner, _| {
        txn_of(vec![Op::RequestTxn(inner)])
    })
}

fn compare(target: CompareTarget, union: Option<TargetUnion>, range_end: &[u8]) -> Step {
    Step::Txn(TxnRequest {
        compare: vec![Compare {
            result: CompareResult::Equal as i32,
            target: target as i32,
            key: b"a".to_vec().into(),
            target_union: union,
            range_end: range_end.to_vec().into(),
        }],
        ..TxnRequest::default()
    })
}

const EMPTY_KEY: &str = "InvalidArgument: etcdserver: key is not provided";
const TOO_LARGE: &str = "InvalidArgument: etcdserver: request is too large";
const NO_LEASE: &str = "NotFound: etcdserver: requested lease not found";
const TOO_MANY: &str = "InvalidArgument: etcdserver: too many operations in txn request";
const DUPLICATE: &str = "InvalidArgument: etcdserver: duplicate key given in txn request";
const TOO_DEEP: &str = "recursion limit reached";
const BAD_SORT: &str = "InvalidArgument: etcdserver: invalid sort option";

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut case = |row, name, step, expected| cases.push(Case { row, name, step, expected });
    keys_and_sizes(&mut case);
    numbers_and_leases(&mut case);
    transactions(&mut case);
    ranges_and_options(&mut case);
    cases
}

/// By how much the length of the id in etcd's logged commands varies.
const ID_LENGTH_VARIES_BYTES: usize = 1;

type Add<'a> = &'a mut dyn FnMut(u8, &'static str, Step, Expected);

fn keys_and_sizes(case: Add<'_>) {
    use Expected::{Answer, Error};
    case(1, "put with an empty key", Step::Put(put(b"", b"x")), Error(EMPTY_KEY));
    case(
        1,
        "delete with an empty key",
        Step::Delete(DeleteRangeRequest::default()),
        Error(EMPTY_KEY),
    );
    case(2, "range end before the key", Step::Range(range(b"b", b"a")), Answer("count: 0"));
    case(3, "range end of one zero byte", Step::Range(range(b"b", b"\0")), Answer("count: 1"));
    case(4, "a key of 64 KiB", Step::Put(put(&[b'k'; 65_536], b"x")), Answer("PutResponse"));
    case(4, "a key of 1.5 MiB", Step::Put(put(&[b'k'; 1_572_864], b"x")), Error(TOO_LARGE));
    // The limit is on the command as it is logged, with a header whose length is each server's own.
    case(
        5,
        "a request near the limit",
        Step::Put(put(b"v", &[0; 1_572_800])),
        Answer("PutResponse"),
    );
    case(5, "a request over the limit", Step::Put(put(b"v", &[0; 1_572_865])), Error(TOO_LARGE));
}

fn numbers_and_leases(case: Add<'_>) {
    use Expected::{Answer, Error};
    let limited = |limit| RangeRequest { limit, ..range(b"a", b"\0") };
    let at = |revision| RangeRequest { revision, ..range(b"a", b"") };
    let leased = |lease| PutRequest { lease, ..put(b"a", b"x") };
    let grant = |id, ttl| Step::Grant(LeaseGrantRequest { id, ttl });
    case(6, "a negative limit", Step::Range(limited(-1)), Answer("more: false"));
    case(6, "a negative revision", Step::Range(at(-1)), Answer("count: 1"));
    case(6, "a negative lease id", Step::Put(leased(-3)), Error(NO_LEASE));
    case(6, "a negative time to live", grant(701, -5), Answer("ttl: 2,"));
    case(7, "a time to live of zero", grant(702, 0), Answer("ttl: 2,"));
    let too_large = "OutOfRange: etcdserver: too large lease TTL";
    case(7, "the largest time to live", grant(703, i64::MAX), Error(too_large));
    let taken = "FailedPrecondition: etcdserver: lease already exists";
    case(8, "a lease id that is taken", grant(77, 10), Error(taken));
    case(16, "a put with an unknown lease", Step::Put(leased(4711)), Error(NO_LEASE));
    let future = "OutOfRange: etcdserver: mvcc: required revision is a future revision";
    let compacted = "OutOfRange: etcdserver: mvcc: required revision has been compacted";
    case(6, "a revision of the future", Step::Range(at(1 << 40)), Error(future));
    case(6, "a compacted revision", Step::Range(at(1)), Error(compacted));
    let compact = |revision| Step::Compact(CompactionRequest { revision, physical: false });
    case(6, "compaction at the future", compact(1 << 40), Error(future));
    case(6, "compaction at the compacted", compact(2), Error(compacted));
    case(6, "compaction at a negative revision", compact(-1), Error(compacted));
}

fn transactions(case: Add<'_>) {
    use Expected::{Answer, Error, ErrorEnding};
    let many = |count: usize| {
        let puts = (0..count).map(|number| put(format!("m{number}").as_bytes(), b"x"));
        Step::Txn(txn_of(puts.map(Op::RequestPut).collect()))
    };
    case(9, "a transaction of 129 operations", many(129), Error(TOO_MANY));
    case(9, "a transaction of 128 operations", many(128), Answer("succeeded: true"));
    case(9, "an empty transaction", Step::Txn(TxnRequest::default()), Answer("succeeded: true"));
    let empty = TxnRequest { success: vec![RequestOp { request: None }], ..TxnRequest::default() };
    let not_found = "InvalidArgument: etcdserver: key not found";
    case(9, "an operation without a request", Step::Txn(empty), Error(not_found));
    for (name, depth) in [("nested 2 deep", 2), ("nested 8 deep", 8), ("nested 9 deep", 9)] {
        case(10, name, Step::Txn(nested(depth)), Answer("succeeded: true"));
    }
    case(10, "a transaction nested 101 deep", Step::Txn(nested(101)), ErrorEnding(TOO_DEEP));
    let twice = txn_of(vec![Op::RequestPut(put(b"d", b"1")), Op::RequestPut(put(b"d", b"2"))]);
    case(11, "one key put twice", Step::Txn(twice.clone()), Error(DUPLICATE));
    let delete = DeleteRangeRequest {
        key: b"c".to_vec().into(),
        range_end: b"e".to_vec().into(),
        prev_kv: false,
    };
    let overlap = txn_of(vec![
        Op::RequestTxn(txn_of(vec![Op::RequestPut(put(b"d", b"1"))])),
        Op::RequestDeleteRange(delete),
    ]);
    case(11, "a put under a delete, nested", Step::Txn(overlap), Error(DUPLICATE));
    let inner = txn_of(vec![Op::RequestTxn(twice)]);
    case(11, "one key put twice, nested", Step::Txn(inner), Error(DUPLICATE));
    let version = Some(TargetUnion::Version(0));
    case(
        12,
        "a compare with another target's value",
        compare(CompareTarget::Mod, version, b""),
        Answer("succeeded: false"),
    );
    case(
        12,
        "a compare without a value",
        compare(CompareTarget::Create, None, b""),
        Answer("succeeded: false"),
    );
    let two = Some(TargetUnion::Version(2));
    case(
        12,
        "a compare of a range",
        compare(CompareTarget::Version, two, b"\0"),
        Answer("succeeded: false"),
    );
}

fn ranges_and_options(case: Add<'_>) {
    use Expected::{Answer, Error};
    let sorted = |sort_order, sort_target| {
        Step::Range(RangeRequest { sort_order, sort_target, ..range(b"a", b"\0") })
    };
    case(13, "an unknown sort order", sorted(7, 0), Error(BAD_SORT));
    case(13, "an unknown sort target", sorted(1, 9), Error(BAD_SORT));
    case(13, "a negative sort order", sorted(-1, 0), Error(BAD_SORT));
    let all = RangeRequest { count_only: true, keys_only: true, limit: 1, ..range(b"a", b"c") };
    case(
        14,
        "count only, keys only and a limit",
        Step::Range(all),
        Answer("kvs: [], more: false, count: 2"),
    );
    let crossed = RangeRequest { min_mod_revision: 9, max_mod_revision: 3, ..range(b"a", b"c") };
    case(14, "crossed filters", Step::Range(crossed), Answer("kvs: [], more: false, count: 2"));
    let keep_value =
        |key: &[u8], value: &[u8]| Step::Put(PutRequest { ignore_value: true, ..put(key, value) });
    let keep_lease =
        |key: &[u8], lease| Step::Put(PutRequest { ignore_lease: true, lease, ..put(key, b"x") });
    let not_found = "InvalidArgument: etcdserver: key not found";
    case(15, "ignore_value on a missing key", keep_value(b"none", b""), Error(not_found));
    case(15, "ignore_lease on a missing key", keep_lease(b"none", 0), Error(not_found));
    let value = "InvalidArgument: etcdserver: value is provided";
    case(15, "ignore_value with a value", keep_value(b"a", b"x"), Error(value));
    let lease = "InvalidArgument: etcdserver: lease is provided";
    case(15, "ignore_lease with a lease", keep_lease(b"a", 77), Error(lease));
}

/// Row, name, what is asked on one stream, a part of what is told.
type WatchCase = (u8, &'static str, Vec<WatchCreateRequest>, &'static str);

fn watch_cases() -> Vec<WatchCase> {
    let create = |watch_id, start_revision, key: &'static [u8], range_end: &'static [u8]| {
        WatchCreateRequest {
            key: key.into(),
            range_end: range_end.into(),
            watch_id,
            start_revision,
            ..WatchCreateRequest::default()
        }
    };
    vec![
        (
            17,
            "a watch id given twice",
            vec![create(5, 0, b"w", b""), create(5, 0, b"w", b"")],
            "duplicate watch ID",
        ),
        (17, "a watch id of -1", vec![create(-1, 0, b"w", b"")], "created"),
        (17, "a range that is empty", vec![create(0, 0, b"z", b"y")], "watcher range is empty"),
        (18, "a negative start", vec![create(0, -1, b"w", b"")], "has been compacted"),
        (18, "a compacted start", vec![create(0, 1, b"w", b"")], "compact_revision 2"),
        (18, "a start of the future", vec![create(0, i64::MAX, b"w", b"")], "created"),
    ]
}

/// Rows 17 to 20: what both servers said on their watch streams must be equal, and hold these
/// words.
async fn watches(etcd: &mut Peer, engram: &mut Peer, outcome: &mut Outcome) -> Result<()> {
    for (row, name, creates, expected) in watch_cases() {
        for peer in [&*etcd, &*engram] {
            let stream = &peer.streams[STREAMS - 1];
            stream.cancel(9_999).await?;
            for create in &creates {
                stream.create(create.clone()).await?;
            }
        }
        let said = said_by_both(etcd, engram, expected).await;
        let agree = said[0] == said[1] && said[1].contains(expected);
        let finding = || format!("etcd {}, engram {}", said[0], said[1]);
        outcome.check(row, name, agree.then_some(()).ok_or_else(finding));
    }
    let found = [
        progress_before_any_watch(etcd, engram).await?,
        ten_thousand_watches(engram).await?,
        largest_request(etcd, engram).await?,
    ];
    for ((row, name), found) in LAST.into_iter().zip(found) {
        outcome.check(row, name, found.map_or(Ok(()), Err));
    }
    Ok(())
}

/// What the two streams delivered, once it is equal and holds the words, or when patience ends.
async fn said_by_both(etcd: &Peer, engram: &Peer, expected: &str) -> [String; 2] {
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut lines = [const { Vec::<String>::new() }; 2];
    loop {
        for (lines, peer) in lines.iter_mut().zip([etcd, engram]) {
            for (watch, more) in peer.streams[STREAMS - 1].take() {
                lines.extend(more.iter().map(|line| format!("{watch}: {line}")));
            }
        }
        let agree = lines[0] == lines[1] && lines[1].iter().any(|line| line.contains(expected));
        if agree || Instant::now() > deadline {
            return lines.map(|lines| lines.join("; "));
        }
        crate::pause::pause(POLL).await;
    }
}

/// Row 19: it is no error, it is answered like etcd answers it, and the stream serves on.
async fn progress_before_any_watch(etcd: &Peer, engram: &Peer) -> Result<Option<String>> {
    let mut said = Vec::new();
    for peer in [etcd, engram] {
        let stream = peer.stream_without_watches();
        stream.progress().await?;
        let create = WatchCreateRequest { key: b"w".as_slice().into(), ..Default::default() };
        stream.create(create).await?;
        let before = stream.progress_answers();
        stream.quiet(1).await?;
        said.push(format!("{before} answers before the watch, then {:?}", stream.take()));
    }
    let right = said[0] == said[1] && said[1].contains("created");
    let finding = || format!("etcd {}, engram {}", said[0], said[1]);
    Ok((!right).then(finding))
}

/// Row 20.
async fn ten_thousand_watches(engram: &Peer) -> Result<Option<String>> {
    const WATCHES: usize = 10_000;
    let stream = &engram.streams[0];
    stream.take();
    for number in 0..WATCHES {
        let create = WatchCreateRequest {
            key: format!("watched/{number}").into(),
            ..WatchCreateRequest::default()
        };
        stream.create(create).await?;
    }
    let created = stream.take().values().flatten().filter(|line| *line == "created").count();
    let finding = || format!("{created} of {WATCHES} watches on one stream were created");
    Ok((created != WATCHES).then(finding))
}

/// Row 5: the last byte that fits. The limit is on the command as it is logged; etcd's command has
/// an id whose length varies by a byte, so the two edges may lie that far apart.
async fn largest_request(etcd: &mut Peer, engram: &mut Peer) -> Result<Option<String>> {
    let mut edges = Vec::new();
    for peer in [etcd, engram] {
        // Invariant: `fits` was accepted, `too_large` was refused with etcd's words.
        let (mut fits, mut too_large) = (1_572_700, 1_572_865);
        while too_large - fits > 1 {
            let middle = fits + (too_large - fits) / 2;
            let Answer { text, .. } = peer.answer(&Step::Put(put(b"v", &vec![0; middle]))).await?;
            match text.starts_with("error ") {
                false => fits = middle,
                true if text == format!("error {TOO_LARGE}") => too_large = middle,
                true => return Ok(Some(format!("{middle} bytes: {}", clip(&text)))),
            }
        }
        edges.push(fits);
    }
    let apart = edges[0].abs_diff(edges[1]);
    let finding = || format!("etcd takes up to {} bytes, engram {}", edges[0], edges[1]);
    Ok((apart > ID_LENGTH_VARIES_BYTES).then(finding))
}
