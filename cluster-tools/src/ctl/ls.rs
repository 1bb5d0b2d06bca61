//! `ls`: keys as a tree of segments between slashes.
//!
//! Invariants: every read is of one revision and of one page of keys without values; a segment
//! with more keys than a page is counted by the server and skipped, so that a listing costs in the
//! order of what it shows.
//!
//! Must not know: what the keys mean.

use clap::Args;
use proto::etcdserverpb::{RangeRequest, RangeResponse};
use services::etcdserverpb::kv_client::KvClient;

use super::global::Global;
use super::range::prefix_end;
use super::show::{Doc, Object, Output, Table, answers};
use crate::ToolError;
use crate::wire::Wire;

/// Keys in one read.
const PAGE_KEYS: i64 = 500;

/// Options of `ls`.
#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// What the keys begin with.
    #[arg(default_value = "")]
    prefix: String,
    /// How many levels of segments are shown.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    depth: u16,
    /// At most this many lines.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// A key, or a segment with keys below it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: Vec<u8>,
    /// How many keys are below; none for a key itself.
    below: Option<i64>,
    depth: u16,
}

/// Reads from one revision.
struct Reader {
    client: KvClient<Wire>,
    revision: i64,
    header: Option<proto::etcdserverpb::ResponseHeader>,
    left: usize,
}

pub(crate) async fn run(global: &Global, ls: Ls) -> Result<(), ToolError> {
    let mut reader =
        Reader { client: global.kv().await?, revision: 0, header: None, left: ls.limit as usize };
    let prefix = ls.prefix.as_bytes();
    let total = reader.count(prefix).await?;
    let mut entries = Vec::new();
    reader.list(prefix.to_vec(), 1, ls.depth, &mut entries).await?;
    let output = &global.output;
    output.show(
        || document(&reader, total, &entries),
        || {
            let mut lines = Vec::new();
            entries.iter().for_each(|entry| output.raw(&entry.name, &mut lines));
            lines
        },
        || table(output, &ls, reader.left == 0, total, &entries),
    )
}

fn document(reader: &Reader, total: i64, entries: &[Entry]) -> Doc {
    let one = |entry: &Entry| {
        Object::new().with("name", Doc::bytes(&entry.name)).some("keys", entry.below).into()
    };
    answers::headed(reader.header.as_ref())
        .with("keys", total)
        .with("more", reader.left == 0)
        .with("entries", Doc::list(entries, one))
        .into()
}

fn table(output: &Output, ls: &Ls, is_cut: bool, total: i64, entries: &[Entry]) -> String {
    let mut table = Table::new(&["NAME", "KEYS"]);
    for entry in entries {
        let indent = "  ".repeat(usize::from(entry.depth - 1));
        let below = entry.below.map(|count| count.to_string()).unwrap_or_default();
        table.row(vec![format!("{indent}{}", output.cell(&entry.name)), below]);
    }
    let mut text = table.text(&format!("no key begins with {:?}", ls.prefix));
    if is_cut {
        text.push_str(&format!("… cut at {} lines (--limit)\n", ls.limit));
    }
    text.push_str(&format!("{total} keys\n"));
    text
}

impl Reader {
    async fn read(&mut self, request: RangeRequest) -> Result<RangeResponse, ToolError> {
        let request = RangeRequest { revision: self.revision, ..request };
        let answer = self.client.range(request).await?.into_inner();
        if self.revision == 0 {
            self.header = answer.header;
            self.revision = answer.header.map_or(0, |header| header.revision);
        }
        Ok(answer)
    }

    async fn count(&mut self, prefix: &[u8]) -> Result<i64, ToolError> {
        let key = if prefix.is_empty() { vec![0] } else { prefix.to_vec() };
        let request = RangeRequest {
            key: key.into(),
            range_end: prefix_end(prefix).into(),
            count_only: true,
            ..RangeRequest::default()
        };
        Ok(self.read(request).await?.count)
    }

    /// The entries below a prefix, and below those.
    async fn list(
        &mut self,
        prefix: Vec<u8>,
        depth: u16,
        depth_max: u16,
        entries: &mut Vec<Entry>,
    ) -> Result<(), ToolError> {
        for (name, below) in self.level(&prefix).await? {
            if self.left == 0 {
                return Ok(());
            }
            self.left -= 1;
            entries.push(Entry { name: name.clone(), below, depth });
            if below.is_some() && depth < depth_max {
                Box::pin(self.list(name, depth + 1, depth_max, entries)).await?;
            }
        }
        Ok(())
    }

    /// One level: keys, and segments with their counts.
    async fn level(&mut self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Option<i64>)>, ToolError> {
        let end = prefix_end(prefix);
        let mut from = if prefix.is_empty() { vec![0] } else { prefix.to_vec() };
        let mut found: Vec<(Vec<u8>, Option<i64>)> = Vec::new();
        while found.len() <= self.left {
            let page = self.page(&from, &end).await?;
            let Some(last) = page.kvs.last() else { break };
            from = [&last.key[..], &[0]].concat();
            for kv in &page.kvs {
                match segment(&kv.key, prefix.len()) {
                    None => found.push((kv.key.to_vec(), None)),
                    Some(segment) => match found.last_mut() {
                        Some((name, Some(count))) if name == segment => *count += 1,
                        _ => found.push((segment.to_vec(), Some(1))),
                    },
                }
            }
            if !page.more {
                break;
            }
            // The last segment may go on behind the page: the server counts it, we skip it.
            if let Some((name, Some(count))) = found.last_mut() {
                let name = name.clone();
                *count = self.count(&name).await?;
                from = prefix_end(&name);
                if from == [0] {
                    break;
                }
            }
        }
        Ok(found)
    }

    async fn page(&mut self, from: &[u8], end: &[u8]) -> Result<RangeResponse, ToolError> {
        let request = RangeRequest {
            key: from.to_vec().into(),
            range_end: end.to_vec().into(),
            limit: PAGE_KEYS,
            keys_only: true,
            ..RangeRequest::default()
        };
        self.read(request).await
    }
}

/// The key up to the slash that ends its next segment; none for a key without one.
fn segment(key: &[u8], prefix_len: usize) -> Option<&[u8]> {
    // A slash right behind the prefix begins the segment: `/a` of `/a/b`, `/registry` of `ls /`.
    let skip = prefix_len + usize::from(key.get(prefix_len) == Some(&b'/'));
    let rest = key.get(skip..)?;
    let slash = rest.iter().position(|byte| *byte == b'/')?;
    Some(&key[..=skip + slash])
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn a_segment_ends_with_its_slash() {
        let rows: [(&str, usize, Option<&str>); 6] = [
            ("a/b/c", 0, Some("a/")),
            ("/registry/pods/x", 0, Some("/registry/")),
            ("/registry/pods/x", "/registry/".len(), Some("/registry/pods/")),
            ("/registry/pods/x", "/registry".len(), Some("/registry/pods/")),
            ("plain", 0, None),
            ("/registry/pods/x", "/registry/pods/".len(), None),
        ];
        for (key, prefix, expected) in rows {
            assert_eq!(
                segment(key.as_bytes(), prefix),
                expected.map(str::as_bytes),
                "{key} {prefix}"
            );
        }
    }
}
