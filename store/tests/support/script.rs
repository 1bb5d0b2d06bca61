//! The language of the golden scripts: one line is one request, applied as one entry or read at once.
//!
//! - `put KEY VALUE [lease=N] [prev] [ignore_value] [ignore_lease]`, `del KEY [END] [prev]`,
//!   `get KEY [END] [limit= rev= order= target= min_mod= max_mod= min_create= max_create=] [keys_only] [count_only]`
//! - `txn`, then `if TARGET KEY RESULT OPERAND [end=]`, `then`, `else` and operations, nested `txn`s, up to `end`
//! - `batch`, then commands, up to `end`: one entry
//! - `compact REV`, `step [ROWS]`, `grant ID TTL`, `revoke ID`, `checkpoint ID SECONDS`, `alarm ACTION [KIND] [MEMBER]`
//! - `leases`, `events FROM [TO] [revisions=]`, `hashkv [REV]`, `value KEY REV`, `stream KEY [END] [page=] …`, `state`
//! - `flush`, `restart`, `crash` (loses what was not flushed; entries since then are applied again)
//!
//! The tag `[unchecked]` passes by the door's checks. `fence=TERM` fences a command. A refusal is printed as
//! `error: …`.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use goldenscript::{ArgumentConsumer, Command, Context};
use proto::etcdserverpb::alarm_request::AlarmAction;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use proto::etcdserverpb::request_op;
use proto::etcdserverpb::{
    AlarmRequest, AlarmType, CompactionRequest, Compare, DeleteRangeRequest, LeaseCheckpoint,
    LeaseCheckpointRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RangeRequest,
    RequestOp, TxnRequest,
};
use proto::log::command::Request;
use proto::log::{Batch, CommandHeader};
use proto::spliced::response_op;
use proto::spliced::{EncodedKeyValue, RangeResponse, TxnResponse};
use proto::status::EtcdError;
use store::engine::{Engine, Memory};
use store::{
    Answers, CompactProgress, EventKind, EventLimits, LeaseId, Outcome, ReadError, Response,
    Revision, RevisionEvents, validate,
};

use super::session::{Session, open};

type Out = Result<String, Box<dyn Error>>;

/// What the lines up to the next `end` belong to.
enum Open {
    /// A transaction, and whether operations go to its failure branch.
    Txn(TxnRequest, bool),
    /// An entry of several commands.
    Batch(Vec<Request>),
}

/// Runs one script on one store.
pub struct Runner {
    session: Session,
    memory: Option<Memory>,
    open: Vec<Open>,
    /// Entries since the last flush: applied again after a crash.
    unflushed: Vec<(store::LogId, Batch)>,
    header: CommandHeader,
}

impl Runner {
    /// A runner over a store in memory, which can crash.
    pub fn in_memory() -> Self {
        let memory = Memory::new();
        Self { memory: Some(memory.clone()), ..Self::on(Arc::new(memory)) }
    }

    /// A runner over a store on any engine.
    pub fn on(engine: Arc<dyn Engine>) -> Self {
        Self {
            session: Session::new(engine),
            memory: None,
            open: Vec::new(),
            unflushed: Vec::new(),
            header: CommandHeader::default(),
        }
    }

    fn line(&mut self, command: &Command, context: &Context) -> Out {
        let mut args = command.consume_args();
        self.header.fence_term = number(&mut args, "fence")?;
        let checked = !context.tags.contains("unchecked");
        let output = match command.name.as_str() {
            "txn" => self.begin(Open::Txn(TxnRequest::default(), false)),
            "batch" => self.begin(Open::Batch(Vec::new())),
            "if" => self.condition(&mut args),
            "then" => self.branch(false),
            "else" => self.branch(true),
            "end" => self.end(checked),
            "get" => self.get(&mut args, checked),
            "leases" | "events" | "hashkv" | "value" | "stream" | "state" => {
                self.read(&command.name, &mut args)
            }
            "step" | "flush" | "restart" | "crash" => self.machinery(&command.name, &mut args),
            name => {
                let request = request(name, &mut args)?;
                self.write(request, checked)
            }
        }?;
        args.reject_next()?;
        Ok(output)
    }

