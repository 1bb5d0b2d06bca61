//! `get`, `put`, `del` and `compaction`.
//!
//! Compat: ranges, sort orders and what excludes what are etcdctl's.
//!
//! Must not know: how an answer is laid out beyond [`super::show`].

use std::io::Read as _;

use clap::{Args, ValueEnum};
use proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse,
    RangeRequest, RangeResponse,
};
use proto::mvccpb::KeyValue;

use super::global::Global;
use super::range::{Range, parse_lease_id};
use super::show::{self, Format, Output, Table, answers, text};
use crate::ToolError;

/// Options of `get`.
#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    range: Range,
    /// At most this many keys; 0 is no limit.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    limit: i64,
    /// The revision to read at; 0 is the latest.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    rev: i64,
    /// `l`inearizable or `s`erializable.
    #[arg(long, value_enum, default_value = "l")]
    consistency: Consistency,
    /// The direction of `--sort-by`.
    #[arg(long, value_enum, ignore_case = true)]
    order: Option<Order>,
    /// What the answer is sorted by.
    #[arg(long, value_enum, ignore_case = true)]
    sort_by: Option<Target>,
    /// Keys without their values.
    #[arg(long, conflicts_with = "count_only")]
    keys_only: bool,
    /// The number of keys alone.
    #[arg(long)]
    count_only: bool,
    /// Values without their keys, as they are.
    #[arg(long)]
    print_value_only: bool,
    /// Only keys created at or after this revision.
    #[arg(long, default_value_t = 0)]
    min_create_rev: i64,
    /// Only keys created at or before this revision.
    #[arg(long, default_value_t = 0)]
    max_create_rev: i64,
    /// Only keys modified at or after this revision.
    #[arg(long, default_value_t = 0)]
    min_mod_rev: i64,
    /// Only keys modified at or before this revision.
    #[arg(long, default_value_t = 0)]
    max_mod_rev: i64,
    /// Read in chunks with the RangeStream RPC.
    #[arg(long)]
    stream: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Consistency {
    /// What a majority has agreed on.
    L,
    /// What the member asked has, which may be behind.
    S,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Order {
    Ascend,
    Descend,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Target {
    Key,
    Version,
    Create,
    Modify,
    Value,
}

/// Options of `put`.
#[derive(Debug, Args)]
pub(crate) struct Put {
    /// The key.
    key: String,
    /// The value; read from standard input when it is left out. Put `--` before one that begins
    /// with `-`.
    value: Option<String>,
    /// The lease to attach, in hexadecimal.
    #[arg(long, value_parser = parse_lease_id, default_value = "0")]
    lease: i64,
    /// Print what was there before.
    #[arg(long)]
    prev_kv: bool,
    /// Keep the current value.
    #[arg(long, conflicts_with = "value")]
    ignore_value: bool,
    /// Keep the current lease.
    #[arg(long)]
    ignore_lease: bool,
}

/// Options of `del`.
#[derive(Debug, Args)]
pub(crate) struct Del {
    #[command(flatten)]
    range: Range,
    /// Print what was deleted.
    #[arg(long)]
    prev_kv: bool,
    /// Understood as etcdctl's: there it skips a pause of two seconds before a range is deleted,
    /// which there is none of here.
    #[arg(long = "range", hide = true)]
    at_once: bool,
}

/// Options of `compaction`.
#[derive(Debug, Args)]
pub(crate) struct Compaction {
    /// History before this revision is dropped.
    revision: i64,
    /// Wait until it is gone from the disk too.
    #[arg(long)]
    physical: bool,
}

pub(crate) async fn get(global: &Global, get: Get) -> Result<(), ToolError> {
    let request = get.request()?;
    let mut client = global.kv().await?;
    let answer = if get.stream {
        merged(client.range_stream(request).await?.into_inner()).await?
    } else {
        client.range(request).await?.into_inner()
    };
    let output = &global.output;
    if get.print_value_only {
        let mut lines = Vec::new();
        answer.kvs.iter().for_each(|kv| output.raw(&kv.value, &mut lines));
        return show::write(&lines);
    }
    if get.count_only && matches!(output.format, Format::Table | Format::Simple) {
        return show::line(answer.count.to_string());
    }
    output.show(
        &answer,
        || range_lines(output, &answer),
        || range_table(output, &answer, !get.range.is_one_key(), get.keys_only),
    )
}

async fn merged(
    mut stream: tonic::Streaming<proto::etcdserverpb::RangeStreamResponse>,
) -> Result<RangeResponse, ToolError> {
    let mut whole = RangeResponse::default();
    while let Some(part) = stream.message().await? {
        let Some(part) = part.range_response else { continue };
        whole.kvs.extend(part.kvs);
        // The last chunk alone has these.
        whole.header = part.header.or(whole.header);
        whole.more |= part.more;
        whole.count = whole.count.max(part.count);
    }
    Ok(whole)
}

/// A pair as `simple` writes it: two lines.
pub(crate) fn pair_lines(output: &Output, kv: &KeyValue, into: &mut Vec<u8>) {
    output.raw(&kv.key, into);
    output.raw(&kv.value, into);
}

pub(crate) fn range_lines(output: &Output, answer: &RangeResponse) -> Vec<u8> {
    let mut lines = Vec::new();
    answer.kvs.iter().for_each(|kv| pair_lines(output, kv, &mut lines));
    lines
}

/// Values longer than this are cut in the table of a range; a single key's value never is.
const VALUE_CHARACTERS_MAX: usize = 100;

pub(crate) fn range_table(
    output: &Output,
    answer: &RangeResponse,
    cut: bool,
    keys_only: bool,
) -> String {
    let mut table = if keys_only {
        Table::new(&["KEY", "CREATED", "MODIFIED", "VERSION"])
    } else {
        Table::new(&["KEY", "VALUE", "CREATED", "MODIFIED", "VERSION", "LEASE"])
    };
    for kv in &answer.kvs {
        let mut cells = vec![output.cell(&kv.key)];
        if !keys_only {
            let value = output.cell(&kv.value);
            let most = if cut { VALUE_CHARACTERS_MAX } else { usize::MAX };
            cells.push(text::shortened(value, most, kv.value.len()));
        }
        cells.extend([kv.create_revision, kv.mod_revision, kv.version].map(|n| n.to_string()));
        if !keys_only {
            let lease = if kv.lease == 0 { "-".into() } else { format!("{:016x}", kv.lease) };
            cells.push(lease);
        }
        table.row(cells);
    }
    let mut text = table.text("no such key");
    if answer.more {
        let shown = answer.kvs.len();
        text.push_str(&format!("… {shown} of {} keys; there are more\n", answer.count));
    }
    text
}

impl Get {
    /// The request, also for the line of a transaction.
    pub(crate) fn request(&self) -> Result<RangeRequest, ToolError> {
        let (key, range_end) = self.range.ends()?;
        for (what, least, most) in [
            ("create", self.min_create_rev, self.max_create_rev),
            ("mod", self.min_mod_rev, self.max_mod_rev),
        ] {
            if most > 0 && least > most {
                let text = format!("--min-{what}-rev {least} is above --max-{what}-rev {most}");
                return Err(ToolError::Usage(text));
            }
        }
        // Compat: without --order the server sorts upwards, as it does for etcdctl.
        let sort_order = match self.order {
            Some(Order::Descend) => 2,
            Some(Order::Ascend) => 1,
            None => 0,
        };
        Ok(RangeRequest {
            key: key.into(),
            range_end: range_end.into(),
            limit: self.limit,
            revision: self.rev.max(0),
            sort_order,
            sort_target: self.sort_by.map_or(0, |target| target as i32),
            serializable: self.consistency == Consistency::S,
            keys_only: self.keys_only,
            count_only: self.count_only,
            min_create_revision: self.min_create_rev.max(0),
            max_create_revision: self.max_create_rev.max(0),
            min_mod_revision: self.min_mod_rev.max(0),
            max_mod_revision: self.max_mod_rev.max(0),
        })
    }
}

impl Put {
    /// The request, also for the line of a transaction, which has no standard input to read.
    pub(crate) fn request(self, from_input: bool) -> Result<PutRequest, ToolError> {
        let value = match self.value {
            Some(value) => value.into_bytes(),
            None if self.ignore_value => Vec::new(),
            None if !from_input => {
                return Err(ToolError::Usage("put needs a key and a value".to_owned()));
            }
            None => {
                let mut value = Vec::new();
                std::io::stdin().lock().read_to_end(&mut value)?;
                if value.is_empty() {
                    let text = "put needs a value: as an argument ('' for an empty one) or on \
                                standard input";
                    return Err(ToolError::Usage(text.to_owned()));
                }
                value
            }
        };
        Ok(PutRequest {
            key: self.key.into(),
            value: value.into(),
            lease: self.lease,
            prev_kv: self.prev_kv,
            ignore_value: self.ignore_value,
            ignore_lease: self.ignore_lease,
        })
    }
}

impl Del {
    /// The request, also for the line of a transaction.
    pub(crate) fn request(&self) -> Result<DeleteRangeRequest, ToolError> {
        let (key, range_end) = self.range.ends()?;
        Ok(DeleteRangeRequest {
            key: key.into(),
            range_end: range_end.into(),
            prev_kv: self.prev_kv,
        })
    }
}

pub(crate) async fn put(global: &Global, put: Put) -> Result<(), ToolError> {
    let request = put.request(true)?;
    let answer = global.kv().await?.put(request).await?.into_inner();
    let output = &global.output;
    output.show(
        &answer,
        || put_lines(output, &answer),
        || {
            let revision = answer.header.map_or(0, |header| header.revision);
            let mut text = format!("OK, revision {revision}\n");
            if let Some(previous) = &answer.prev_kv {
                text.push_str("before:\n");
                let before = RangeResponse { kvs: vec![previous.clone()], ..Default::default() };
                text.push_str(&range_table(output, &before, false, false));
            }
            text
        },
    )
}

pub(crate) fn put_lines(output: &Output, answer: &PutResponse) -> Vec<u8> {
    let mut lines = b"OK\n".to_vec();
    answer.prev_kv.iter().for_each(|kv| pair_lines(output, kv, &mut lines));
    lines
}

pub(crate) async fn del(global: &Global, del: Del) -> Result<(), ToolError> {
    let answer = global.kv().await?.delete_range(del.request()?).await?.into_inner();
    let output = &global.output;
    output.show(
        &answer,
        || delete_lines(output, &answer),
        || {
            let mut text = match answer.deleted {
                0 => "nothing deleted: no such key\n".to_owned(),
                1 => "1 key deleted\n".to_owned(),
                many => format!("{many} keys deleted\n"),
            };
            if !answer.prev_kvs.is_empty() {
                let before = RangeResponse { kvs: answer.prev_kvs.clone(), ..Default::default() };
                text.push_str(&range_table(output, &before, true, false));
            }
            text
        },
    )
}

pub(crate) fn delete_lines(output: &Output, answer: &DeleteRangeResponse) -> Vec<u8> {
    let mut lines = format!("{}\n", answer.deleted).into_bytes();
    answer.prev_kvs.iter().for_each(|kv| pair_lines(output, kv, &mut lines));
    lines
}

pub(crate) async fn compaction(global: &Global, ask: Compaction) -> Result<(), ToolError> {
    let request = CompactionRequest { revision: ask.revision, physical: ask.physical };
    let answer = global.kv().await?.compact(request).await?.into_inner();
    if matches!(global.output.format, Format::Fields | Format::Protobuf) {
        return global.output.whole(&answer);
    }
    global.output.say(
        // etcdctl prints its line in every format; a document is what was asked for.
        || answers::headed(answer.header.as_ref()).with("compacted", ask.revision).into(),
        || format!("compacted revision {}", ask.revision),
    )
}
