//! `-o fields`: a line `"Name" : value` for each field, as etcdctl prints them.
//!
//! Invariant: text is quoted as Go's `%q` does it, so that each field is one line and no data
//! drives the terminal.

use std::fmt::{Display, Write as _};

use proto::etcdserverpb::response_op::Response;
use proto::etcdserverpb::{
    DeleteRangeResponse, Member, PutResponse, RangeResponse, ResponseHeader, StatusResponse,
    TxnResponse, WatchResponse,
};
use proto::mvccpb::KeyValue;
use proto::mvccpb::event::EventType;

use super::Doc;

/// Lines under construction.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    hex: bool,
    text: String,
}

impl Fields {
    /// No lines yet; with `hex`, ids are written in hexadecimal.
    pub(crate) fn new(hex: bool) -> Self {
        Self { hex, text: String::new() }
    }

    /// The lines.
    pub(crate) fn text(self) -> String {
        self.text
    }

    /// A value as it is.
    pub(crate) fn value(&mut self, name: &str, value: impl Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "\"{name}\" : {value}");
    }

    /// Text or bytes in quotes.
    pub(crate) fn quoted(&mut self, name: &str, bytes: impl AsRef<[u8]>) {
        self.value(name, quoted(bytes.as_ref()));
    }

    /// Several in quotes on one line.
    pub(crate) fn all_quoted(&mut self, name: &str, all: &[String]) {
        let all: String = all.iter().map(|one| format!(" {}", quoted(one.as_bytes()))).collect();
        let _ = writeln!(self.text, "\"{name}\" :{all}");
    }

    /// The id of a member or a cluster.
    pub(crate) fn id(&mut self, name: &str, id: u64) {
        match self.hex {
            true => self.value(name, format_args!("{id:x}")),
            false => self.value(name, id),
        }
    }

    /// The id of a lease.
    pub(crate) fn lease(&mut self, name: &str, id: i64) {
        match self.hex {
            true => self.value(name, format_args!("{id:016x}")),
            false => self.value(name, id),
        }
    }

    /// An empty line, behind each of several.
    pub(crate) fn end(&mut self) {
        self.text.push('\n');
    }

    /// Compat: without a revision where there is none, as in answers about members.
    pub(crate) fn header(&mut self, header: Option<&ResponseHeader>) {
        let header = header.copied().unwrap_or_default();
        self.id("ClusterID", header.cluster_id);
        self.id("MemberID", header.member_id);
        if header.revision > 0 {
            self.value("Revision", header.revision);
        }
        self.value("RaftTerm", header.raft_term);
    }

    pub(crate) fn key_value(&mut self, prefix: &str, kv: &KeyValue) {
        self.quoted(&format!("{prefix}Key"), &kv.key);
        self.value(&format!("{prefix}CreateRevision"), kv.create_revision);
        self.value(&format!("{prefix}ModRevision"), kv.mod_revision);
        self.value(&format!("{prefix}Version"), kv.version);
        self.quoted(&format!("{prefix}Value"), &kv.value);
        self.lease(&format!("{prefix}Lease"), kv.lease);
    }

    pub(crate) fn range(&mut self, answer: &RangeResponse) {
        self.header(answer.header.as_ref());
        answer.kvs.iter().for_each(|kv| self.key_value("", kv));
        self.value("More", answer.more);
        self.value("Count", answer.count);
    }

    pub(crate) fn put(&mut self, answer: &PutResponse) {
        self.header(answer.header.as_ref());
        answer.prev_kv.iter().for_each(|kv| self.key_value("Prev", kv));
    }

    pub(crate) fn delete(&mut self, answer: &DeleteRangeResponse) {
        self.header(answer.header.as_ref());
        self.value("Deleted", answer.deleted);
        answer.prev_kvs.iter().for_each(|kv| self.key_value("Prev", kv));
    }

    pub(crate) fn txn(&mut self, answer: &TxnResponse) {
        self.header(answer.header.as_ref());
        self.value("Succeeded", answer.succeeded);
        for operation in &answer.responses {
            match &operation.response {
                Some(Response::ResponseRange(answer)) => self.range(answer),
                Some(Response::ResponsePut(answer)) => self.put(answer),
                Some(Response::ResponseDeleteRange(answer)) => self.delete(answer),
                Some(Response::ResponseTxn(answer)) => self.txn(answer),
                None => {}
            }
        }
    }

    pub(crate) fn watch(&mut self, answer: &WatchResponse) {
        self.header(answer.header.as_ref());
        for event in &answer.events {
            let kind = EventType::try_from(event.r#type).map_or("?", |kind| kind.as_str_name());
            self.value("Type", kind);
            event.prev_kv.iter().for_each(|kv| self.key_value("Prev", kv));
            self.key_value("", event.kv.as_ref().unwrap_or(&KeyValue::default()));
        }
    }

    pub(crate) fn member(&mut self, member: &Member) {
        self.id("ID", member.id);
        self.quoted("Name", &member.name);
        member.peer_urls.iter().for_each(|url| self.quoted("PeerURL", url));
        member.client_urls.iter().for_each(|url| self.quoted("ClientURL", url));
        self.value("IsLearner", member.is_learner);
        self.end();
    }

    pub(crate) fn status(&mut self, endpoint: &str, answer: &StatusResponse) {
        self.header(answer.header.as_ref());
        self.quoted("Version", &answer.version);
        self.quoted("StorageVersion", &answer.storage_version);
        self.value("DBSize", answer.db_size);
        self.value("DBSizeInUse", answer.db_size_in_use);
        self.value("DBSizeQuota", answer.db_size_quota);
        self.value("Leader", answer.leader);
        self.value("IsLearner", answer.is_learner);
        self.value("RaftIndex", answer.raft_index);
        self.value("RaftAppliedIndex", answer.raft_applied_index);
        self.value("Errors", format_args!("[{}]", answer.errors.join(" ")));
        self.quoted("Endpoint", endpoint);
        let downgrade = answer.downgrade_info.clone().unwrap_or_default();
        self.quoted("DowngradeTargetVersion", &downgrade.target_version);
        self.value("DowngradeEnabled", downgrade.enabled);
        self.end();
    }

    /// A document of our own, which etcdctl does not have: its fields under their names.
    pub(crate) fn document(&mut self, name: &str, document: &Doc) {
        match document {
            Doc::Map(fields) => {
                for (name, value) in fields {
                    self.document(name, value);
                }
            }
            Doc::List(items) => {
                for item in items {
                    self.document(name, item);
                    if matches!(item, Doc::Map(_)) {
                        self.end();
                    }
                }
            }
            Doc::Null => self.value(name, ""),
            Doc::Bool(value) => self.value(name, value),
            Doc::Int(value) => self.value(name, value),
            Doc::Uint(value) => self.value(name, value),
            Doc::Float(value) => self.value(name, value),
            Doc::Text(value) => self.quoted(name, value),
        }
    }
}

