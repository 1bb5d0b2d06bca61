//! A line typed by a person as words.
//!
//! Compat: etcdctl's rules: words end at blanks; `'…'` is taken as it is; `"…"` has Go's escapes.

/// Splits a line.
///
/// *Errors*: why it cannot be split.
pub(crate) fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = line.chars().peekable();
    while let Some(&next) = rest.peek() {
        if next.is_whitespace() {
            rest.next();
        } else if next == '"' {
            rest.next();
            words.push(quoted(&mut rest)?);
        } else if next == '\'' {
            rest.next();
            words.push(plain(&mut rest)?);
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

fn plain(rest: &mut impl Iterator<Item = char>) -> Result<String, String> {
    let mut word = String::new();
    for character in rest {
        if character == '\'' {
            return Ok(word);
        }
        word.push(character);
    }
    Err("a single-quoted word does not end".to_owned())
}

fn quoted(rest: &mut impl Iterator<Item = char>) -> Result<String, String> {
    let mut word = String::new();
    while let Some(character) = rest.next() {
        match character {
            '"' => return Ok(word),
            '\\' => word.push(escape(rest)?),
            _ => word.push(character),
        }
    }
    Err("a quoted word does not end".to_owned())
}

fn escape(rest: &mut impl Iterator<Item = char>) -> Result<char, String> {
    let kind = rest.next().ok_or("a quoted word does not end")?;
    let digits = match kind {
        'n' => return Ok('\n'),
        't' => return Ok('\t'),
        'r' => return Ok('\r'),
        '"' | '\\' | '\'' => return Ok(kind),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return Err(format!("bad escape \\{kind}")),
    };
    let text: String = rest.take(digits).collect();
    let code = u32::from_str_radix(&text, 16).ok().filter(|_| text.len() == digits);
    // Above 0x7f `\x` is a byte in Go; here words are text, so it is refused.
    let code = code.filter(|code| kind != 'x' || *code < 0x80);
    code.and_then(char::from_u32).ok_or_else(|| format!("bad escape \\{kind}{text}"))
}

/// Text in double quotes with Go's escapes, as etcdctl gives keys and values to commands it runs.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                _ => text.push_str(&super::show::text::printable(character.to_string().as_bytes())),
            }
        }
        text.push_str(&super::show::text::hex_escaped(chunk.invalid()));
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::{quote, words};

    #[test]
    fn quoting_keeps_a_shell_variable_on_one_line() {
        assert_eq!(quote(b"a\"b\\\n\xff"), r#""a\"b\\\n\xff""#);
    }

    #[test]
    fn quoted_words_keep_their_blanks() {
        let split = |line: &str| words(line).unwrap_or_default();
        assert_eq!(split(r#"put "a b" "say \"x\"""#), ["put", "a b", "say \"x\""]);
        assert_eq!(split(r"put 'a \b' c"), ["put", r"a \b", "c"]);
        assert_eq!(split(r#""\x41\u00e9\n""#), ["Aé\n"]);
        assert_eq!(split(r#""""#), [""]);
        for bad in ["put \"open", "'open", r#""\q""#, r#""\xff""#, r#""\x4""#] {
            assert!(words(bad).is_err(), "{bad}");
        }
    }
}
