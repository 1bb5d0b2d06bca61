//! Records what the real kube-apiserver answers to the cases that the rows of the kinds are held
//! against: the requests of `objects/apiserver/src/kinds/golden/*.txt` are kept, the answers below
//! them are written anew.
//!
//! The form of those files stands in `golden.rs` beside them.
//!
//! Invariants: a case is asked with `dryRun=All` and changes nothing; what differs from one run to
//! the next (uids, times, long texts) is written in one way; what is said of a whole version, and
//! not of an object, is left out.
//!
//! Must not know: what our server answers.

use std::collections::HashMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use crate::client::{Answer, Client};

/// What every uid is written as.
const UID: &str = "uid-0";
/// What the time of an answer is written as.
const NOW: &str = "2020-01-01T00:00:00Z";
/// Quoted texts of so many bytes are cut.
const LONG_BYTES: usize = 200;
/// What is left of one that is cut.
const CUT_BYTES: usize = 19;
/// What the server gives an object of its own, new each time.
const GIVEN: [&str; 5] =
    ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"];

/// A file, recorded anew.
#[derive(Debug)]
pub struct Recorded {
    /// The file's text.
    pub text: String,
    /// The cases in it.
    pub cases: u64,
    /// The cases whose answer is not the one that the file had, each in a line.
    pub changed: Vec<String>,
}

/// Asks the cases of a file and writes their answers in place of those it has.
///
/// *Errors*: the file has not the form, or the server cannot be asked what a case asks.
pub async fn record(client: &Client, text: &str) -> Result<Recorded> {
    let mut recorded = Recorded { text: String::new(), cases: 0, changed: Vec::new() };
    let mut paths = HashMap::new();
    let mut base: Option<Base> = None;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        writeln!(recorded.text, "{line}")?;
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" | "#" => {}
            "base" => {
                let object = lines.next().context("a file ends with a base")?;
                writeln!(recorded.text, "{object}")?;
                if let Some(before) = base.take() {
                    before.remove(client).await?;
                }
                base = Some(Base::read(client, &mut paths, rest, object).await?);
            }
            "given" => {
                let base = base.as_mut().with_context(|| format!("no base before {line:?}"))?;
                base.give(client, rest).await?;
            }
            verb => {
                let base = base.as_mut().with_context(|| format!("no base before {line:?}"))?;
                let mut answer =
                    base.ask(client, verb, rest).await.with_context(|| line.to_owned())?;
                let mut had = Vec::new();
                while let Some(line) = lines.next_if(|line| line.starts_with("  ")) {
                    had.push(line.trim_start().to_owned());
                }
                recorded.cases += 1;
                if is_reordered(&had, &answer) {
                    answer = had;
                } else if had != answer {
                    recorded.changed.push(format!("{} {line}", base.kind));
                }
                for line in answer {
                    writeln!(recorded.text, "  {line}")?;
                }
            }
        }
    }
    if let Some(last) = base {
        last.remove(client).await?;
    }
    Ok(recorded)
}

/// Whether the lines are the same in another order: the real server tells some in the order of a
/// map, which is another each time.
fn is_reordered(had: &[String], answer: &[String]) -> bool {
    let sorted = |lines: &[String]| {
        let mut lines = lines.to_vec();
        lines.sort_unstable();
        lines
    };
    had != answer && sorted(had) == sorted(answer)
}

/// An object that cases change, and where it is.
#[derive(Debug)]
struct Base {
    version: String,
    kind: String,
    folder: String,
    name: String,
    object: Value,
    /// As it is in the store, where it is put when the first case replaces it: until then its name
    /// is free for those that create it.
    stored: Option<Value>,
}

