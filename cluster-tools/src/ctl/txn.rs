//! `txn`: compares, then-requests and else-requests, one a line, parted by empty lines.
//!
//! The grammar is etcdctl's: `mod("key") > "0"`, `value("key") = "x"`; requests are `put`, `get`
//! and `del` with quoted or bare words.
//!
//! Must not know: how a transaction is run.

use std::io::BufRead;

use clap::Args;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::response_op::Response;
use proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, TxnResponse,
};
use serde_json::json;

use super::print::{self, Format};
use super::{Global, kv, parse_lease_id};
use crate::ToolError;

/// Options of `txn`.
#[derive(Debug, Args)]
pub(crate) struct Txn {}

pub(crate) async fn run(global: &Global, _txn: Txn) -> Result<(), ToolError> {
    let request = read(std::io::stdin().lock())?;
    let answer = kv::client(global).await?.txn(request).await?.into_inner();
    show(global.write_out, &answer)
}

fn read(input: impl BufRead) -> Result<TxnRequest, ToolError> {
    let mut parts: [Vec<String>; 3] = Default::default();
    let mut part = 0;
    for line in input.lines() {
        let line = line?;
        if line.trim().is_empty() {
            part += 1;
            if part == parts.len() {
                break;
            }
        } else {
            parts[part].push(line);
        }
    }
    let [compares, success, failure] = parts;
    Ok(TxnRequest {
        compare: compares.iter().map(|line| compare(line)).collect::<Result<_, _>>()?,
        success: success.iter().map(|line| request(line)).collect::<Result<_, _>>()?,
        failure: failure.iter().map(|line| request(line)).collect::<Result<_, _>>()?,
    })
}

/// `target("key") op "value"`.
fn compare(line: &str) -> Result<Compare, ToolError> {
    let bad = || ToolError::Usage(format!("invalid txn compare request: {line}"));
    let (target, rest) = line.trim().split_once('(').ok_or_else(bad)?;
    let (key, rest) = rest.split_once(')').ok_or_else(bad)?;
    let mut words = words(rest)?.into_iter();
    let (operator, operand) = (words.next().ok_or_else(bad)?, words.next().ok_or_else(bad)?);
    let result = match operator.as_str() {
        "=" | "==" => CompareResult::Equal,
        "!=" => CompareResult::NotEqual,
        ">" => CompareResult::Greater,
        "<" => CompareResult::Less,
        _ => return Err(bad()),
    };
    let number = || operand.parse::<i64>().map_err(|_| bad());
    let (target, union) = match target.trim() {
        "ver" | "version" => (CompareTarget::Version, TargetUnion::Version(number()?)),
        "c" | "create" => (CompareTarget::Create, TargetUnion::CreateRevision(number()?)),
        "m" | "mod" => (CompareTarget::Mod, TargetUnion::ModRevision(number()?)),
        "val" | "value" => (CompareTarget::Value, TargetUnion::Value(operand.clone().into())),
        "lease" => {
            (CompareTarget::Lease, TargetUnion::Lease(parse_lease_id(&operand).map_err(|_| bad())?))
        }
        _ => return Err(bad()),
    };
    Ok(Compare {
        result: result as i32,
        target: target as i32,
        key: self::words(key)?.pop().ok_or_else(bad)?.into(),
        target_union: Some(union),
        ..Compare::default()
    })
}

/// `put key value`, `get key [end]`, `del key [end]`.
fn request(line: &str) -> Result<RequestOp, ToolError> {
    let bad = || ToolError::Usage(format!("invalid txn request: {line}"));
    let words = words(line)?;
    let mut operands = words.iter().skip(1).cloned();
    let key = operands.next().ok_or_else(bad)?.into();
    let second = operands.next();
    if operands.next().is_some() {
        return Err(bad());
    }
    let request = match words[0].as_str() {
        "put" => Request::RequestPut(PutRequest {
            key,
            value: second.ok_or_else(bad)?.into(),
            ..PutRequest::default()
        }),
        "get" => Request::RequestRange(RangeRequest {
            key,
            range_end: second.unwrap_or_default().into(),
            ..RangeRequest::default()
        }),
        "del" => Request::RequestDeleteRange(DeleteRangeRequest {
            key,
            range_end: second.unwrap_or_default().into(),
            ..DeleteRangeRequest::default()
        }),
        _ => return Err(bad()),
    };
    Ok(RequestOp { request: Some(request) })
}

/// Splits at blanks; a double-quoted word may hold blanks and the escapes `\"`, `\\`, `\n`, `\t`.
fn words(line: &str) -> Result<Vec<String>, ToolError> {
    let mut words = Vec::new();
    let mut rest = line.chars().peekable();
    while let Some(&next) = rest.peek() {
        if next.is_whitespace() {
            rest.next();
        } else if next == '"' {
            rest.next();
            words.push(quoted(&mut rest, line)?);
        } else {
            let mut word = String::new();
            while let Some(character) = rest.next_if(|character| !character.is_whitespace()) {
                word.push(character);
            }
            words.push(word);
        }
    }
    Ok(words)
}

fn quoted(rest: &mut impl Iterator<Item = char>, line: &str) -> Result<String, ToolError> {
    let mut word = String::new();
    while let Some(character) = rest.next() {
        match character {
            '"' => return Ok(word),
            '\\' => match rest.next() {
                Some('n') => word.push('\n'),
                Some('t') => word.push('\t'),
                Some(escaped) => word.push(escaped),
                None => break,
            },
            _ => word.push(character),
        }
    }
    Err(ToolError::Usage(format!("a quoted word does not end: {line}")))
}

fn show(format: Format, answer: &TxnResponse) -> Result<(), ToolError> {
    if format == Format::Json {
        return print::json_line(&json!({
            "header": print::header(answer.header.as_ref()),
            "succeeded": answer.succeeded,
            "responses": answer.responses.len(),
        }));
    }
    print::line(if answer.succeeded { b"SUCCESS" } else { b"FAILURE" })?;
    for response in &answer.responses {
        print::line(b"")?;
        match &response.response {
            Some(Response::ResponseRange(range)) => kv::print_range(range, false, false)?,
            Some(Response::ResponsePut(_)) => print::line(b"OK")?,
            Some(Response::ResponseDeleteRange(deleted)) => {
                print::line(deleted.deleted.to_string().as_bytes())?;
            }
            Some(Response::ResponseTxn(txn)) => show(format, txn)?,
            None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{compare, read, words};
    use proto::etcdserverpb::compare::TargetUnion;

    #[test]
    fn quoted_words_keep_their_blanks() {
        let expected = vec!["put".to_owned(), "a b".to_owned(), "say \"x\"".to_owned()];
        assert_eq!(words(r#"put "a b" "say \"x\"""#).ok(), Some(expected));
        assert!(words("put \"open").is_err());
    }

    #[test]
    fn a_compare_names_target_key_and_operand() {
        let parsed = compare(r#"mod("k") > "5""#).expect("a valid compare");
        assert_eq!(parsed.target_union, Some(TargetUnion::ModRevision(5)));
        assert_eq!(&parsed.key[..], b"k");
        assert!(compare("k = 5").is_err());
        assert!(compare(r#"mod("k") ~ "5""#).is_err());
    }

    #[test]
    fn empty_lines_part_compares_then_and_else() {
        let text = "ver(\"k\") = \"0\"\n\nput k v\n\nget k\n";
        let request = read(text.as_bytes()).expect("a valid transaction");
        assert_eq!(
            (request.compare.len(), request.success.len(), request.failure.len()),
            (1, 1, 1)
        );
    }
}
