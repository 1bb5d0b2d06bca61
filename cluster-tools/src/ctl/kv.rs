//! `get`, `put` and `del`.
//!
//! Must not know: how an answer is laid out beyond [`super::print`].

use std::io::Read;

use clap::{Args, ValueEnum};
use proto::etcdserverpb::{DeleteRangeRequest, PutRequest, RangeRequest, RangeResponse};
use serde_json::json;
use services::etcdserverpb::kv_client::KvClient;
use tonic::transport::Channel;

use super::print::{self, Format};
use super::{Global, parse_lease_id, prefix_end};
use crate::ToolError;

/// Options of `get`.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The key, or the first key of the range.
    key: String,
    /// The first key beyond the range.
    range_end: Option<String>,
    /// Every key that starts with KEY.
    #[arg(long)]
    prefix: bool,
    /// Every key at or after KEY.
    #[arg(long)]
    from_key: bool,
    /// At most this many keys; 0 is no limit.
    #[arg(long, default_value_t = 0)]
    limit: i64,
    /// The revision to read at; 0 is the latest.
    #[arg(long, default_value_t = 0)]
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
    #[arg(long)]
    keys_only: bool,
    /// The number of keys alone.
    #[arg(long)]
    count_only: bool,
    /// Values without their keys.
    #[arg(long)]
    print_value_only: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Consistency {
    L,
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
    /// The value; read from standard input when it is left out.
    value: Option<String>,
    /// The lease to attach, in hexadecimal.
    #[arg(long, value_parser = parse_lease_id, default_value = "0")]
    lease: i64,
    /// Print what was there before.
    #[arg(long)]
    prev_kv: bool,
    /// Keep the current value.
    #[arg(long)]
    ignore_value: bool,
    /// Keep the current lease.
    #[arg(long)]
    ignore_lease: bool,
}

/// Options of `del`.
#[derive(Debug, Args)]
pub(crate) struct Del {
    /// The key, or the first key of the range.
    key: String,
    /// The first key beyond the range.
    range_end: Option<String>,
    /// Every key that starts with KEY.
    #[arg(long)]
    prefix: bool,
    /// Every key at or after KEY.
    #[arg(long)]
    from_key: bool,
    /// Print what was deleted.
    #[arg(long)]
    prev_kv: bool,
}

pub(crate) async fn client(global: &Global) -> Result<KvClient<Channel>, ToolError> {
    Ok(KvClient::new(global.channel().await?).max_decoding_message_size(usize::MAX))
}

pub(crate) async fn get(global: &Global, get: Get) -> Result<(), ToolError> {
    let request = get.request()?;
    let answer = client(global).await?.range(request).await?.into_inner();
    match global.write_out {
        Format::Json => print::json_line(&range_json(&answer)),
        Format::Simple if get.count_only => Ok(()),
        Format::Simple => print_range(&answer, get.keys_only, get.print_value_only),
    }
}

/// The answer's pairs as etcdctl's lines: a key, then its value.
pub(crate) fn print_range(
    answer: &RangeResponse,
    keys_only: bool,
    values_only: bool,
) -> Result<(), ToolError> {
    for kv in &answer.kvs {
        if !values_only {
            print::line(&kv.key)?;
        }
        if !keys_only || values_only {
            print::line(&kv.value)?;
        }
    }
    Ok(())
}

fn range_json(answer: &RangeResponse) -> serde_json::Value {
    json!({
        "header": print::header(answer.header.as_ref()),
        "kvs": answer.kvs.iter().map(print::key_value).collect::<Vec<_>>(),
        "more": answer.more,
        "count": answer.count,
    })
}

