//! The JSON reader: one pass over the bytes, error texts as Go's `encoding/json` words them.
//!
//! Invariant: `at` never passes the end, and every loop moves it on. It is our own because clients
//! see the texts, duplicates must be found with their paths, and Go's leniency about text that is
//! no UTF-8 has to be matched.

use serde_json::{Map, Number};

use super::{DecodeError, Decoded, Limits, quoted, quoted_byte};
use crate::Value;

/// Reads one document.
pub(super) fn read(bytes: &[u8], limits: Limits) -> Result<Decoded, DecodeError> {
    let mut reader = Reader {
        bytes,
        at: 0,
        depth: 0,
        limits,
        path: Vec::new(),
        duplicates: Vec::new(),
        too_large: None,
    };
    reader.skip_space();
    let value = reader.value()?;
    reader.skip_space();
    match reader.peek() {
        None => match reader.too_large {
            Some(number) => Err(DecodeError::Json(format!(
                "json: cannot unmarshal number {number} into Go value of type float64"
            ))),
            None => Ok(Decoded { value, duplicates: reader.duplicates }),
        },
        Some(_) => Err(reader.unexpected("after top-level value")),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    limits: Limits,
    /// Where the value being read stands: the keys and indexes of the containers around it.
    path: Vec<Step>,
    duplicates: Vec<String>,
    /// The first number that no float holds. It is told of only when all else is JSON.
    too_large: Option<String>,
}

enum Step {
    Key(String),
    Index(usize),
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<Value, DecodeError> {
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => Ok(Value::String(self.text()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Null),
            _ => Err(self.unexpected("looking for beginning of value")),
        }
    }

    fn nested(
        &mut self,
        read: fn(&mut Self) -> Result<Value, DecodeError>,
    ) -> Result<Value, DecodeError> {
        if self.depth >= self.limits.depth_max {
            return Err(self.unexpected("exceeded max depth"));
        }
        self.depth += 1;
        self.at += 1;
        self.skip_space();
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, DecodeError> {
        let mut object = Map::new();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(object));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("looking for beginning of object key string"));
            }
            let key = self.text()?;
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("after object key"));
            }
            self.at += 1;
            self.skip_space();
            // Order: a duplicate is reported before those inside its value.
            if object.contains_key(&key) {
                self.report_duplicate(&key);
            }
            let value = self.member(&key)?;
            if self.limits.merge_duplicates {
                merge(&mut object, key, value);
            } else {
                object.insert(key, value);
            }
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::Object(object));
                }
                _ => return Err(self.unexpected("after object key:value pair")),
            }
            self.skip_space();
        }
    }

    /// The value under `key`. Only containers need to know where they stand.
    fn member(&mut self, key: &str) -> Result<Value, DecodeError> {
        if !matches!(self.peek(), Some(b'{' | b'[')) {
            return self.value();
        }
        self.path.push(Step::Key(key.to_owned()));
        let value = self.value();
        self.path.pop();
        value
    }

    fn array(&mut self) -> Result<Value, DecodeError> {
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            self.path.push(Step::Index(items.len()));
            let item = self.value();
            self.path.pop();
            items.push(item?);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::Array(items));
                }
                _ => return Err(self.unexpected("after array element")),
            }
            self.skip_space();
        }
    }

    fn literal(&mut self, word: &str, value: Value) -> Result<Value, DecodeError> {
        for expected in word.bytes() {
            if self.peek() != Some(expected) {
                let context = format!("in literal {word} (expecting '{}')", char::from(expected));
                return Err(self.unexpected_in_token(&context));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, DecodeError> {
        let start = self.at;
        let mut integer = true;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits("in numeric literal")?,
        }
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        let text = str::from_utf8(&self.bytes[start..self.at]).expect("digits and signs are ASCII");
        Ok(number(text, integer).unwrap_or_else(|| {
            self.too_large.get_or_insert_with(|| text.to_owned());
            Value::Null
        }))
    }

    /// One digit at least.
    fn digits(&mut self, context: &str) -> Result<(), DecodeError> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.unexpected_in_token(context));
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn text(&mut self) -> Result<String, DecodeError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let start = self.at;
            while self.peek().is_some_and(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
                self.at += 1;
            }
            push_lossy(&mut text, &self.bytes[start..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.at += 1;
                    let c = self.escape()?;
                    text.push(c);
                }
                _ => return Err(self.unexpected("in string literal")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, DecodeError> {
        let c = match self.peek() {
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'b') => '\u{08}',
            Some(b'f') => '\u{0c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                let unit = self.hex4()?;
                return Ok(self.scalar(unit));
            }
            _ => return Err(self.unexpected_in_token("in string escape code")),
        };
        self.at += 1;
        Ok(c)
    }

    fn hex4(&mut self) -> Result<u32, DecodeError> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.unexpected_in_token("in \\u hexadecimal character escape"));
            };
            unit = unit * 16 + digit;
            self.at += 1;
        }
        Ok(unit)
    }

    /// The character of a UTF-16 unit, together with the low surrogate escaped after a high one.
    /// A surrogate alone becomes U+FFFD, and what follows it is read for itself.
    fn scalar(&mut self, unit: u32) -> char {
        if (0xd800..0xdc00).contains(&unit)
            && let Some(low) = self.low_surrogate_ahead()
        {
            self.at += 6;
            let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            return char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        }
        char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    fn low_surrogate_ahead(&self) -> Option<u32> {
        let ahead = self.bytes.get(self.at..self.at + 6)?;
        let hex = ahead.strip_prefix(b"\\u")?;
        let hex = str::from_utf8(hex).ok().filter(|hex| !hex.starts_with('+'))?;
        let unit = u32::from_str_radix(hex, 16).ok()?;
        (0xdc00..0xe000).contains(&unit).then_some(unit)
    }

    fn report_duplicate(&mut self, key: &str) {
        if self.duplicates.len() >= self.limits.duplicates_max {
            return;
        }
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) if path.is_empty() => path.push_str(key),
                Step::Key(key) => {
                    path.push('.');
                    path.push_str(key);
                }
                Step::Index(index) => {
                    path.push_str(&format!("[{index}]"));
                }
            }
        }
        if !self.path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
        let duplicate = format!("duplicate field {}", quoted(&path));
        if !self.duplicates.contains(&duplicate) {
            self.duplicates.push(duplicate);
        }
    }

    /// The byte here cannot stand where white space could.
    fn unexpected(&self, context: &str) -> DecodeError {
        DecodeError::Json(match self.peek() {
            Some(byte) => format!("invalid character {} {context}", quoted_byte(byte)),
            None => "unexpected end of JSON input".to_owned(),
        })
    }

    /// The byte here cannot stand inside a token. Compat: Go's scanner reads the end of the input
    /// as a space, so a token cut short is told about one.
    fn unexpected_in_token(&self, context: &str) -> DecodeError {
        let byte = self.peek().unwrap_or(b' ');
        DecodeError::Json(format!("invalid character {} {context}", quoted_byte(byte)))
    }
}

/// A number, unless it is too large for a float.
fn number(text: &str, integer: bool) -> Option<Value> {
    if integer {
        if let Ok(number) = text.parse::<i64>() {
            return Some(Value::from(number));
        }
        if let Ok(number) = text.parse::<u64>() {
            return Some(Value::from(number));
        }
    }
    Number::from_f64(text.parse().ok()?).map(Value::Number)
}

/// Sets `key`, merging objects into what a duplicate has left there.
fn merge(object: &mut Map<String, Value>, key: String, value: Value) {
    match (object.get_mut(&key), value) {
        (Some(Value::Object(old)), Value::Object(new)) => {
            for (key, value) in new {
                merge(old, key, value);
            }
        }
        (Some(old), value) => *old = value,
        (None, value) => {
            object.insert(key, value);
        }
    }
}

/// Appends bytes as text, with one U+FFFD for every byte that belongs to no character.
fn push_lossy(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
}
