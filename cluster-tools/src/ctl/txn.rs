//! `txn`: compares, then-requests and else-requests, one a line, parted by empty lines.
//!
//! The grammar is etcdctl's: `mod("key") > "0"`; requests are `put`, `get` and `del` with their own
//! flags, with bare, single- or double-quoted words.
//!
//! Must not know: how a transaction is run.

use std::io::BufRead;

use clap::{Args, Parser};
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::response_op::Response;
use proto::etcdserverpb::{Compare, RequestOp, TxnRequest, TxnResponse};

use super::global::Global;
use super::kv;
use super::show::{self, Output};
use super::words::words;
use crate::ToolError;
use crate::catalogue::Id;

/// Options of `txn`.
#[derive(Debug, Args)]
pub(crate) struct Txn {
    /// Say before each part what is expected.
    #[arg(short, long)]
    interactive: bool,
}

/// A line of requests, read with the verbs' own flags.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_help_subcommand = true)]
enum Line {
    Get(kv::Get),
    Put(kv::Put),
    Del(kv::Del),
}

const PROMPTS: [&str; 3] =
    ["compares:", "success requests (get, put, del):", "failure requests (get, put, del):"];

pub(crate) async fn run(global: &Global, txn: Txn) -> Result<(), ToolError> {
    let request =
        read(
            std::io::stdin().lock(),
            |prompt| {
                if txn.interactive { show::line(prompt) } else { Ok(()) }
            },
        )?;
    let answer = global.kv().await?.txn(request).await?.into_inner();
    let output = &global.output;
    output.show(&answer, || simple(output, &answer), || table(output, &answer))
}

fn read(
    mut input: impl BufRead,
    prompt: impl Fn(&str) -> Result<(), ToolError>,
) -> Result<TxnRequest, ToolError> {
    let mut request = TxnRequest::default();
    for (part, what) in PROMPTS.iter().enumerate() {
        prompt(what)?;
        loop {
            let mut line = String::new();
            let ended = input.read_line(&mut line)? == 0;
            let line = line.trim();
            if line.is_empty() {
                // Compat: etcdctl wants the empty line also behind the last part.
                if ended && part < PROMPTS.len() - 1 {
                    let text = format!("the transaction ends before its {}", PROMPTS[part + 1]);
                    return Err(bad(text.trim_end_matches(':')));
                }
                break;
            }
            match part {
                0 => request.compare.push(compare(line)?),
                1 => request.success.push(operation(line)?),
                _ => request.failure.push(operation(line)?),
            }
        }
    }
    Ok(request)
}

fn bad(text: impl Into<String>) -> ToolError {
    ToolError::of(Id::Input, text)
}

/// `target("key") op "value"`.
fn compare(line: &str) -> Result<Compare, ToolError> {
    let malformed = || bad(format!("malformed comparison: {line}"));
    let (target, rest) = line.split_once('(').ok_or_else(malformed)?;
    let (key, rest) = rest.rsplit_once(')').ok_or_else(malformed)?;
    let parts = words(rest).map_err(|why| bad(format!("malformed comparison: {line}: {why}")))?;
    let [operator, operand] = parts.as_slice() else { return Err(malformed()) };
    let key = words(key).ok().filter(|words| words.len() == 1).ok_or_else(malformed)?.remove(0);
    let result = match operator.as_str() {
        "=" | "==" => CompareResult::Equal,
        "!=" => CompareResult::NotEqual,
        ">" => CompareResult::Greater,
        "<" => CompareResult::Less,
        _ => return Err(malformed()),
    };
    let number =
        || operand.parse::<i64>().map_err(|_| bad(format!("invalid txn compare request: {line}")));
    let (target, union) = match target.trim() {
        "ver" | "version" => (CompareTarget::Version, TargetUnion::Version(number()?)),
        "c" | "create" => (CompareTarget::Create, TargetUnion::CreateRevision(number()?)),
        "m" | "mod" => (CompareTarget::Mod, TargetUnion::ModRevision(number()?)),
        "val" | "value" => (CompareTarget::Value, TargetUnion::Value(operand.clone().into())),
        "lease" => {
            let lease = super::range::parse_lease_id(operand).map_err(bad)?;
            (CompareTarget::Lease, TargetUnion::Lease(lease))
        }
        other => return Err(bad(format!("malformed comparison: {line} (unknown target {other})"))),
    };
    Ok(Compare {
        result: result as i32,
        target: target as i32,
        key: key.into(),
        target_union: Some(union),
        ..Compare::default()
    })
}

