//! Finds the few places in an object's JSON that the cache has to know, without reading the rest.
//!
//! Invariant: a place is answered only for text whose brackets and strings are closed; whether the
//! rest is JSON is not checked, since it was written by an API server.
//!
//! Must not know: what any member means.

use std::ops::Range;

/// A member of an object: where it and its value stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member<'a> {
    /// The name, as written between the quotes.
    pub(super) name: &'a [u8],
    /// From the name's quote to the end of the value.
    pub(super) whole: Range<usize>,
    /// The value.
    pub(super) value: Range<usize>,
}

/// The members of the object that begins at `at`; none if it is no whole object.
pub(super) fn members(json: &[u8], at: usize) -> Option<Vec<Member<'_>>> {
    let mut found = Vec::new();
    let mut at = skip_space(json, expect(json, skip_space(json, at), b'{')?);
    if json.get(at) == Some(&b'}') {
        return Some(found);
    }
    loop {
        let start = at;
        let name_end = skip_string(json, at)?;
        let name = &json[start + 1..name_end - 1];
        let value_start = skip_space(json, expect(json, skip_space(json, name_end), b':')?);
        let value_end = skip_value(json, value_start)?;
        found.push(Member { name, whole: start..value_end, value: value_start..value_end });
        at = skip_space(json, value_end);
        match json.get(at)? {
            b',' => at = skip_space(json, at + 1),
            b'}' => return Some(found),
            _ => return None,
        }
    }
}

fn expect(json: &[u8], at: usize, byte: u8) -> Option<usize> {
    (json.get(at) == Some(&byte)).then_some(at + 1)
}

fn skip_space(json: &[u8], at: usize) -> usize {
    let rest = json.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// The end of the string whose opening quote is at `at`.
fn skip_string(json: &[u8], at: usize) -> Option<usize> {
    let mut at = expect(json, at, b'"')?;
    loop {
        match json.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The end of the value that begins at `at`.
fn skip_value(json: &[u8], at: usize) -> Option<usize> {
    match json.get(at)? {
        b'"' => skip_string(json, at),
        b'{' | b'[' => skip_nested(json, at),
        _ => {
            let rest = &json[at..];
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
            match rest.iter().position(ends)? {
                0 => None,
                length => Some(at + length),
            }
        }
    }
}

fn skip_nested(json: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match json.get(at)? {
            b'"' => {
                at = skip_string(json, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(json: &str) -> Option<Vec<String>> {
        let found = members(json.as_bytes(), 0)?;
        Some(found.iter().map(|m| String::from_utf8_lossy(m.name).into_owned()).collect())
    }

    #[test]
    fn members_are_found_whatever_their_values_hold() {
        let json = r#" { "a" : "x\"}{", "b":[1,{"q":"]"}], "c":{"d":{}} ,"e":-1.5e3,"f":null }"#;
        assert_eq!(names(json).expect("whole"), ["a", "b", "c", "e", "f"]);
        let found = members(json.as_bytes(), 0).expect("whole");
        assert_eq!(&json[found[1].value.clone()], r#"[1,{"q":"]"}]"#);
        assert_eq!(&json[found[3].value.clone()], "-1.5e3");
        assert_eq!(&json[found[2].whole.clone()], r#""c":{"d":{}}"#);
        assert_eq!(names("{}").expect("whole"), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_whole_object_has_no_members() {
        for json in
            ["", "[]", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":\"", "{\"a\":[}", "{a:1}"]
        {
            assert_eq!(names(json), None, "{json}");
        }
    }
}