    fn begin(&mut self, open: Open) -> Out {
        self.open.push(open);
        Ok(String::new())
    }

    fn txn(&mut self) -> Result<(&mut TxnRequest, &mut bool), Box<dyn Error>> {
        match self.open.last_mut() {
            Some(Open::Txn(txn, failure)) => Ok((txn, failure)),
            _ => Err("not in a transaction".into()),
        }
    }

    fn branch(&mut self, failure: bool) -> Out {
        *self.txn()?.1 = failure;
        Ok(String::new())
    }

    fn condition(&mut self, args: &mut ArgumentConsumer<'_>) -> Out {
        let compare = compare(args)?;
        self.txn()?.0.compare.push(compare);
        Ok(String::new())
    }

    fn end(&mut self, checked: bool) -> Out {
        match self.open.pop().ok_or("nothing to end")? {
            Open::Txn(txn, _) => self.write(Request::Txn(txn), checked),
            Open::Batch(requests) => self.entry(requests),
        }
    }

    /// Adds an operation to what is open, or applies it.
    fn write(&mut self, request: Request, checked: bool) -> Out {
        match self.open.last_mut() {
            Some(Open::Txn(txn, failure)) => {
                let list = if *failure { &mut txn.failure } else { &mut txn.success };
                list.push(operation(request)?);
                Ok(String::new())
            }
            Some(Open::Batch(requests)) => {
                requests.push(request);
                Ok(String::new())
            }
            None => match check(&request) {
                Err(error) if checked => Ok(refused(error)),
                _ => self.entry(vec![request]),
            },
        }
    }

    fn entry(&mut self, requests: Vec<Request>) -> Out {
        let header = Some(self.header.clone());
        let commands: Vec<_> = requests
            .into_iter()
            .map(|request| proto::log::Command { header: header.clone(), request: Some(request) })
            .collect();
        let batch = Batch { state_machine_version: 1, commands: commands.clone() };
        self.unflushed.push((self.session.next, batch));
        let applied = self.session.apply_commands(commands);
        let mut out = String::new();
        for outcome in &applied.outcomes {
            show_outcome(&mut out, outcome)?;
        }
        for events in &applied.events {
            show_events(&mut out, events)?;
        }
        Ok(out)
    }

    fn get(&mut self, args: &mut ArgumentConsumer<'_>, checked: bool) -> Out {
        let request = range_request(args)?;
        if let Some(Open::Txn(txn, failure)) = self.open.last_mut() {
            let list = if *failure { &mut txn.failure } else { &mut txn.success };
            list.push(RequestOp { request: Some(request_op::Request::RequestRange(request)) });
            return Ok(String::new());
        }
        match validate::check_range(&request) {
            Err(error) if checked => Ok(refused(error)),
            _ => shown(self.session.reader().range(&request), show_range),
        }
    }

    fn read(&mut self, name: &str, args: &mut ArgumentConsumer<'_>) -> Out {
        let reader = self.session.reader();
        match name {
            "leases" => Ok(leases(&reader)),
            "events" => {
                let from = position(args, "FROM")?;
                let to = args.next_pos().map_or(Ok(i64::MAX), str::parse)?;
                let revisions_max = match number::<usize>(args, "revisions")? {
                    0 => usize::MAX,
                    limit => limit,
                };
                let limits = EventLimits { revisions_max, bytes_max: usize::MAX };
                shown(reader.events(Revision(from), Revision(to), limits), |out, events| {
                    events.iter().try_for_each(|events| show_events(out, events))
                })
            }
            "hashkv" => {
                let revision = args.next_pos().map_or(Ok(0), str::parse)?;
                shown(reader.hash_kv(Revision(revision)), |out, hash| {
                    let (compacted, at) = (hash.compact_revision, hash.hash_revision);
                    writeln!(out, "hash={} compact_revision={compacted} at={at}", hash.hash)
                })
            }
            "value" => {
                let key = args.next_pos().ok_or("which key?")?;
                let revision = position(args, "REV")?;
                shown(reader.value_at(key.as_bytes(), Revision(revision)), |out, row| match row {
                    Some(row) => show_kv(out, "", &EncodedKeyValue(row)),
                    None => writeln!(out, "nothing"),
                })
            }
            "stream" => stream(&reader, args),
            _ => Ok(format!(
                "revision={} compacted={} physically={} keys={} applied={}\n",
                reader.revision(),
                reader.compacted_revision(),
                reader.physically_compacted_revision(),
                reader.key_count(),
                reader.applied(),
            )),
        }
    }

