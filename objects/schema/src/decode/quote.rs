//! Texts in quotes as Go's `%q` writes them: part of error texts that clients see.

use std::fmt::Write;

/// A text in double quotes, with what cannot be printed escaped.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        push_escaped(&mut out, c, '"');
    }
    out.push('"');
    out
}

/// One byte in single quotes, as `encoding/json` names the character it cannot go on with: the
/// character with that number, whatever the byte is a part of.
pub fn quoted_byte(byte: u8) -> String {
    let mut out = String::from("'");
    push_escaped(&mut out, char::from(byte), '\'');
    out.push('\'');
    out
}

fn push_escaped(out: &mut String, c: char, quote: char) {
    let short = match c {
        '\u{07}' => Some('a'),
        '\u{08}' => Some('b'),
        '\u{0c}' => Some('f'),
        '\n' => Some('n'),
        '\r' => Some('r'),
        '\t' => Some('t'),
        '\u{0b}' => Some('v'),
        '\\' => Some('\\'),
        c if c == quote => Some(quote),
        _ => None,
    };
    let code = u32::from(c);
    if let Some(short) = short {
        out.push('\\');
        out.push(short);
    } else if is_printable(c) {
        out.push(c);
    } else if code < 0x80 {
        write!(out, "\\x{code:02x}").expect("writing to a String does not fail");
    } else if code < 0x1_0000 {
        write!(out, "\\u{code:04x}").expect("writing to a String does not fail");
    } else {
        write!(out, "\\U{code:08x}").expect("writing to a String does not fail");
    }
}

fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // The letter before it lets combining marks pass, which Go counts as printable.
    let mut text = String::from("a");
    text.push(c);
    text.escape_debug().count() == 2 && !c.is_whitespace()
}