impl Base {
    async fn read(
        client: &Client,
        paths: &mut HashMap<String, String>,
        line: &str,
        object: &str,
    ) -> Result<Self> {
        let [version, kind, scope] = line.split(' ').collect::<Vec<_>>()[..] else {
            bail!("{line:?} is no version, kind and scope");
        };
        let object: Value = serde_json::from_str(object).context("the object of a base")?;
        if !paths.contains_key(line) {
            paths.insert(line.to_owned(), path(client, version, kind, scope).await?);
        }
        let folder = paths[line].clone();
        let name = object["metadata"]["name"].as_str().context("a base has a name")?.to_owned();
        let (version, kind) = (version.to_owned(), kind.to_owned());
        Ok(Self { version, kind, folder, name, object, stored: None })
    }

    async fn stored(&mut self, client: &Client) -> Result<&Value> {
        if self.stored.is_none() {
            let made = ask(client, "POST", &self.folder, Some(&self.object)).await?;
            let said = String::from_utf8_lossy(&made.body);
            ensure!(made.status.is_success(), "{} is not made: {said}", self.kind);
            self.stored = Some(body(&made)?);
        }
        self.stored.as_ref().context("it was made just now")
    }

    /// Changes what is in the store, the status with the rest.
    async fn give(&mut self, client: &Client, changes: &str) -> Result<()> {
        for part in ["", "/status"] {
            let path = format!("{}/{}{part}", self.folder, self.name);
            let wanted = changed(self.stored(client).await?, changes)?;
            let answer = ask(client, "PUT", &path, Some(&wanted)).await?;
            let said = String::from_utf8_lossy(&answer.body);
            ensure!(answer.status.is_success(), "given {changes}: {said}");
            self.stored = Some(body(&answer)?);
        }
        Ok(())
    }

    /// The lines that a case is answered with.
    async fn ask(&mut self, client: &Client, verb: &str, changes: &str) -> Result<Vec<String>> {
        let (folder, own) = (self.folder.clone(), format!("{}/{}", self.folder, self.name));
        let (method, path, object) = match verb {
            "create" | "show" => ("POST", folder, &self.object),
            "update" => ("PUT", own, self.stored(client).await?),
            "status" => ("PUT", format!("{own}/status"), self.stored(client).await?),
            other => bail!("{other:?} is no verb"),
        };
        let object = changed(object, changes)?;
        let answer = ask(client, method, &format!("{path}?dryRun=All"), Some(&object)).await?;
        let said = body(&answer)?;
        if !answer.status.is_success() {
            let causes = said["details"]["causes"].as_array();
            return causes.with_context(|| said.to_string())?.iter().map(cause).collect();
        }
        let mut lines = match verb {
            "show" => vec![shown(said)],
            _ => vec!["ok".to_owned()],
        };
        if matches!(verb, "create" | "show") {
            let of_version = format!("{} {} is deprecated", self.version, self.kind);
            let said = warnings(&answer.headers).filter(|text| !text.starts_with(&of_version));
            lines.extend(said.map(|text| format!("warning {text}")));
        }
        Ok(lines)
    }

    async fn remove(self, client: &Client) -> Result<()> {
        let path = format!("{}/{}?gracePeriodSeconds=0", self.folder, self.name);
        // A namespace, or what a finalizer holds, stays: nobody is there to finish it.
        ask(client, "DELETE", &path, None).await.map(drop)
    }
}

/// Where the objects of a kind are.
async fn path(client: &Client, version: &str, kind: &str, scope: &str) -> Result<String> {
    let root = if version.contains('/') { "/apis" } else { "/api" };
    let list = body(&ask(client, "GET", &format!("{root}/{version}"), None).await?)?;
    let resources = list["resources"].as_array().into_iter().flatten();
    let plural = resources
        .filter(|resource| resource["kind"] == kind)
        .filter_map(|resource| resource["name"].as_str())
        .find(|name| !name.contains('/'))
        .with_context(|| format!("the server has no {kind} in {version}"))?;
    let namespace = if scope == "namespaced" { "/namespaces/default" } else { "" };
    Ok(format!("{root}/{version}{namespace}/{plural}"))
}