impl Get {
    fn request(&self) -> Result<RangeRequest, ToolError> {
        let (key, range_end) =
            range(&self.key, self.range_end.as_deref(), self.prefix, self.from_key)?;
        let sort_order = match (self.order, self.sort_by) {
            (Some(Order::Descend), _) => 2,
            (Some(Order::Ascend), _) | (None, Some(_)) => 1,
            (None, None) => 0,
        };
        Ok(RangeRequest {
            key: key.into(),
            range_end: range_end.into(),
            limit: self.limit,
            revision: self.rev,
            sort_order,
            sort_target: self.sort_by.map_or(0, |target| target as i32),
            serializable: self.consistency == Consistency::S,
            keys_only: self.keys_only,
            count_only: self.count_only,
            ..RangeRequest::default()
        })
    }
}

pub(crate) async fn put(global: &Global, put: Put) -> Result<(), ToolError> {
    let value = match put.value {
        Some(value) => value.into_bytes(),
        None if put.ignore_value => Vec::new(),
        None => {
            let mut value = Vec::new();
            std::io::stdin().lock().read_to_end(&mut value)?;
            value
        }
    };
    let request = PutRequest {
        key: put.key.into(),
        value: value.into(),
        lease: put.lease,
        prev_kv: put.prev_kv,
        ignore_value: put.ignore_value,
        ignore_lease: put.ignore_lease,
    };
    let answer = client(global).await?.put(request).await?.into_inner();
    if global.write_out == Format::Json {
        let previous = answer.prev_kv.as_ref().map(print::key_value);
        return print::json_line(
            &json!({"header": print::header(answer.header.as_ref()), "prev_kv": previous}),
        );
    }
    print::line(b"OK")?;
    if let Some(previous) = answer.prev_kv {
        print::line(&previous.key)?;
        print::line(&previous.value)?;
    }
    Ok(())
}

pub(crate) async fn del(global: &Global, del: Del) -> Result<(), ToolError> {
    let (key, range_end) = range(&del.key, del.range_end.as_deref(), del.prefix, del.from_key)?;
    let request =
        DeleteRangeRequest { key: key.into(), range_end: range_end.into(), prev_kv: del.prev_kv };
    let answer = client(global).await?.delete_range(request).await?.into_inner();
    if global.write_out == Format::Json {
        return print::json_line(&json!({
            "header": print::header(answer.header.as_ref()),
            "deleted": answer.deleted,
            "prev_kvs": answer.prev_kvs.iter().map(print::key_value).collect::<Vec<_>>(),
        }));
    }
    print::line(answer.deleted.to_string().as_bytes())?;
    for previous in &answer.prev_kvs {
        print::line(&previous.key)?;
        print::line(&previous.value)?;
    }
    Ok(())
}

/// Key and range end for the four ways of naming a range.
pub(crate) fn range(
    key: &str,
    range_end: Option<&str>,
    prefix: bool,
    from_key: bool,
) -> Result<(Vec<u8>, Vec<u8>), ToolError> {
    if usize::from(prefix) + usize::from(from_key) + usize::from(range_end.is_some()) > 1 {
        return Err(ToolError::Usage(
            "RANGE_END, --prefix and --from-key exclude each other".to_owned(),
        ));
    }
    // Compat: etcd refuses an empty key, so "everything" starts at the smallest key there is.
    let start = |key: &str| if key.is_empty() { vec![0] } else { key.as_bytes().to_vec() };
    Ok(match (prefix, from_key, range_end) {
        (true, _, _) => (start(key), prefix_end(key.as_bytes())),
        (_, true, _) => (start(key), vec![0]),
        (_, _, Some(end)) => (key.as_bytes().to_vec(), end.as_bytes().to_vec()),
        _ => (key.as_bytes().to_vec(), Vec::new()),
    })
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn a_range_is_named_in_one_way_only() {
        assert!(range("a", Some("b"), true, false).is_err());
        assert_eq!(range("a", None, true, false).ok(), Some((b"a".to_vec(), b"b".to_vec())));
        assert_eq!(range("", None, true, false).ok(), Some((vec![0], vec![0])));
        assert_eq!(range("a", None, false, true).ok(), Some((b"a".to_vec(), vec![0])));
    }
}
