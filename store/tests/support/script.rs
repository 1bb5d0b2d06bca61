//! The language of the golden scripts: one line is one request, applied as one entry or read at
//! once.
//!
//! - `put KEY VALUE [lease=N] [prev] [ignore_value] [ignore_lease]`, `del KEY [END] [prev]`,
//!   `get KEY [END] [limit= rev= order= target= min_mod= max_mod= min_create= max_create=]
//!   [keys_only] [count_only]`
//! - `txn`, then `if TARGET KEY RESULT OPERAND [end=]`, `then`, `else` and operations, nested
//!   `txn`s, up to `end`
//! - `batch`, then commands, up to `end`: one entry
//! - `compact REV`, `step [ROWS]`, `grant ID TTL`, `revoke ID`, `checkpoint ID SECONDS`, `alarm
//!   ACTION [KIND] [MEMBER]`
//! - `leases`, `events FROM [TO] [revisions=]`, `hashkv [REV]`, `value KEY REV`, `stream KEY [END]
//!   [page=] …`, `state`
//! - `auth-on`, `auth-off`, `token NAME`, `user-add NAME [nopassword]`, `user-delete NAME`,
//!   `user-password NAME [HASH]`, `user-grant NAME ROLE`, `user-revoke NAME ROLE`, `role-add ROLE`,
//!   `role-delete ROLE`, `role-grant ROLE KIND KEY [END]`, `role-revoke ROLE KEY [END]`, `users`
//! - `flush`, `restart`, `crash` (loses what was not flushed; entries since then are applied again)
//!
//! The tag `[unchecked]` passes by the door's checks. `fence=TERM` fences a command, `as=NAME` is
//! who asks (at the auth revision of now, or at `auth_rev=N`). A refusal is printed as `error: …`.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;

use goldenscript::{ArgumentConsumer, Command, Context};
use proto::etcdserverpb::{RequestOp, TxnRequest, request_op};
use proto::log::command::Request;
use proto::log::{Batch, CommandHeader};
use proto::spliced::EncodedKeyValue;
use proto::status::EtcdError;
use store::engine::{Engine, Memory};
use store::{Answers, CompactProgress, EventLimits, ReadError, Revision, validate};

use super::script_auth;
use super::script_show::{contents, leases, show_events, show_kv, show_outcome, show_range};
use super::script_words::{check, compare, number, operation, position, range_request, request};
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
        self.asker(&mut args)?;
        let checked = !context.tags.contains("unchecked");
        let output = match command.name.as_str() {
            "txn" => self.begin(Open::Txn(TxnRequest::default(), false)),
            "batch" => self.begin(Open::Batch(Vec::new())),
            "if" => self.condition(&mut args),
            "then" => self.branch(false),
            "else" => self.branch(true),
            "end" => self.end(checked),
            "get" => self.get(&mut args, checked),
            "users" => Ok(script_auth::users(&self.session.reader())),
            "leases" | "events" | "hashkv" | "value" | "stream" | "state" => {
                self.read(&command.name, &mut args)
            }
            "step" | "flush" | "restart" | "crash" => self.machinery(&command.name, &mut args),
            name => {
                let request = match script_auth::request(name, &mut args)? {
                    Some(request) => request,
                    None => request(name, &mut args)?,
                };
                self.write(request, checked)
            }
        }?;
        args.reject_next()?;
        Ok(output)
    }

    fn asker(&mut self, args: &mut ArgumentConsumer<'_>) -> Result<(), Box<dyn Error>> {
        let name = args.take_key("as").unwrap_or_default().to_owned();
        let revision: u64 = number(args, "auth_rev")?;
        self.header.auth_revision = match (name.is_empty(), revision) {
            (true, _) => 0,
            (false, 0) => self.session.reader().auth_revision(),
            (false, revision) => revision,
        };
        self.header.username = name;
        Ok(())
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
