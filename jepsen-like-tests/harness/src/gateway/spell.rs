//! A call as a JSON request, in one of its many spellings.
//!
//! Invariant: the same seed gives the same text; every spelling means the same request.
//! Must not know: how it is sent.

use anyhow::Result;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage as _, Value as Field};
use rand::{Rng, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::paths;

/// Writes requests.
#[derive(Debug)]
pub(crate) struct Speller {
    random: ChaCha8Rng,
}

impl Speller {
    pub(crate) fn new(seed: u64) -> Self {
        Speller { random: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Path and body; `None` for an RPC that the gateway has no path for.
    ///
    /// *Errors*: none of a message of the RPC's request.
    pub(crate) fn request(
        &mut self,
        rpc: &str,
        message: &DynamicMessage,
    ) -> Result<Option<(&'static str, String)>> {
        let paths = paths::of(rpc);
        if paths.is_empty() {
            return Ok(None);
        }
        let path = paths[self.random.random_range(0..paths.len())];
        let empty = message.descriptor().fields().len() == 0 && self.one_in(2);
        let body = if empty { String::new() } else { self.message(message) };
        Ok(Some((path, body)))
    }

    /// The body of a request that is broken somewhere: a byte changed, lost, doubled or the end
    /// cut off.
    pub(crate) fn broken(&mut self, body: &str) -> Vec<u8> {
        let mut bytes = body.as_bytes().to_vec();
        for _ in 0..self.random.random_range(1..3) {
            if bytes.is_empty() {
                return bytes;
            }
            let at = self.random.random_range(0..bytes.len());
            match self.random.random_range(0..5) {
                0 => drop(bytes.remove(at)),
                1 => bytes.truncate(at),
                2 => bytes.insert(at, bytes[at]),
                3 => {
                    bytes[at] = *b"{}[]\",:0-.eE\\tfn x"
                        .get(self.random.random_range(0..18))
                        .unwrap_or(&b' ')
                }
                _ => bytes[at] = self.random.random_range(b' '..=b'~'),
            }
        }
        bytes
    }

    fn one_in(&mut self, count: u32) -> bool {
        self.random.random_range(0..count) == 0
    }

    /// A field by its own name or the one of JSON.
    fn field(&mut self, field: &FieldDescriptor, value: String) -> String {
        // Compat: where JSON's name is not the field's in camel case, it is etcd's own.
        let both = camel(field.name()) == field.json_name();
        let name = if both && self.one_in(2) { field.name() } else { field.json_name() };
        let space = ["", " ", "\n\t"][self.random.random_range(0..3)];
        format!("\"{name}\":{space}{value}")
    }

    /// A whole message; what it does not set is written now and then all the same.
    fn message(&mut self, message: &DynamicMessage) -> String {
        let mut fields = Vec::new();
        for field in message.descriptor().fields() {
            let plain = !field.is_list()
                && field.containing_oneof().is_none()
                && !matches!(field.kind(), Kind::Message(_));
            if message.has_field(&field) || (plain && self.one_in(4)) {
                let value = message.get_field(&field).into_owned();
                let value = self.value(&field, &value);
                fields.push(self.field(&field, value));
            }
        }
        if self.one_in(16) {
            fields.push("\"unheard\":[{\"of\":\"\\u00e9\"},null]".to_owned());
        }
        object(fields)
    }

    fn value(&mut self, field: &FieldDescriptor, value: &Field) -> String {
        match value {
            Field::List(elements) => {
                let elements: Vec<_> =
                    elements.iter().map(|element| self.value(field, element)).collect();
                format!("[{}]", elements.join(","))
            }
            Field::Message(message) => self.message(message),
            Field::Bool(flag) => flag.to_string(),
            Field::I64(number) => self.number(i128::from(*number)),
            Field::U64(number) => self.number(i128::from(*number)),
            Field::Bytes(bytes) => self.bytes(bytes),
            Field::EnumNumber(number) => self.choice(field, *number),
            Field::String(text) => serde_json::Value::from(text.as_str()).to_string(),
            Field::I32(number) => number.to_string(),
            Field::U32(number) => number.to_string(),
            // No request has another kind.
            other => format!("{other:?}"),
        }
    }

    fn number(&mut self, value: i128) -> String {
        match self.random.random_range(0..5) {
            0 if value.abs() < 1_000_000 => format!("{value}.0"),
            // No number begins with two zeros.
            1 if value != 0 && value.abs() < 1_000_000 => format!("{value}0e-1"),
            // Beyond 2^53 a number would be read exactly too.
            2 => value.to_string(),
            _ => format!("\"{value}\""),
        }
    }

    fn choice(&mut self, field: &FieldDescriptor, number: i32) -> String {
        let Kind::Enum(choices) = field.kind() else { return number.to_string() };
        match choices.get_value(number) {
            Some(named) if self.one_in(2) => format!("\"{}\"", named.name()),
            _ => number.to_string(),
        }
    }

    fn bytes(&mut self, bytes: &[u8]) -> String {
        let url = self.one_in(4);
        let mut text = base64(bytes, url);
        if self.one_in(4) {
            text.truncate(text.trim_end_matches('=').len());
        }
        format!("\"{text}\"")
    }
}

fn camel(name: &str) -> String {
    let mut camel = String::new();
    let mut upper = false;
    for character in name.chars() {
        match (character, std::mem::take(&mut upper)) {
            ('_', _) => upper = true,
            (character, true) => camel.push(character.to_ascii_uppercase()),
            (character, false) => camel.push(character),
        }
    }
    camel
}

fn object(fields: Vec<String>) -> String {
    format!("{{{}}}", fields.join(","))
}

pub(crate) fn base64(bytes: &[u8], url: bool) -> String {
    const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let alphabet = if url { URL } else { STANDARD };
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let all = chunk
            .iter()
            .enumerate()
            .fold(0_u32, |all, (at, byte)| all | u32::from(*byte) << (16 - 8 * at));
        for at in 0..4 {
            match at <= chunk.len() {
                true => text.push(char::from(alphabet[(all >> (18 - 6 * at) & 63) as usize])),
                false => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::call::{self, Call};
    use proto::etcdserverpb::PutRequest;

    #[test]
    fn base64_is_what_it_should_be() {
        assert_eq!(base64(b"foo", false), "Zm9v");
        assert_eq!(base64(b"fo", false), "Zm8=");
        assert_eq!(base64(&[0xfb, 0xff], true), "-_8=");
        assert_eq!(base64(b"", false), "");
    }

    #[test]
    fn every_spelling_is_json() {
        let mut speller = Speller::new(7);
        for lease in [0, 12] {
            let put = PutRequest { key: "a".into(), lease, ..PutRequest::default() };
            let call = Call::new("etcdserverpb.KV/Put", &put);
            let input = call::method(call.rpc).expect("it is an RPC").input();
            let put = call::decoded(input, &call.request).expect("it is one");
            for _ in 0..400 {
                let spelled = speller.request(call.rpc, &put).expect("it is spelled");
                let (_, body) = spelled.expect("it has a path");
                let read: serde_json::Value = serde_json::from_str(&body).expect("it is JSON");
                assert!(read.is_object());
            }
        }
    }
}
