//! From a JSON value to a protobuf message, by the schema.
//!
//! Invariants: the value came through the scanner, so its form is sound; nothing panics where that
//! is not so. Names may be a field's own or its camel-case one; null is absent; unknown fields and
//! unknown enum names are ignored, as etcd has it configured.
//! Compat: the texts are those of Go's `protojson`. Must not know: HTTP, RPCs.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::encoding::{WireType, encode_key, encode_varint};

use super::number;
use super::schema::{Field, Kind, MessageIndex, Schema};

/// Deepest nesting of messages: what the decoder behind the services takes.
const DEPTH_MAX: usize = 100;

/// Reads a whole value as a message; its protobuf form.
///
/// *Errors*: the text for the client.
pub(super) fn message(
    schema: &Schema,
    index: MessageIndex,
    text: &[u8],
) -> Result<Vec<u8>, String> {
    let mut reader = Reader { schema, text, at: 0 };
    let mut encoded = Vec::with_capacity(text.len());
    reader.message(index, DEPTH_MAX, &mut encoded)?;
    Ok(encoded)
}

struct Reader<'a> {
    schema: &'a Schema,
    text: &'a [u8],
    at: usize,
}

type Read<T> = Result<T, String>;

impl<'a> Reader<'a> {
    fn message(&mut self, index: MessageIndex, depth: usize, out: &mut Vec<u8>) -> Read<()> {
        if depth == 0 {
            return Err("proto: exceeded max recursion depth".to_owned());
        }
        if self.peek() != b'{' {
            return Err(self.unexpected_token());
        }
        self.at += 1;
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(());
        }
        let mut seen = Seen::default();
        loop {
            self.member(index, depth, &mut seen, out)?;
            let after = self.peek();
            self.at += 1;
            match after {
                b',' => {}
                b'}' => return Ok(()),
                _ => return Err(ENDED.to_owned()),
            }
        }
    }

    /// One name with its value.
    fn member(
        &mut self,
        index: MessageIndex,
        depth: usize,
        seen: &mut Seen,
        out: &mut Vec<u8>,
    ) -> Read<()> {
        self.skip_spaces();
        let start = self.at;
        let name = self.string()?;
        let raw = &self.text[start..self.at];
        if self.peek() != b':' {
            return Err(ENDED.to_owned());
        }
        self.at += 1;
        let schema = self.schema;
        let Some(field) = schema.message(index).named(&name) else { return self.skip_value() };
        if !is_new(&mut seen.numbers, field.number) {
            let raw = String::from_utf8_lossy(raw);
            return Err(self.error_at(start, &format!("duplicate field {raw}")));
        }
        if self.peek() == b'n' {
            self.at += self.word_bytes();
            return Ok(());
        }
        if field.list {
            return self.list(field, depth, out);
        }
        if let Some(oneof) = &field.oneof
            && !is_new(&mut seen.oneofs, oneof.clone())
        {
            let raw = String::from_utf8_lossy(raw);
            let text = format!("error parsing {raw}, oneof {oneof} is already set");
            return Err(self.error_at(start, &text));
        }
        self.single(field, depth, field.presence, out)
    }

    fn list(&mut self, field: &Field, depth: usize, out: &mut Vec<u8>) -> Read<()> {
        if self.peek() != b'[' {
            return Err(self.unexpected_token());
        }
        self.at += 1;
        if self.peek() == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.single(field, depth, true, out)?;
            let after = self.peek();
            self.at += 1;
            match after {
                b',' => {}
                b']' => return Ok(()),
                _ => return Err(ENDED.to_owned()),
            }
        }
    }

    /// One value of a field; zero is written only where it differs from absent.
    fn single(
        &mut self,
        field: &Field,
        depth: usize,
        zero_counts: bool,
        out: &mut Vec<u8>,
    ) -> Read<()> {
        match &field.kind {
            Kind::Message(index) => {
                let mut inner = Vec::new();
                self.message(*index, depth - 1, &mut inner)?;
                write_bytes(field.number, &inner, out);
            }
            Kind::Text | Kind::Bytes => {
                let bytes = self.text_or_bytes(field)?;
                if zero_counts || !bytes.is_empty() {
                    write_bytes(field.number, &bytes, out);
                }
            }
            _ => {
                if let Some(value) = self.varint(field)?.filter(|value| zero_counts || *value != 0)
                {
                    encode_key(field.number, WireType::Varint, out);
                    encode_varint(value, out);
                }
            }
        }
        Ok(())
    }

    fn text_or_bytes(&mut self, field: &Field) -> Read<Vec<u8>> {
        self.skip_spaces();
        let start = self.at;
        if self.peek() != b'"' {
            return Err(self.invalid_value(field));
        }
        let text = self.string()?;
        if matches!(field.kind, Kind::Text) {
            return Ok(text.into_owned().into_bytes());
        }
        decode_base64(&text).ok_or_else(|| {
            self.at = start;
            self.invalid_value(field)
        })
    }

    /// `None` for the name of an enum value that nobody knows.
    fn varint(&mut self, field: &Field) -> Read<Option<u64>> {
        self.skip_spaces();
        let start = self.at;
        let value = match (&field.kind, self.peek()) {
            (Kind::Bool, b't') => Some(1),
            (Kind::Bool, b'f') => Some(0),
            (Kind::Enum(values), b'"') => {
                let name = self.string()?;
                let known = values.iter().find(|(_, known)| *known == *name);
                return Ok(known.map(|(number, _)| i64::from(*number) as u64));
            }
            (Kind::Bool, _) | (Kind::Enum(_), b'{' | b'[' | b't' | b'f' | b'n') => None,
            (kind, b'"') => {
                let text = self.string()?;
                let number = if text.trim().len() == text.len() { text.as_bytes() } else { b"" };
                let value = number::leading(number).and_then(|token| whole(kind, token));
                return value.map(Some).ok_or_else(|| {
                    self.at = start;
                    self.invalid_value(field)
                });
            }
            (kind, _) => whole(kind, &self.text[start..start + self.word_bytes()]),
        };
        match value {
            Some(value) => {
                self.at += self.word_bytes();
                Ok(Some(value))
            }
            None => Err(self.invalid_value(field)),
        }
    }

    /// Skips a value that nobody asked for; its strings are checked all the same.
    fn skip_value(&mut self) -> Read<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                b'"' => drop(self.string()?),
                b',' | b':' => self.at += 1,
                0 => return Err(ENDED.to_owned()),
                _ => self.at += self.word_bytes().max(1),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn skip_spaces(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The next byte that is no space; 0 at the end.
    fn peek(&mut self) -> u8 {
        self.skip_spaces();
        self.text.get(self.at).copied().unwrap_or(0)
    }

    /// Bytes of the number or word that begins here.
    fn word_bytes(&self) -> usize {
        let rest = &self.text[self.at..];
        rest.iter().position(|byte| !number::continues(*byte)).unwrap_or(rest.len())
    }

    /// Reads the string that begins here.
    fn string(&mut self) -> Read<Cow<'a, str>> {
        let start = self.at;
        let rest = self.text.get(start + 1..).unwrap_or_default();
        let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
        let end = end.ok_or_else(|| ENDED.to_owned())?;
        if rest[end] == b'"' {
            self.at = start + 1 + end + 1;
            let text = std::str::from_utf8(&rest[..end]);
            return text.map(Cow::Borrowed).map_err(|_| self.no_utf8(start));
        }
        self.escaped_string(start).map(Cow::Owned)
    }

    fn escaped_string(&mut self, start: usize) -> Read<String> {
        let mut text = String::new();
        self.at = start + 1;
        loop {
            let rest = &self.text[self.at..];
            let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
            let end = end.ok_or_else(|| ENDED.to_owned())?;
            let plain = std::str::from_utf8(&rest[..end]).map_err(|_| self.no_utf8(start))?;
            text.push_str(plain);
            self.at += end;
            if rest[end] == b'"' {
                self.at += 1;
                return Ok(text);
            }
            text.push(self.escape(start)?);
        }
    }

    /// The character of the escape that begins here.
    fn escape(&mut self, start: usize) -> Read<char> {
        let rest = &self.text[self.at..];
        let simple = match rest.get(1) {
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            Some(other) => char::from(*other),
            None => return Err(ENDED.to_owned()),
        };
        self.at += 2;
        Ok(simple)
    }

    fn unicode(&mut self, start: usize) -> Read<char> {
        let first = self.hex(self.at).ok_or_else(|| ENDED.to_owned())?;
        self.at += 6;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or_else(|| self.bad_escape(start));
        }
        if self.text.len() < self.at + 6 {
            return Err(ENDED.to_owned());
        }
        let second = match &self.text[self.at..self.at + 2] {
            b"\\u" => self.hex(self.at).filter(|second| (0xdc00..0xe000).contains(second)),
            _ => None,
        };
        let joined = |second: u32| 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        let found = second.filter(|_| first < 0xdc00).map(joined).and_then(char::from_u32);
        let found = found.ok_or_else(|| self.bad_escape(start))?;
        self.at += 6;
        Ok(found)
    }

    /// The four digits of the `\u` at a place.
    fn hex(&self, at: usize) -> Option<u32> {
        let digits = std::str::from_utf8(self.text.get(at + 2..at + 6)?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    }

    fn bad_escape(&self, start: usize) -> String {
        let end = self.text.len().min(self.at + 6);
        let code = String::from_utf8_lossy(&self.text[self.at..end]);
        self.syntax_error_at(start, &format!("invalid escape code {code:?} in string"))
    }

    fn no_utf8(&self, start: usize) -> String {
        self.syntax_error_at(start, "invalid UTF-8 in string")
    }

    fn unexpected_token(&self) -> String {
        let token = String::from_utf8_lossy(self.token());
        self.syntax_error_at(self.at, &format!("unexpected token {token}"))
    }

    fn invalid_value(&mut self, field: &Field) -> String {
        self.skip_spaces();
        let start = self.at;
        if self.peek() == b'"'
            && let Err(error) = self.string()
        {
            return error;
        }
        self.at = start;
        let (kind, name) = (field.kind.name(), &field.json_name);
        let token = String::from_utf8_lossy(self.token());
        self.error_at(start, &format!("invalid value for {kind} field {name}: {token}"))
    }

    /// The token that begins here, as it is written.
    fn token(&self) -> &'a [u8] {
        let rest = &self.text[self.at.min(self.text.len())..];
        let bytes = match rest.first() {
            None => 0,
            Some(b'"') => string_bytes(rest),
            Some(_) => self.word_bytes().max(1),
        };
        &rest[..bytes]
    }

    fn error_at(&self, at: usize, text: &str) -> String {
        let (line, column) = self.position(at);
        format!("proto: (line {line}:{column}): {text}")
    }

    fn syntax_error_at(&self, at: usize, text: &str) -> String {
        let (line, column) = self.position(at);
        format!("proto: syntax error (line {line}:{column}): {text}")
    }

    /// Line and column, both from 1; columns count characters.
    fn position(&self, at: usize) -> (usize, usize) {
        let before = &self.text[..at.min(self.text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let last = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        (line, String::from_utf8_lossy(&before[last..]).chars().count() + 1)
    }
}

const ENDED: &str = "proto: unexpected EOF";

/// Which fields and oneofs of one message were seen; etcd's messages are small.
#[derive(Default)]
struct Seen {
    numbers: Vec<u32>,
    oneofs: Vec<String>,
}

/// Whether a value was not there yet; it is then.
fn is_new<T: PartialEq>(seen: &mut Vec<T>, value: T) -> bool {
    let new = !seen.contains(&value);
    if new {
        seen.push(value);
    }
    new
}

/// Bytes of the string at the start of a text, quotes included.
fn string_bytes(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn write_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// A whole number that fits the kind, as protobuf writes it.
fn whole(kind: &Kind, token: &[u8]) -> Option<u64> {
    let value = number::integer(token)?;
    match kind {
        Kind::Int64 => i64::try_from(value).ok().map(|value| value as u64),
        Kind::Int32 | Kind::Enum(_) => i32::try_from(value).ok().map(|v| i64::from(v) as u64),
        Kind::Uint64 => u64::try_from(value).ok(),
        Kind::Uint32 => u32::try_from(value).ok().map(u64::from),
        _ => None,
    }
}

/// Both alphabets, with and without padding; line breaks inside are skipped.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    let padding = match text.len() % 4 {
        0 => DecodePaddingMode::RequireCanonical,
        _ => DecodePaddingMode::RequireNone,
    };
    if text.contains(['\r', '\n']) {
        return engine(alphabet, padding).decode(text.replace(['\r', '\n'], "")).ok();
    }
    engine(alphabet, padding).decode(text).ok()
}

