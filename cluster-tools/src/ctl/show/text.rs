//! Bytes of keys and values as text that a terminal can be given.
//!
//! Invariant: no control character and no character that turns the direction of text comes out
//! (but line ends and tabs of [`safe_lines`]), so data cannot drive the terminal.

use std::fmt::Write as _;

/// On one line: what is no printable text becomes `\n`, `\t`, `\r`, `\xNN` or `\u{…}`.
pub(crate) fn printable(bytes: &[u8]) -> String {
    escaped(bytes, |_| false)
}

/// As [`printable`], but line ends and tabs stay.
pub(crate) fn safe_lines(bytes: &[u8]) -> String {
    escaped(bytes, |character| matches!(character, '\n' | '\t'))
}

/// `\x6b\x65…`, as etcdctl's `--hex` writes keys and values.
pub(crate) fn hex_escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4);
    for byte in bytes {
        push(&mut text, format_args!("\\x{byte:02x}"));
    }
    text
}

fn escaped(bytes: &[u8], keep: impl Fn(char) -> bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                _ if keep(character) => text.push(character),
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                '\r' => text.push_str("\\r"),
                _ if character.is_ascii_control() => {
                    push(&mut text, format_args!("\\x{:02x}", u32::from(character)));
                }
                _ if is_unsafe(character) => {
                    push(&mut text, format_args!("{}", character.escape_unicode()))
                }
                _ => text.push(character),
            }
        }
        for byte in chunk.invalid() {
            push(&mut text, format_args!("\\x{byte:02x}"));
        }
    }
    text
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(what);
}

/// Controls beyond ASCII, and what is invisible or turns the direction of text.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Cut to so many characters, with what is left out told.
pub(crate) fn shortened(text: String, characters_max: usize, bytes: usize) -> String {
    if text.chars().count() <= characters_max {
        return text;
    }
    let cut: String = text.chars().take(characters_max).collect();
    format!("{cut}… ({bytes} bytes)")
}

#[cfg(test)]
mod tests {
    use super::{hex_escaped, printable, safe_lines, shortened};

    #[test]
    fn data_cannot_drive_the_terminal() {
        assert_eq!(printable(b"\x1b[2Jhi\x07\x00"), "\\x1b[2Jhi\\x07\\x00");
        assert_eq!(printable("a\u{202e}b\u{9b}".as_bytes()), "a\\u{202e}b\\u{9b}");
        assert_eq!(printable(b"\xff\xfe"), "\\xff\\xfe");
        assert_eq!(printable("grün\n".as_bytes()), "grün\\n");
        assert_eq!(safe_lines(b"{\n\t1\x1b\n}"), "{\n\t1\\x1b\n}");
    }

    #[test]
    fn hex_is_etcdctls() {
        assert_eq!(hex_escaped(b"a2"), "\\x61\\x32");
    }

    #[test]
    fn a_cut_says_how_much_there_is() {
        assert_eq!(shortened("abcdef".into(), 3, 6), "abc… (6 bytes)");
        assert_eq!(shortened("abc".into(), 3, 3), "abc");
    }
}