    fn machinery(&mut self, name: &str, args: &mut ArgumentConsumer<'_>) -> Out {
        match name {
            "step" => {
                let rows = args.next_pos().map_or(Ok(usize::MAX), str::parse)?;
                return Ok(match self.session.compact_step(rows) {
                    CompactProgress::Idle => "nothing to do\n".to_owned(),
                    CompactProgress::Working { rows } => format!("removed {rows} rows, goes on\n"),
                    CompactProgress::Finished { revision, rows } => {
                        format!("removed {rows} rows, finished {revision}\n")
                    }
                });
            }
            "flush" => {
                self.session.store.flush()?;
                self.unflushed.clear();
            }
            "restart" => self.session.reopen(),
            _ => return self.crash(),
        }
        Ok(String::new())
    }

    /// Loses what was not flushed; the log has it, and the same bytes come of it.
    fn crash(&mut self) -> Out {
        let memory = self.memory.as_ref().ok_or("only memory crashes")?;
        let before = self.session.store.applied();
        memory.crash();
        self.session.store = open(self.session.engine.clone());
        let survived = self.session.store.applied().log_id.unwrap_or_default();
        for (at, batch) in self.unflushed.iter().filter(|(at, _)| *at > survived) {
            self.session.store.apply(*at, batch, Answers::Skip)?;
        }
        assert_eq!(self.session.store.applied(), before, "the same entries, the same state");
        Ok(format!("survived {}\n", survived.index))
    }
}

impl goldenscript::Runner for Runner {
    type Command = Command;

    fn run(&mut self, command: &Command, context: &Context) -> Out {
        self.line(command, context)
    }

    /// Each script ends by asking whether a restart and a compaction of the twin would be noticed.
    fn end_script(&mut self) -> Result<(), Box<dyn Error>> {
        let before = contents(&self.session.store);
        self.session.reopen();
        assert_eq!(contents(&self.session.store), before, "a restart changes nothing");
        while self.session.compact_step(1) != CompactProgress::Idle {}
        while self.session.twin.compact_step(usize::MAX)? != CompactProgress::Idle {}
        assert_eq!(contents(&self.session.store), contents(&self.session.twin));
        Ok(())
    }
}

/// What readers can see of the present.
fn contents(store: &store::Store) -> String {
    let reader = store.reader();
    let all = RangeRequest { key: "\0".into(), range_end: "\0".into(), ..Default::default() };
    let mut out = leases(&reader);
    show_range(&mut out, reader.range(&all).expect("the present is kept")).expect("to a string");
    out
}