fn engine(alphabet: &Alphabet, padding: DecodePaddingMode) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(padding)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(alphabet, config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use prost_reflect::DescriptorPool;
    use proto::etcdserverpb as pb;

    fn read(method: (&str, &str), text: &str) -> Result<Vec<u8>, String> {
        let pool = DescriptorPool::decode(services::DESCRIPTORS).expect("our own descriptors");
        let mut schema = Schema::default();
        let (input, _) = schema.of_method(&pool, method.0, method.1).expect("it is described");
        message(&schema, input, text.as_bytes())
    }

    fn range(text: &str) -> Result<pb::RangeRequest, String> {
        let bytes = read(("etcdserverpb.KV", "Range"), text)?;
        Ok(pb::RangeRequest::decode(bytes.as_slice()).expect("it is the message"))
    }

    #[test]
    fn names_numbers_bytes_and_enums_have_several_spellings() {
        let expected = pb::RangeRequest {
            key: vec![0xfb, 0xff].into(),
            limit: 150,
            sort_order: 2,
            serializable: true,
            ..Default::default()
        };
        for text in [
            r#"{"key":"+/8=","limit":"150","sort_order":"DESCEND","serializable":true}"#,
            r#"{"key":"-_8","limit":1.5e2,"sortOrder":2,"serializable":true,"revision":null}"#,
            "{\"\\u006bey\" : \"+/8\" , \"limit\":\"15e1\" ,\"bogus\":{\"a\":[1,\"]\",{}]},\n\
              \"sort_order\":\"DESCEND\",\"sort_target\":\"NOPE\",\"serializable\":true}",
        ] {
            assert_eq!(range(text).as_ref(), Ok(&expected), "{text}");
        }
    }

    #[test]
    fn nested_messages_are_read() {
        let text = r#"{"compare":[{"key":"YQ==","target":"VERSION","version":"0"}],
            "success":[{"requestPut":{"key":"YQ==","value":"Yg=="}},{"request_txn":{}}]}"#;
        let bytes = read(("etcdserverpb.KV", "Txn"), text).expect("it is read");
        let txn = pb::TxnRequest::decode(bytes.as_slice()).expect("it is the message");
        assert_eq!((txn.compare.len(), txn.success.len()), (1, 2));
        let zero = Some(pb::compare::TargetUnion::Version(0));
        assert_eq!(txn.compare[0].target_union, zero, "zero in a oneof is not absent");
    }

    #[test]
    fn wrong_values_are_refused_in_protojsons_words() {
        let invalid = "proto: (line 1:8): invalid value for bytes field key: ";
        let limit = "proto: (line 1:10): invalid value for int64 field limit: ";
        let rows = [
            (r#"{"key":5}"#, format!("{invalid}5")),
            (r#"{"key":"a"}"#, format!("{invalid}\"a\"")),
            (r#"{"key":{}}"#, format!("{invalid}{{")),
            (r#"{"limit":1.5}"#, format!("{limit}1.5")),
            (r#"{"limit":" 1"}"#, format!("{limit}\" 1\"")),
            (r#"{"limit":"9223372036854775808"}"#, format!("{limit}\"9223372036854775808\"")),
            (r#"{"limit":true}"#, format!("{limit}true")),
            ("[]", "proto: syntax error (line 1:1): unexpected token [".to_owned()),
            ("null", "proto: syntax error (line 1:1): unexpected token null".to_owned()),
            (
                "{\"key\":\"YQ==\",\n \"key\":\"\"}",
                "proto: (line 2:2): duplicate field \"key\"".to_owned(),
            ),
            (
                r#"{"sort_order":true}"#,
                "proto: (line 1:15): invalid value for enum field sortOrder: true".to_owned(),
            ),
            (
                r#"{"bogus":"\ud800\u0041"}"#,
                "proto: syntax error (line 1:10): invalid escape code \"\\\\u0041\" in string"
                    .to_owned(),
            ),
        ];
        for (text, error) in rows {
            assert_eq!(range(text), Err(error), "{text}");
        }
        let bytes = [b"{\"\xff\":1}".as_slice()].concat();
        let pool = DescriptorPool::decode(services::DESCRIPTORS).expect("our own descriptors");
        let mut schema = Schema::default();
        let (input, _) = schema.of_method(&pool, "etcdserverpb.KV", "Put").expect("described");
        let text = "proto: syntax error (line 1:2): invalid UTF-8 in string";
        assert_eq!(message(&schema, input, &bytes), Err(text.to_owned()));
    }

    #[test]
    fn a_oneof_takes_one_value_and_messages_nest_only_so_deep() {
        let two = r#"{"success":[{"request_put":{},"request_range":{}}]}"#;
        let text = "proto: (line 1:31): error parsing \"request_range\", oneof \
                    etcdserverpb.RequestOp.request is already set";
        assert_eq!(read(("etcdserverpb.KV", "Txn"), two), Err(text.to_owned()));
        let deep = r#"{"success":[{"request_txn":"#.repeat(60);
        let deep = format!("{deep}{{}}{}", "}]}".repeat(60));
        let text = "proto: exceeded max recursion depth";
        assert_eq!(read(("etcdserverpb.KV", "Txn"), &deep), Err(text.to_owned()));
    }

    #[test]
    fn changed_bytes_never_panic() {
        let whole =
            br#"{"compare":[{"key":"YQ==","version":"0"}],"x":[1,{"y":"\u00e9\ud83d\ude00"}],
            "success":[{"request_put":{"key":"YQ==","lease":-1.5e1,"prev_kv":true}}]}"#;
        let pool = DescriptorPool::decode(services::DESCRIPTORS).expect("our own descriptors");
        let mut schema = Schema::default();
        let (input, _) = schema.of_method(&pool, "etcdserverpb.KV", "Txn").expect("described");
        let mut read = 0;
        for at in 0..whole.len() {
            for byte in *b"{}[]\",:\\0-.eux \xff" {
                let mut changed = whole.to_vec();
                changed[at] = byte;
                let mut scanner = super::super::scan::Scanner::new(1 << 16);
                let mut bytes = bytes::Bytes::from(changed.clone());
                if let Ok(Some(value)) = scanner.push(&mut bytes) {
                    read += usize::from(message(&schema, input, &value).is_ok());
                }
                // Also what the scanner would have refused.
                drop(message(&schema, input, &changed));
            }
        }
        assert!(read > 100, "some changes leave a request: {read}");
    }

    #[test]
    fn pieces_of_json_are_errors_and_no_panic() {
        let whole = r#"{"compare":[{"key":"YQ==","version":"0"}],"success":[{"request_put":
            {"key":"\u00e9\ud83d\ude00","x":[1,{"y":null}],"lease":-1.5e1}}]}"#;
        for end in 0..whole.len() {
            assert!(read(("etcdserverpb.KV", "Txn"), &whole[..end]).is_err(), "{end}");
        }
    }
}
