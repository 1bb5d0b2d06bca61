//! Elapsed time as Go's `time.Duration` reads and prints it: `1m30s`, `1.5h`, `-2ms`.
//!
//! Must not know: the clock.

const SECOND: u64 = 1_000_000_000;

/// Nanoseconds of a text.
///
/// *Errors*: Go's words.
pub fn parse(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut sum = 0u64;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = after.find(|letter: char| letter == '.' || letter.is_ascii_digit());
        let (unit, after) = after.split_at(end.unwrap_or(after.len()));
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let scale = unit_nanos(unit)
            .ok_or_else(|| format!("time: unknown unit {unit:?} in duration {text:?}"))?;
        let part = scaled(whole, fraction, scale).ok_or_else(invalid)?;
        sum = sum.checked_add(part).filter(|sum| *sum <= 1 << 63).ok_or_else(invalid)?;
        rest = after;
    }
    if negative {
        return Ok(0i64.checked_sub_unsigned(sum).unwrap_or(i64::MIN));
    }
    i64::try_from(sum).map_err(|_| invalid())
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

fn unit_nanos(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3600 * SECOND,
        _ => return None,
    })
}

fn scaled(whole: &str, fraction: &str, scale: u64) -> Option<u64> {
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // Digits behind the fifteenth change less than a nanosecond of an hour.
    let fraction = &fraction[..fraction.len().min(15)];
    let power = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let numerator: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let part = u64::try_from(numerator * u128::from(scale) / power).ok()?;
    whole.checked_mul(scale)?.checked_add(part)
}

/// As Go prints it: the largest unit that is not zero first, a fraction only of seconds and less.
pub fn print(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let small = [(1000, 1, "ns"), (1_000_000, 1000, "µs"), (SECOND, 1_000_000, "ms")];
    if let Some((_, unit, name)) = small.into_iter().find(|(limit, ..)| nanos < *limit) {
        return format!("{sign}{}{name}", fractional(nanos, unit));
    }
    let (minutes, seconds) = (nanos / (60 * SECOND), fractional(nanos % (60 * SECOND), SECOND));
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

fn fractional(nanos: u64, unit: u64) -> String {
    let rest = nanos % unit;
    if rest == 0 {
        return (nanos / unit).to_string();
    }
    let width = unit.to_string().len() - 1;
    let fraction = format!("{rest:0width$}");
    format!("{}.{}", nanos / unit, fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_as_go_prints_them() {
        for (text, printed) in [
            ("0", "0s"),
            ("1m", "1m0s"),
            ("90s", "1m30s"),
            ("1.5h", "1h30m0s"),
            ("-2ms", "-2ms"),
            ("1500us", "1.5ms"),
            ("1h0.5s", "1h0m0.5s"),
            ("100ns", "100ns"),
            ("1.000000001s", "1.000000001s"),
            (".5s", "500ms"),
            ("-9223372036854775808ns", "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(parse(text).map(print), Ok(printed.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_in_the_words_of_go() {
        for (text, error) in [
            ("", "time: invalid duration \"\""),
            ("x", "time: invalid duration \"x\""),
            ("5", "time: missing unit in duration \"5\""),
            ("5d", "time: unknown unit \"d\" in duration \"5d\""),
            ("9999999999h", "time: invalid duration \"9999999999h\""),
            ("9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\""),
        ] {
            assert_eq!(parse(text), Err(error.to_owned()));
        }
    }
}