fn request(name: &str, args: &mut ArgumentConsumer<'_>) -> Result<Request, Box<dyn Error>> {
    Ok(match name {
        "put" => {
            let flags = |args: &mut ArgumentConsumer<'_>| -> Vec<String> {
                std::iter::from_fn(|| args.next_pos().map(str::to_owned)).collect()
            };
            let key = text(args)?;
            let value = text(args)?;
            let lease = number(args, "lease")?;
            let flags = flags(args);
            let has = |flag: &str| flags.iter().any(|given| given == flag);
            Request::Put(PutRequest {
                key,
                value,
                lease,
                prev_kv: has("prev"),
                ignore_value: has("ignore_value"),
                ignore_lease: has("ignore_lease"),
            })
        }
        "del" => {
            let key = text(args)?;
            let rest: Vec<&str> = std::iter::from_fn(|| args.next_pos()).collect();
            let (end, prev_kv) = match rest[..] {
                [] => ("", false),
                ["prev"] => ("", true),
                [end] => (end, false),
                [end, "prev"] => (end, true),
                _ => return Err("del KEY [END] [prev]".into()),
            };
            let range_end = Bytes::copy_from_slice(end.as_bytes());
            Request::DeleteRange(DeleteRangeRequest { key, range_end, prev_kv })
        }
        "compact" => Request::Compaction(CompactionRequest {
            revision: position(args, "REV")?,
            ..Default::default()
        }),
        "grant" => Request::LeaseGrant(LeaseGrantRequest {
            id: position(args, "ID")?,
            ttl: position(args, "TTL")?,
        }),
        "revoke" => Request::LeaseRevoke(LeaseRevokeRequest { id: position(args, "ID")? }),
        "checkpoint" => {
            let checkpoint = LeaseCheckpoint {
                id: position(args, "ID")?,
                remaining_ttl: position(args, "SECONDS")?,
            };
            Request::LeaseCheckpoint(LeaseCheckpointRequest { checkpoints: vec![checkpoint] })
        }
        "alarm" => {
            let action = args.next_pos().ok_or("which action?")?.to_uppercase();
            let kind = args.next_pos().unwrap_or("none").to_uppercase();
            let action = AlarmAction::from_str_name(&action).ok_or("no such action")?;
            let alarm = AlarmType::from_str_name(&kind).ok_or("no such alarm")?;
            let member_id = args.next_pos().map_or(Ok(0), str::parse)?;
            Request::Alarm(AlarmRequest { action: action.into(), member_id, alarm: alarm.into() })
        }
        other => return Err(format!("unknown command {other}").into()),
    })
}

fn range_request(args: &mut ArgumentConsumer<'_>) -> Result<RangeRequest, Box<dyn Error>> {
    let key = text(args)?;
    let word =
        |args: &mut ArgumentConsumer<'_>, key: &str| args.take_key(key).map(str::to_uppercase);
    let order = word(args, "order").unwrap_or("NONE".into());
    let target = word(args, "target").unwrap_or("KEY".into());
    let order = SortOrder::from_str_name(&order).map_or_else(|| order.parse(), |it| Ok(it.into()));
    let target =
        SortTarget::from_str_name(&target).map_or_else(|| target.parse(), |it| Ok(it.into()));
    let mut request = RangeRequest {
        key,
        limit: number(args, "limit")?,
        revision: number(args, "rev")?,
        sort_order: order?,
        sort_target: target?,
        min_mod_revision: number(args, "min_mod")?,
        max_mod_revision: number(args, "max_mod")?,
        min_create_revision: number(args, "min_create")?,
        max_create_revision: number(args, "max_create")?,
        ..Default::default()
    };
    while let Some(word) = args.next_pos() {
        match word {
            "keys_only" => request.keys_only = true,
            "count_only" => request.count_only = true,
            end => request.range_end = Bytes::copy_from_slice(end.as_bytes()),
        }
    }
    Ok(request)
}

fn compare(args: &mut ArgumentConsumer<'_>) -> Result<Compare, Box<dyn Error>> {
    let range_end = Bytes::copy_from_slice(args.take_key("end").unwrap_or("").as_bytes());
    let target = args.next_pos().ok_or("which target?")?.to_uppercase();
    let key = text(args)?;
    let result = match args.next_pos().ok_or("which result?")? {
        "eq" => CompareResult::Equal,
        "ne" => CompareResult::NotEqual,
        "gt" => CompareResult::Greater,
        "lt" => CompareResult::Less,
        other => return Err(format!("no such result: {other}").into()),
    };
    let target = CompareTarget::from_str_name(&target).ok_or("no such target")?;
    let operand = text(args)?;
    let as_number = || std::str::from_utf8(&operand).map(str::parse::<i64>);
    let target_union = match target {
        CompareTarget::Value => TargetUnion::Value(operand.clone()),
        CompareTarget::Version => TargetUnion::Version(as_number()??),
        CompareTarget::Create => TargetUnion::CreateRevision(as_number()??),
        CompareTarget::Mod => TargetUnion::ModRevision(as_number()??),
        CompareTarget::Lease => TargetUnion::Lease(as_number()??),
    };
    Ok(Compare {
        result: result.into(),
        target: target.into(),
        key,
        target_union: Some(target_union),
        range_end,
    })
}

