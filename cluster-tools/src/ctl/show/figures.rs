//! Numbers as people and etcdctl write them: sizes, durations.

use std::time::Duration;

/// A size in powers of 1000, as etcdctl shows it: `20 kB`, `2.1 GB`.
pub(crate) fn bytes(size: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    if size < 10 {
        return format!("{size} B");
    }
    let mut unit = 0;
    let mut value = size as f64;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let value = (value * 10.0 + 0.5).floor() / 10.0;
    if value < 10.0 {
        format!("{value:.1} {}", UNITS[unit])
    } else {
        format!("{value:.0} {}", UNITS[unit])
    }
}

/// A duration as Go writes it: `2.613314ms`, `1m2s`.
pub(crate) fn go_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let trimmed = |value: String| match value.split_once('.') {
        Some((whole, part)) => match part.trim_end_matches('0') {
            "" => whole.to_owned(),
            part => format!("{whole}.{part}"),
        },
        None => value,
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => {
            format!("{}µs", trimmed(format!("{}.{:03}", nanos / 1_000, nanos % 1_000)))
        }
        1_000_000..1_000_000_000 => {
            format!("{}ms", trimmed(format!("{}.{:06}", nanos / 1_000_000, nanos % 1_000_000)))
        }
        _ => {
            let seconds = duration.as_secs();
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let rest = trimmed(format!("{}.{:09}", seconds % 60, duration.subsec_nanos()));
            match (hours, minutes) {
                (0, 0) => format!("{rest}s"),
                (0, minutes) => format!("{minutes}m{rest}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{rest}s"),
            }
        }
    }
}

/// Reads a duration as Go writes it: `5s`, `1m30s`, `500ms`, `0`.
///
/// *Errors*: the reason, for the flag's message.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is no duration; write it like 500ms, 5s or 1m30s");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut total = 0.0f64;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let value: f64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        total += value
            * match &rest[..unit] {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return Err(bad()),
            };
        rest = &rest[unit..];
    }
    Duration::try_from_secs_f64(total).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{bytes, go_duration, parse_duration};

    #[test]
    fn sizes_are_written_as_etcdctl_writes_them() {
        let rows: [(u64, &str); 6] = [
            (0, "0 B"),
            (9, "9 B"),
            (999, "999 B"),
            (20_480, "20 kB"),
            (1_150_976, "1.2 MB"),
            (2_147_483_648, "2.1 GB"),
        ];
        for (size, text) in rows {
            assert_eq!(bytes(size), text);
        }
    }

    #[test]
    fn durations_are_gos() {
        let rows = [
            (2_613_314, "2.613314ms"),
            (1_500, "1.5µs"),
            (15, "15ns"),
            (1_000_000_000, "1s"),
            (62_500_000_000, "1m2.5s"),
            (3_600_000_000_000, "1h0m0s"),
        ];
        for (nanos, text) in rows {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(go_duration(duration), text);
            assert_eq!(parse_duration(text), Ok(duration));
        }
        for bad in ["", "5", "s", "5x", "-1s", "1e9s", "..s", "99999999999999999999h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