/// Bytes as Go's `%q` writes a string.
fn quoted(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|character| push(&mut text, character));
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text.push('"');
    text
}

fn push(text: &mut String, character: char) {
    let code = u32::from(character);
    let _ = match character {
        '"' | '\\' => write!(text, "\\{character}"),
        '\u{7}' => write!(text, "\\a"),
        '\u{8}' => write!(text, "\\b"),
        '\u{c}' => write!(text, "\\f"),
        '\n' => write!(text, "\\n"),
        '\r' => write!(text, "\\r"),
        '\t' => write!(text, "\\t"),
        '\u{b}' => write!(text, "\\v"),
        ' '..='~' => write!(text, "{character}"),
        '\0'..='\u{7f}' => write!(text, "\\x{code:02x}"),
        _ if is_printable(character) => write!(text, "{character}"),
        '\u{80}'..='\u{ffff}' => write!(text, "\\u{code:04x}"),
        _ => write!(text, "\\U{code:08x}"),
    };
}

/// Letters, marks, digits, punctuation and symbols, as in Go; behind another character, since Rust
/// escapes a mark that stands alone.
fn is_printable(character: char) -> bool {
    let escaped = format!("a{character}").escape_debug().to_string();
    escaped.chars().eq(['a', character])
}

#[cfg(test)]
mod tests {
    use super::{Doc, Fields, quoted};
    use crate::ctl::show::Object;

    #[test]
    fn text_is_quoted_as_go_quotes_it() {
        let rows: [(&[u8], &str); 8] = [
            (b"plain 'text'", r#""plain 'text'""#),
            (b"\"\\", r#""\"\\""#),
            (b"\x00\x07\x08\x0b\x0c\n\r\t\x1b\x7f", r#""\x00\a\b\v\f\n\r\t\x1b\x7f""#),
            (b"\xff\xc3\x28", r#""\xff\xc3(""#),
            ("grün 東".as_bytes(), r#""grün 東""#),
            ("\u{a0}\u{200b}\u{202e}".as_bytes(), r#""\u00a0\u200b\u202e""#),
            ("e\u{301}".as_bytes(), "\"e\u{301}\""),
            ("\u{e0001}".as_bytes(), r#""\U000e0001""#),
        ];
        for (bytes, text) in rows {
            assert_eq!(quoted(bytes), text);
        }
    }

    #[test]
    fn a_document_has_a_line_for_each_field() {
        let inner = Object::new().with("role", "leader").with("lag", 3i64);
        let whole = Object::new().with("members", Doc::List(vec![inner.into()])).with("ok", true);
        let mut fields = Fields::new(false);
        fields.document("", &whole.into());
        assert_eq!(fields.text(), "\"role\" : \"leader\"\n\"lag\" : 3\n\n\"ok\" : true\n");
    }
}