fn operation(request: Request) -> Result<RequestOp, Box<dyn Error>> {
    let request = match request {
        Request::Put(put) => request_op::Request::RequestPut(put),
        Request::DeleteRange(delete) => request_op::Request::RequestDeleteRange(delete),
        Request::Txn(txn) => request_op::Request::RequestTxn(txn),
        other => return Err(format!("not in a transaction: {other:?}").into()),
    };
    Ok(RequestOp { request: Some(request) })
}

fn check(request: &Request) -> Result<(), EtcdError> {
    match request {
        Request::Put(put) => validate::check_put(put),
        Request::DeleteRange(delete) => validate::check_delete(delete),
        Request::Txn(txn) => validate::check_txn(txn, 8),
        Request::LeaseGrant(grant) => validate::check_lease_grant(grant),
        _ => Ok(()),
    }
}

fn stream(reader: &store::Reader, args: &mut ArgumentConsumer<'_>) -> Out {
    let page = match number::<usize>(args, "page")? {
        0 => usize::MAX,
        page => page,
    };
    let request = range_request(args)?;
    let mut cursor = match reader.range_cursor(&request) {
        Ok(cursor) => cursor,
        Err(error) => return read_refused(error),
    };
    let mut out = String::new();
    while !cursor.is_done() {
        match reader.range_page(&mut cursor, page) {
            Ok(page) => show_range(&mut out, page)?,
            Err(error) => return read_refused(error),
        }
    }
    Ok(out)
}

fn text(args: &mut ArgumentConsumer<'_>) -> Result<Bytes, Box<dyn Error>> {
    let text = args.next_pos().ok_or("an argument is missing")?;
    Ok(Bytes::copy_from_slice(text.as_bytes()))
}

fn position(args: &mut ArgumentConsumer<'_>, what: &str) -> Result<i64, Box<dyn Error>> {
    Ok(args.next_pos().ok_or_else(|| format!("{what} is missing"))?.parse()?)
}

fn number<T: std::str::FromStr + Default>(
    args: &mut ArgumentConsumer<'_>,
    key: &str,
) -> Result<T, Box<dyn Error>>
where
    T::Err: Error + 'static,
{
    Ok(args.take_key(key).map(str::parse).transpose()?.unwrap_or_default())
}

fn refused(error: EtcdError) -> String {
    format!("error: {}\n", error.message())
}

fn read_refused(error: ReadError) -> Out {
    match error.etcd() {
        Some(known) => Ok(refused(known)),
        None => Err(error.into()),
    }
}

fn shown<T>(
    result: Result<T, ReadError>,
    show: impl FnOnce(&mut String, T) -> std::fmt::Result,
) -> Out {
    match result {
        Ok(answer) => {
            let mut out = String::new();
            show(&mut out, answer)?;
            Ok(out)
        }
        Err(error) => read_refused(error),
    }
}

fn show_outcome(out: &mut String, outcome: &Outcome) -> std::fmt::Result {
    match &outcome.result {
        Err(error) => writeln!(out, "error: {error}"),
        Ok(Response::Txn(txn)) => show_txn(out, "", txn),
        Ok(Response::Put(put)) => {
            writeln!(out, "put at {}", revision(&put.header))?;
            put.prev_kv.iter().try_for_each(|kv| show_kv(out, "  before: ", kv))
        }
        Ok(Response::DeleteRange(gone)) => {
            writeln!(out, "deleted {} at {}", gone.deleted, revision(&gone.header))?;
            gone.prev_kvs.iter().try_for_each(|kv| show_kv(out, "  before: ", kv))
        }
        Ok(Response::Alarm(alarms)) => {
            let shown = |alarm: &proto::etcdserverpb::AlarmMember| {
                format!(" {}:{}", alarm.member_id, alarm.alarm().as_str_name())
            };
            let list: String = alarms.alarms.iter().map(shown).collect();
            writeln!(out, "alarms{list} at {}", revision(&alarms.header))
        }
        Ok(Response::LeaseGrant { id, ttl }) => writeln!(out, "lease {} for {ttl}s", id.0),
        Ok(other) => writeln!(out, "{other:?} at {}", outcome.revision),
    }
}