fn operation(line: &str) -> Result<RequestOp, ToolError> {
    let invalid = || bad(format!("invalid txn request: {line}"));
    let words = words(line).map_err(|why| bad(format!("invalid txn request: {line}: {why}")))?;
    let request = match Line::try_parse_from(words).map_err(|_| invalid())? {
        Line::Get(get) => Request::RequestRange(get.request()?),
        Line::Put(put) => Request::RequestPut(put.request(false).map_err(|_| invalid())?),
        Line::Del(del) => Request::RequestDeleteRange(del.request()?),
    };
    Ok(RequestOp { request: Some(request) })
}

fn simple(output: &Output, answer: &TxnResponse) -> Vec<u8> {
    let mut lines = if answer.succeeded { b"SUCCESS\n".to_vec() } else { b"FAILURE\n".to_vec() };
    for response in &answer.responses {
        lines.push(b'\n');
        lines.extend(match &response.response {
            Some(Response::ResponseRange(range)) => kv::range_lines(output, range),
            Some(Response::ResponsePut(put)) => kv::put_lines(output, put),
            Some(Response::ResponseDeleteRange(deleted)) => kv::delete_lines(output, deleted),
            Some(Response::ResponseTxn(txn)) => simple(output, txn),
            None => Vec::new(),
        });
    }
    lines
}

fn table(output: &Output, answer: &TxnResponse) -> String {
    let revision = answer.header.map_or(0, |header| header.revision);
    let held = if answer.succeeded {
        "the compares hold: SUCCESS requests were run"
    } else {
        "a compare does not hold: FAILURE requests were run"
    };
    let mut text = format!("{held}, revision {revision}\n");
    for (at, response) in answer.responses.iter().enumerate() {
        text.push_str(&format!("{}: ", at + 1));
        text.push_str(&match &response.response {
            Some(Response::ResponseRange(range)) => {
                format!("get\n{}", kv::range_table(output, range, true, false))
            }
            Some(Response::ResponsePut(_)) => "put OK\n".to_owned(),
            Some(Response::ResponseDeleteRange(deleted)) => {
                format!("del {} key(s)\n", deleted.deleted)
            }
            Some(Response::ResponseTxn(txn)) => format!("txn\n{}", table(output, txn)),
            None => "-\n".to_owned(),
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{compare, operation, read};
    use proto::etcdserverpb::compare::TargetUnion;
    use proto::etcdserverpb::request_op::Request;

    #[test]
    fn a_compare_names_target_key_and_operand() {
        let parsed = compare(r#"mod("k") > "5""#).expect("a valid compare");
        assert_eq!(parsed.target_union, Some(TargetUnion::ModRevision(5)));
        assert_eq!(&parsed.key[..], b"k");
        for bad in ["k = 5", r#"mod("k") ~ "5""#, r#"mod("k") > "x""#, r#"size("k") > "1""#] {
            assert_eq!(compare(bad).expect_err(bad).exit_code(), 3);
        }
    }

    #[test]
    fn a_request_takes_the_verbs_own_flags() {
        let parsed = operation("get k --prefix --limit 3").expect("valid");
        let Some(Request::RequestRange(range)) = parsed.request else { panic!("a get") };
        assert_eq!((&range.range_end[..], range.limit), (&b"l"[..], 3));
        for bad in ["put k", "get", "drop k", "get k --nope"] {
            assert!(operation(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn empty_lines_part_compares_then_and_else() {
        let text = "ver(\"k\") = \"0\"\n\nput k v\n\nget k\n";
        let request = read(text.as_bytes(), |_| Ok(())).expect("a valid transaction");
        assert_eq!(
            (request.compare.len(), request.success.len(), request.failure.len()),
            (1, 1, 1)
        );
        assert!(read("put".as_bytes(), |_| Ok(())).is_err());
        assert!(read("".as_bytes(), |_| Ok(())).is_err(), "no parts at all");
    }
}
