//! Finds one JSON value after the other in bytes that arrive in pieces, and refuses bad JSON.
//!
//! Invariants: a value that is handed out is well-formed JSON (its strings may still hold bytes
//! that are no UTF-8); nothing of a value above the limit is kept; nesting is bounded.
//! Compat: the texts are those of Go's `encoding/json`, which is the first to look at a body in
//! etcd's gateway. Must not know: what the values mean.

use bytes::{Buf as _, Bytes};

/// Deepest nesting. *Source*: Go's `encoding/json`.
const DEPTH_MAX: usize = 10_000;

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ScanError {
    /// No JSON; the text names the character.
    Malformed(String),
    /// The bytes ended inside a value.
    UnexpectedEnd,
    /// The value has more bytes than the limit.
    TooLarge,
}

impl std::fmt::Display for ScanError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ScanError::Malformed(text) => f.write_str(text),
            ScanError::UnexpectedEnd => f.write_str("unexpected EOF"),
            ScanError::TooLarge => f.write_str("http: request body too large"),
        }
    }
}

/// What a container waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    ObjectKey,
    ObjectValue,
    Array,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    BeginValue,
    BeginValueOrEmpty,
    BeginKeyOrEmpty,
    BeginKey,
    EndValue,
    InString,
    Escape,
    /// This many hexadecimal digits are still to come.
    EscapeHex(u8),
    Minus,
    Zero,
    Digits,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
    /// A word, and how many of its letters were seen.
    Word(&'static str, usize),
}

/// What one byte did.
enum Step {
    Inside,
    /// The value is complete with this byte.
    Complete,
    /// The value, a number, was complete before this byte.
    CompleteBefore,
}

/// Cuts values out of a stream of bytes.
#[derive(Debug)]
pub(super) struct Scanner {
    state: State,
    open: Vec<Inside>,
    value: Vec<u8>,
    bytes_max: usize,
}