fn show_txn(out: &mut String, indent: &str, txn: &TxnResponse) -> std::fmt::Result {
    let branch = if txn.succeeded { "then" } else { "else" };
    writeln!(out, "{indent}{branch} at {}", revision(&txn.header))?;
    let indent = format!("{indent}  ");
    for operation in &txn.responses {
        match &operation.response {
            Some(response_op::Response::ResponseTxn(txn)) => show_txn(out, &indent, txn)?,
            Some(response_op::Response::ResponsePut(put)) => {
                writeln!(out, "{indent}put at {}", revision(&put.header))?;
                let before = format!("{indent}  before: ");
                put.prev_kv.iter().try_for_each(|kv| show_kv(out, &before, kv))?;
            }
            Some(response_op::Response::ResponseDeleteRange(gone)) => {
                writeln!(out, "{indent}deleted {} at {}", gone.deleted, revision(&gone.header))?;
                let before = format!("{indent}  before: ");
                gone.prev_kvs.iter().try_for_each(|kv| show_kv(out, &before, kv))?;
            }
            Some(response_op::Response::ResponseRange(range)) => {
                let mut text = String::new();
                show_range(&mut text, range.clone())?;
                text.lines().try_for_each(|line| writeln!(out, "{indent}{line}"))?;
            }
            None => writeln!(out, "{indent}nothing")?,
        }
    }
    Ok(())
}

fn show_range(out: &mut String, range: RangeResponse) -> std::fmt::Result {
    range.kvs.iter().try_for_each(|kv| show_kv(out, "", kv))?;
    let more = if range.more { " more" } else { "" };
    match range.header {
        Some(header) => writeln!(out, "count={}{more} at {}", range.count, header.revision),
        None => writeln!(out, "--"),
    }
}

fn show_kv(out: &mut String, prefix: &str, kv: &EncodedKeyValue) -> std::fmt::Result {
    let kv = kv.view().expect("answers hold encoded key-values");
    let (key, value) = (kv.key.escape_ascii(), kv.value.escape_ascii());
    write!(out, "{prefix}{key}={value}")?;
    write!(out, " [{} {} v{}]", kv.create_revision, kv.mod_revision, kv.version)?;
    match kv.lease {
        0 => writeln!(out),
        lease => writeln!(out, " lease {lease}"),
    }
}

fn show_events(out: &mut String, events: &RevisionEvents) -> std::fmt::Result {
    for event in events.events.iter() {
        let kind = match (event.kind, event.created) {
            (EventKind::Put, true) => "create",
            (EventKind::Put, false) => "modify",
            (EventKind::Delete, _) => "delete",
        };
        let prefix = format!("@{} {kind} ", events.revision);
        show_kv(out, &prefix, &EncodedKeyValue(event.kv.clone()))?;
    }
    Ok(())
}

fn leases(reader: &store::Reader) -> String {
    let line = |lease: store::LeaseInfo| {
        let keys = reader.lease_keys(lease.id);
        let keys: String = keys.iter().map(|key| format!(" {}", key.escape_ascii())).collect();
        let LeaseId(id) = lease.id;
        format!("lease {id}: {}s, {}s left:{keys}\n", lease.granted_ttl_s, lease.remaining_ttl_s)
    };
    reader.leases().into_iter().map(line).collect()
}

fn revision(header: &Option<proto::etcdserverpb::ResponseHeader>) -> i64 {
    header.as_ref().expect("answers have a header").revision
}
