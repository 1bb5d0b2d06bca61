//! Whole numbers as JSON may spell them, and what ends a token.
//!
//! Compat: `1.0`, `10e-1` and `"1e2"` are whole numbers for protobuf's JSON mapping.

/// The number that a JSON number token spells, if it is a whole one of at most 64 bits.
pub(super) fn integer(token: &[u8]) -> Option<i128> {
    let (negative, rest) = match token.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, token),
    };
    let (whole, rest) = digits(rest);
    if whole.is_empty() {
        return None;
    }
    let (fraction, rest) = match rest.split_first() {
        Some((b'.', rest)) => digits(rest),
        _ => (&rest[..0], rest),
    };
    let fraction = trimmed(fraction);
    let whole = if whole == b"0" { &whole[..0] } else { whole };
    if whole.is_empty() && fraction.is_empty() {
        return Some(0);
    }
    let exponent: i32 = match rest.split_first() {
        Some((b'e' | b'E', rest)) if !rest.is_empty() => std::str::from_utf8(rest).ok()?.parse(),
        _ => Ok(0),
    }
    .ok()?;
    let value = shifted(whole, fraction, exponent)?;
    Some(if negative { -value } else { value })
}

/// Most digits of a 64-bit number.
const DIGITS_MAX: usize = 20;

fn shifted(whole: &[u8], fraction: &[u8], exponent: i32) -> Option<i128> {
    let places = usize::try_from(exponent.unsigned_abs()).ok()?;
    let mut number = Vec::new();
    if exponent >= 0 {
        if fraction.len() > places || whole.len() + places > DIGITS_MAX {
            return None;
        }
        number.extend_from_slice(whole);
        number.extend_from_slice(fraction);
        number.resize(whole.len() + places, b'0');
    } else {
        let kept = whole.len().checked_sub(places)?;
        if !fraction.is_empty() || whole[kept..].iter().any(|digit| *digit != b'0') {
            return None;
        }
        number.extend_from_slice(&whole[..kept]);
    }
    if number.len() > DIGITS_MAX {
        return None;
    }
    std::str::from_utf8(&number).ok()?.parse().ok()
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

fn trimmed(fraction: &[u8]) -> &[u8] {
    let end = fraction.iter().rposition(|digit| *digit != b'0').map_or(0, |at| at + 1);
    &fraction[..end]
}

/// The number token at the start of a text that was a JSON string, if there is one: what follows
/// it behind a delimiter does not count.
pub(super) fn leading(text: &[u8]) -> Option<&[u8]> {
    let sign = usize::from(text.first() == Some(&b'-'));
    let (whole, _) = digits(&text[sign..]);
    if whole.is_empty() {
        return None;
    }
    let mut end = sign + if whole[0] == b'0' { 1 } else { whole.len() };
    if let [b'.', digit, ..] = &text[end..]
        && digit.is_ascii_digit()
    {
        end += 1 + digits(&text[end + 1..]).0.len();
    }
    if let [b'e' | b'E', next, rest @ ..] = &text[end..] {
        let signed = matches!(next, b'+' | b'-');
        if signed && rest.is_empty() {
            return None;
        }
        end += 1 + usize::from(signed);
        end += digits(&text[end..]).0.len();
    }
    match text.get(end) {
        Some(byte) if continues(*byte) => None,
        _ => Some(&text[..end]),
    }
}

/// Whether a byte cannot end a number or word.
pub(super) fn continues(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_many_spellings() {
        let rows: [(&str, Option<i128>); 15] = [
            ("true", None),
            ("0", Some(0)),
            ("-0", Some(0)),
            ("12", Some(12)),
            ("-12", Some(-12)),
            ("1.0", Some(1)),
            ("1.5", None),
            ("1.5e1", Some(15)),
            ("15e-1", None),
            ("150e-1", Some(15)),
            ("1e2", Some(100)),
            ("1E+2", Some(100)),
            ("1e40", None),
            ("18446744073709551615", Some(18_446_744_073_709_551_615)),
            ("123456789012345678901", None),
        ];
        for (text, value) in rows {
            assert_eq!(integer(text.as_bytes()), value, "{text}");
        }
    }

    #[test]
    fn a_text_may_start_with_a_number() {
        let rows = [
            ("12", Some("12")),
            ("12,x", Some("12")),
            ("12x", None),
            ("1.5e3 ", Some("1.5e3")),
            ("-", None),
            ("012", None),
            ("1e+", None),
            ("", None),
        ];
        for (text, number) in rows {
            assert_eq!(leading(text.as_bytes()), number.map(str::as_bytes), "{text}");
        }
    }
}