async fn ask(client: &Client, method: &str, path: &str, object: Option<&Value>) -> Result<Answer> {
    let text = object.map(Value::to_string).unwrap_or_default();
    let json = [("Content-Type", "application/json"), ("Accept", "application/json")];
    client.ask(method, path, &json, Bytes::from(text)).await
}

fn body(answer: &Answer) -> Result<Value> {
    serde_json::from_slice(&answer.body)
        .with_context(|| String::from_utf8_lossy(&answer.body).into_owned())
}

/// A cause in a line.
fn cause(cause: &Value) -> Result<String> {
    let text = |name: &str| cause[name].as_str().unwrap_or_default();
    let line = format!("{} {}: {}", text("reason"), text("field"), text("message"));
    let first = line.lines().next().context("a cause has a line")?;
    Ok(shortened(&with_one_uid(first)))
}

/// Long quoted texts are cut.
fn shortened(line: &str) -> String {
    let quoted = line.split('"').enumerate().map(|(index, part)| match index % 2 {
        1 if part.len() >= LONG_BYTES => format!("{}...", &part[..CUT_BYTES]),
        _ => part.to_owned(),
    });
    quoted.collect::<Vec<_>>().join("\"")
}

/// Each uid that the server drew is written as the same one.
fn with_one_uid(text: &str) -> String {
    let mut rest = text;
    let mut written = String::new();
    while let Some(next) = rest.chars().next() {
        let found = rest.get(..36).filter(|word| is_uid(word));
        let step = if found.is_some() { 36 } else { next.len_utf8() };
        written.push_str(if found.is_some() { UID } else { &rest[..step] });
        rest = &rest[step..];
    }
    written
}

fn is_uid(word: &str) -> bool {
    word.bytes().enumerate().all(|(place, byte)| match place {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    })
}

/// An object in a line, without what the server gave it and with the same time in every run.
fn shown(mut object: Value) -> String {
    let created = object["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|name, _| !GIVEN.contains(&name.as_str()));
    }
    let text = object.to_string();
    let Some((day, _)) = created.split_once('T') else { return with_one_uid(&text) };
    let quoted = text.split('"').map(|part| {
        let is_now = part.len() == NOW.len() && part.starts_with(day);
        if is_now { NOW } else { part }
    });
    with_one_uid(&quoted.collect::<Vec<_>>().join("\""))
}

/// The texts of the warnings: `299 - "text"`.
fn warnings(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let values = headers.get_all("warning").iter().filter_map(|value| value.to_str().ok());
    let quoted = values.filter_map(|value| value.split_once('"')?.1.strip_suffix('"'));
    quoted.map(|text| text.replace("\\\"", "\"").replace("\\\\", "\\"))
}

/// The object with its changes.
fn changed(object: &Value, changes: &str) -> Result<Value> {
    let mut object = object.clone();
    for change in changes.split(" ; ").map(str::trim).filter(|change| !change.is_empty()) {
        match change.split_once('=') {
            Some((path, value)) => change_at(&mut object, path, Some(literal(value)?))?,
            None => change_at(&mut object, change.trim_end_matches('-'), None)?,
        }
    }
    Ok(object)
}

fn literal(text: &str) -> Result<Value> {
    if let Some(inner) = text.strip_prefix("repeat(").and_then(|text| text.strip_suffix(')')) {
        let (part, count) = inner.rsplit_once(',').context("repeat(text,count)")?;
        let part: String = serde_json::from_str(part)?;
        return Ok(json!(part.repeat(count.parse()?)));
    }
    serde_json::from_str(text).with_context(|| text.to_owned())
}

/// A path in steps: `a.b[0]["c.d"]`.
fn steps(path: &str) -> Result<Vec<&str>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let bracket = [("[\"", "\"]"), ("[", "]")].into_iter().find_map(|(open, close)| {
            rest.strip_prefix(open).map(|inner| inner.split_once(close).context("an open bracket"))
        });
        let (step, after) = match bracket {
            Some(found) => found?,
            None => {
                let from = rest.trim_start_matches('.');
                from.split_at(from.find(['.', '[']).unwrap_or(from.len()))
            }
        };
        steps.push(step);
        rest = after;
    }
    Ok(steps)
}