impl Scanner {
    /// A scanner for values of at most `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Scanner { state: State::BeginValue, open: Vec::new(), value: Vec::new(), bytes_max }
    }

    /// Takes bytes up to the end of a value; what follows it stays in `bytes`.
    pub(super) fn push(&mut self, bytes: &mut Bytes) -> Result<Option<Vec<u8>>, ScanError> {
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            if self.value.is_empty() && at == 0 && is_space(byte) {
                bytes.advance(1);
                continue;
            }
            let end = match self.step(byte)? {
                Step::Inside => {
                    at += 1;
                    continue;
                }
                Step::Complete => at + 1,
                Step::CompleteBefore => at,
            };
            self.keep(&bytes[..end])?;
            bytes.advance(end);
            return Ok(Some(self.take()));
        }
        self.keep(bytes)?;
        bytes.clear();
        Ok(None)
    }

    /// The bytes have ended: a number may end only now.
    pub(super) fn finish(&mut self) -> Result<Option<Vec<u8>>, ScanError> {
        if self.value.is_empty() {
            return Ok(None);
        }
        match self.step(b' ') {
            Ok(Step::CompleteBefore) => Ok(Some(self.take())),
            _ => Err(ScanError::UnexpectedEnd),
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        if self.value.len() + bytes.len() > self.bytes_max {
            return Err(ScanError::TooLarge);
        }
        self.value.extend_from_slice(bytes);
        Ok(())
    }

    fn take(&mut self) -> Vec<u8> {
        self.state = State::BeginValue;
        self.open.clear();
        std::mem::take(&mut self.value)
    }

    fn step(&mut self, byte: u8) -> Result<Step, ScanError> {
        use State::*;
        match self.state {
            InString => self.in_string(byte),
            BeginValue => self.begin_value(byte),
            BeginValueOrEmpty if byte == b']' => self.close(),
            BeginValueOrEmpty => self.begin_value(byte),
            BeginKeyOrEmpty if byte == b'}' => self.close(),
            BeginKeyOrEmpty | BeginKey => self.begin_key(byte),
            EndValue => self.end_value(byte),
            Escape | EscapeHex(_) => self.escape(byte),
            Word(word, seen) => self.word(word, seen, byte),
            _ => self.number(byte),
        }
    }

    fn go(&mut self, state: State) -> Result<Step, ScanError> {
        self.state = state;
        Ok(Step::Inside)
    }

    fn begin_value(&mut self, byte: u8) -> Result<Step, ScanError> {
        match byte {
            _ if is_space(byte) => Ok(Step::Inside),
            b'{' => self.open(Inside::ObjectKey, State::BeginKeyOrEmpty, byte),
            b'[' => self.open(Inside::Array, State::BeginValueOrEmpty, byte),
            b'"' => self.go(State::InString),
            b'-' => self.go(State::Minus),
            b'0' => self.go(State::Zero),
            b'1'..=b'9' => self.go(State::Digits),
            b't' => self.go(State::Word("true", 1)),
            b'f' => self.go(State::Word("false", 1)),
            b'n' => self.go(State::Word("null", 1)),
            _ => Err(invalid(byte, "looking for beginning of value")),
        }
    }

    fn begin_key(&mut self, byte: u8) -> Result<Step, ScanError> {
        match byte {
            _ if is_space(byte) => Ok(Step::Inside),
            b'"' => self.go(State::InString),
            _ => Err(invalid(byte, "looking for beginning of object key string")),
        }
    }

    fn open(&mut self, inside: Inside, next: State, byte: u8) -> Result<Step, ScanError> {
        if self.open.len() >= DEPTH_MAX {
            return Err(invalid(byte, "exceeded max depth"));
        }
        self.open.push(inside);
        self.go(next)
    }

    fn close(&mut self) -> Result<Step, ScanError> {
        self.open.pop();
        self.ended()
    }

    /// A string, word or container has ended with this byte.
    fn ended(&mut self) -> Result<Step, ScanError> {
        self.state = State::EndValue;
        Ok(if self.open.is_empty() { Step::Complete } else { Step::Inside })
    }

    fn end_value(&mut self, byte: u8) -> Result<Step, ScanError> {
        let Some(inside) = self.open.last_mut() else { return Ok(Step::CompleteBefore) };
        if is_space(byte) {
            return Ok(Step::Inside);
        }
        match (*inside, byte) {
            (Inside::ObjectKey, b':') => {
                *inside = Inside::ObjectValue;
                self.go(State::BeginValue)
            }
            (Inside::ObjectValue, b',') => {
                *inside = Inside::ObjectKey;
                self.go(State::BeginKey)
            }
            (Inside::Array, b',') => self.go(State::BeginValue),
            (Inside::ObjectValue, b'}') | (Inside::Array, b']') => self.close(),
            (Inside::ObjectKey, _) => Err(invalid(byte, "after object key")),
            (Inside::ObjectValue, _) => Err(invalid(byte, "after object key:value pair")),
            (Inside::Array, _) => Err(invalid(byte, "after array element")),
        }
    }

    fn in_string(&mut self, byte: u8) -> Result<Step, ScanError> {
        match byte {
            b'"' => self.ended(),
            b'\\' => self.go(State::Escape),
            0..=0x1f => Err(invalid(byte, "in string literal")),
            _ => Ok(Step::Inside),
        }
    }

    fn escape(&mut self, byte: u8) -> Result<Step, ScanError> {
        match self.state {
            State::EscapeHex(left) if byte.is_ascii_hexdigit() => self.go(match left {
                1 => State::InString,
                _ => State::EscapeHex(left - 1),
            }),
            State::EscapeHex(_) => Err(invalid(byte, "in \\u hexadecimal character escape")),
            _ => match byte {
                b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => self.go(State::InString),
                b'u' => self.go(State::EscapeHex(4)),
                _ => Err(invalid(byte, "in string escape code")),
            },
        }
    }

    fn word(&mut self, word: &'static str, seen: usize, byte: u8) -> Result<Step, ScanError> {
        let expected = word.as_bytes()[seen];
        if byte != expected {
            let expected = char::from(expected);
            return Err(invalid(byte, &format!("in literal {word} (expecting '{expected}')")));
        }
        if seen + 1 == word.len() {
            return self.ended();
        }
        self.go(State::Word(word, seen + 1))
    }

    fn number(&mut self, byte: u8) -> Result<Step, ScanError> {
        use State::*;
        match (self.state, byte) {
            (Minus, b'0') => self.go(Zero),
            (Minus, b'1'..=b'9') | (Digits, b'0'..=b'9') => self.go(Digits),
            (Minus, _) => Err(invalid(byte, "in numeric literal")),
            (Zero | Digits, b'.') => self.go(Point),
            (Point | Fraction, b'0'..=b'9') => self.go(Fraction),
            (Point, _) => Err(invalid(byte, "after decimal point in numeric literal")),
            (Zero | Digits | Fraction, b'e' | b'E') => self.go(Exponent),
            (Exponent, b'+' | b'-') => self.go(ExponentSign),
            (Exponent | ExponentSign | ExponentDigits, b'0'..=b'9') => self.go(ExponentDigits),
            (Exponent | ExponentSign, _) => Err(invalid(byte, "in exponent of numeric literal")),
            _ => {
                self.state = EndValue;
                self.end_value(byte)
            }
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn invalid(byte: u8, context: &str) -> ScanError {
    ScanError::Malformed(format!("invalid character {} {context}", quoted(byte)))
}

/// One byte as Go quotes a character.
fn quoted(byte: u8) -> String {
    let inner = match byte {
        b'\'' => "\\'".to_owned(),
        b'\\' => "\\\\".to_owned(),
        0x07 => "\\a".to_owned(),
        0x08 => "\\b".to_owned(),
        0x0c => "\\f".to_owned(),
        b'\n' => "\\n".to_owned(),
        b'\r' => "\\r".to_owned(),
        b'\t' => "\\t".to_owned(),
        0x0b => "\\v".to_owned(),
        0..=0x1f | 0x7f => format!("\\x{byte:02x}"),
        0x80..=0xa0 | 0xad => format!("\\u{byte:04x}"),
        _ => char::from(byte).to_string(),
    };
    format!("'{inner}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<String>, String> {
        let mut scanner = Scanner::new(1 << 20);
        let mut values = Vec::new();
        // Byte by byte: where the pieces end must not matter.
        for byte in text.as_bytes() {
            let mut piece = Bytes::copy_from_slice(&[*byte]);
            while !piece.is_empty() {
                let found = scanner.push(&mut piece).map_err(|error| error.to_string())?;
                values.extend(found.map(|value| String::from_utf8_lossy(&value).into_owned()));
            }
        }
        let last = scanner.finish().map_err(|error| error.to_string())?;
        values.extend(last.map(|value| String::from_utf8_lossy(&value).into_owned()));
        Ok(values)
    }

    #[test]
    fn values_are_cut_out_of_a_stream() {
        let text = " {\"a\": [1, 2.5e3, {}]}\n[]\"x\\u00e9\" 12 -0.5e-7true null{\"b\":{}}";
        let expected = [
            "{\"a\": [1, 2.5e3, {}]}",
            "[]",
            "\"x\\u00e9\"",
            "12",
            "-0.5e-7",
            "true",
            "null",
            "{\"b\":{}}",
        ];
        assert_eq!(all(text), Ok(expected.map(str::to_owned).to_vec()));
        assert_eq!(all(" \n "), Ok(Vec::new()));
    }

    #[test]
    fn bad_json_is_refused_in_gos_words() {
        let rows = [
            ("xyz", "invalid character 'x' looking for beginning of value"),
            ("{\"a\"", "unexpected EOF"),
            ("{\"a\":1", "unexpected EOF"),
            ("{a:1}", "invalid character 'a' looking for beginning of object key string"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\":1 2}", "invalid character '2' after object key:value pair"),
            ("[1 2]", "invalid character '2' after array element"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
            ("\"a\nb\"", "invalid character '\\n' in string literal"),
            ("\"\\x\"", "invalid character 'x' in string escape code"),
            ("\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape"),
            ("trux", "invalid character 'x' in literal true (expecting 'e')"),
            ("-a", "invalid character 'a' in numeric literal"),
            ("1.a", "invalid character 'a' after decimal point in numeric literal"),
            ("1ea", "invalid character 'a' in exponent of numeric literal"),
            ("[01]", "invalid character '1' after array element"),
        ];
        for (text, error) in rows {
            assert_eq!(all(text), Err(error.to_owned()), "{text}");
        }
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let deep = "[".repeat(10_001);
        assert_eq!(all(&deep), Err("invalid character '[' exceeded max depth".to_owned()));
        let mut scanner = Scanner::new(10);
        let mut long = Bytes::from_static(b"\"12345678901234567890\"");
        assert_eq!(scanner.push(&mut long), Err(ScanError::TooLarge));
    }
}
