//! The words of a label selector.
//!
//! Invariant: never fails; what is no word of the language comes out as [`Token::Error`], and the
//! last token is [`Token::End`]. A NUL byte ends the text, as it does for kube-apiserver.

/// The kind of one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Error,
    End,
    Close,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    Greater,
    Identifier,
    In,
    Less,
    NotEquals,
    NotIn,
    Open,
}

/// One word: its kind, and the text it was written as.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) token: Token,
    pub(super) text: String,
}

/// Splits a selector into words.
pub(super) fn words(selector: &str) -> Vec<Word> {
    let mut rest = selector.split('\0').next().unwrap_or_default();
    let mut words = Vec::new();
    loop {
        rest = rest.trim_start_matches(is_blank);
        let Some(first) = rest.chars().next() else {
            words.push(Word { token: Token::End, text: String::new() });
            return words;
        };
        let length = if is_symbol(first) { symbol_length(rest) } else { name_length(rest) };
        let (text, tail) = rest.split_at(length);
        words.push(word(text));
        rest = tail;
    }
}

fn word(text: &str) -> Word {
    match token(text) {
        Some(token) => Word { token, text: text.to_owned() },
        None if text.starts_with(is_symbol) => {
            Word { token: Token::Error, text: format!("error expected: keyword found '{text}'") }
        }
        None => Word { token: Token::Identifier, text: text.to_owned() },
    }
}

fn token(text: &str) -> Option<Token> {
    Some(match text {
        ")" => Token::Close,
        "," => Token::Comma,
        "!" => Token::Not,
        "==" => Token::DoubleEquals,
        "=" => Token::Equals,
        ">" => Token::Greater,
        "in" => Token::In,
        "<" => Token::Less,
        "!=" => Token::NotEquals,
        "notin" => Token::NotIn,
        "(" => Token::Open,
        _ => return None,
    })
}

/// The longest run of symbols that is a word of the language. Every symbol alone is one, so the
/// run has one or two bytes.
fn symbol_length(rest: &str) -> usize {
    match rest.get(..2) {
        Some("==" | "!=") => 2,
        _ => 1,
    }
}

fn name_length(rest: &str) -> usize {
    rest.find(|c| is_symbol(c) || is_blank(c)).unwrap_or(rest.len())
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_symbol(c: char) -> bool {
    matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}