fn change_at(object: &mut Value, path: &str, value: Option<Value>) -> Result<()> {
    let steps = steps(path)?;
    let (last, above) = steps.split_last().context("a path has steps")?;
    let mut at = object;
    for (step, next) in above.iter().zip(&steps[1..]) {
        at = child(at, step)?;
        if at.is_null() {
            let is_list = next.bytes().all(|byte| byte.is_ascii_digit());
            *at = if is_list { json!([]) } else { json!({}) };
        }
    }
    match (value, at) {
        (Some(value), at) => *child(at, last)? = value,
        (None, Value::Array(list)) => drop(list.remove(last.parse()?)),
        (None, Value::Object(map)) => drop(map.remove(*last)),
        (None, _) => {}
    }
    Ok(())
}

fn child<'v>(at: &'v mut Value, step: &str) -> Result<&'v mut Value> {
    match at {
        Value::Array(list) => {
            let index: usize = step.parse()?;
            if list.len() <= index {
                list.resize(index + 1, Value::Null);
            }
            Ok(&mut list[index])
        }
        Value::Object(map) => Ok(map.entry(step).or_insert(Value::Null)),
        other => bail!("{other} has no {step:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_reach_into_lists_and_quoted_names() {
        let object = json!({"a": {"b": [{"c": 1}, 2]}, "gone": 1});
        let changes = "a.b[0][\"x.y\"]=true ; gone- ; a.new[1]=\"z\" ; a.b[1]- ; \
                       long=repeat(\"ab\",2)";
        let wanted = json!({
            "a": {"b": [{"c": 1, "x.y": true}], "new": [null, "z"]}, "long": "abab",
        });
        assert_eq!(changed(&object, changes).expect("well formed"), wanted);
        for bad in ["a=x", "a[0=1", "a.b[x]=1", "gone.deeper=1", "long=repeat(1)"] {
            assert!(changed(&object, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_changes_from_run_to_run_is_written_in_one_way() {
        let uid = "0b5c1a2e-1234-4abc-9def-0123456789ab";
        let long = "é".repeat(100);
        let told = json!({
            "reason": "FieldValueInvalid", "field": "spec",
            "message": format!("Invalid value: \"{uid}\", \"{}\" and 'é'\nmore", "a".repeat(200)),
        });
        let wanted = format!(
            "FieldValueInvalid spec: Invalid value: \"uid-0\", \"{}...\" and 'é'",
            "a".repeat(19)
        );
        assert_eq!(cause(&told).expect("a line"), wanted);
        assert_eq!(with_one_uid(&long), long);
        let object = json!({
            "metadata": {"name": "a", "uid": uid, "creationTimestamp": "2031-05-06T07:08:09Z"},
            "status": {"now": "2031-05-06T07:08:10Z", "then": "2031-05-07T00:00:00Z"},
        });
        let wanted = json!({
            "metadata": {"name": "a"}, "status": {"now": NOW, "then": "2031-05-07T00:00:00Z"},
        });
        assert_eq!(shown(object), wanted.to_string());
    }

    #[test]
    fn another_order_of_the_same_lines_is_the_same_answer() {
        let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(is_reordered(&lines("ok b a"), &lines("ok a b")));
        assert!(!is_reordered(&lines("ok a"), &lines("ok a b")));
        assert!(!is_reordered(&lines("ok a a"), &lines("ok a b")));
    }

    #[test]
    fn warnings_are_read_from_their_headers() {
        let mut headers = HeaderMap::new();
        let value = http::HeaderValue::from_static("299 - \"a \\\"b\\\" c\"");
        headers.append("warning", value);
        assert_eq!(warnings(&headers).collect::<Vec<_>>(), ["a \"b\" c"]);
    }
}
