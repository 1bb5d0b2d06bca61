//! Reading of single values as Go's flag package reads them, and the nearest known name.
//! Must not know: which flag a value belongs to.

use std::time::Duration;

/// Reads a duration in Go's form (`1h15m`, `300ms`, `1.5s`, `0`).
///
/// *Errors*: `None` for anything else, a negative duration and an overflow.
pub fn go_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let digits_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_end);
        nanos = nanos.checked_add(scaled(number, unit_nanos(unit)?)?)?;
        rest = next;
    }
    // Go's durations are 63-bit nanoseconds: larger values are refused there too.
    let nanos = u64::try_from(nanos).ok().filter(|nanos| *nanos <= i64::MAX as u64)?;
    Some(Duration::from_nanos(nanos))
}

/// Why [`go_duration`] does not read a text, in Go's words.
pub(crate) fn duration_problem(text: &str) -> String {
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    let mut rest = text.trim_start_matches(['+', '-']);
    while !rest.is_empty() && rest.starts_with(digits) {
        rest = rest.trim_start_matches(digits);
        let end = rest.find(digits).unwrap_or(rest.len());
        let (unit, next) = rest.split_at(end);
        if unit.is_empty() {
            return format!("time: missing unit in duration {text:?}");
        }
        if unit_nanos(unit).is_none() {
            return format!("time: unknown unit {unit:?} in duration {text:?}");
        }
        rest = next;
    }
    format!("time: invalid duration {text:?}")
}

fn unit_nanos(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(unit)?;
    let mut place = unit;
    for digit in fraction.chars() {
        place /= 10;
        total = total.checked_add(u128::from(digit.to_digit(10)?) * place)?;
    }
    Some(total)
}

/// Reads a boolean as Go does: `1 t T true TRUE True` and their opposites.
pub(crate) fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// The known name with the smallest edit distance to `given`, when it is near enough to be meant.
pub fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (given.len() / 3).max(2);
    known
        .map(|name| (edit_distance(given, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, b) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_reads_them() {
        let rows = [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("300ms", Some(300)),
            ("1.5s", Some(1500)),
            ("1h15m", Some(75 * 60_000)),
            ("10m0.25s", Some(600_250)),
            (".5s", Some(500)),
            ("", None),
            ("5", None),
            ("-5s", None),
            ("5 s", None),
            ("s", None),
            (".s", None),
            ("1.2.3s", None),
            ("2562048h", None),
            ("9999999999h", None),
        ];
        for (text, millis) in rows {
            let read = go_duration(text).map(|duration| duration.as_millis());
            assert_eq!(read, millis.map(|millis: u32| u128::from(millis)), "{text}");
        }
        assert!(go_duration("2562047h").is_some());
    }

    #[test]
    fn the_nearest_name_is_found_and_far_names_are_not() {
        let known = ["listen-client-urls", "listen-peer-urls", "name"];
        assert_eq!(nearest("listen-client-url", known.into_iter()), Some("listen-client-urls"));
        assert_eq!(nearest("nmae", known.into_iter()), Some("name"));
        assert_eq!(nearest("completely-different", known.into_iter()), None);
    }
}
