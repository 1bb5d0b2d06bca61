//! How long ago something was, the way people say it: "3m5s", "5d", "2y30d".

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// The time since a stored timestamp; `<unknown>` for one that is absent or no timestamp.
pub(super) fn since(timestamp: &Value, now: Timestamp) -> String {
    match read(timestamp) {
        Some(timestamp) => human(now.duration_since(timestamp)),
        None => "<unknown>".to_owned(),
    }
}

/// Reads a stored timestamp, in whole seconds or in microseconds.
pub(super) fn read(timestamp: &Value) -> Option<Timestamp> {
    timestamp.as_str()?.parse().ok()
}

/// A duration with two or three significant figures.
///
/// *Shape*: up to two seconds in the future count as now, since clocks differ; all further in the
/// future is `<invalid>`. Compat: the steps are those of kubectl's ages.
pub fn human(duration: SignedDuration) -> String {
    const DAY: i64 = 24;
    const YEAR: i64 = 365 * DAY;
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let two = |large: i64, large_unit: char, small: i64, small_unit: char| match small {
        0 => format!("{large}{large_unit}"),
        small => format!("{large}{large_unit}{small}{small_unit}"),
    };
    if seconds < -1 {
        "<invalid>".to_owned()
    } else if seconds < 120 {
        format!("{}s", seconds.max(0))
    } else if minutes < 10 {
        two(minutes, 'm', seconds % 60, 's')
    } else if minutes < 180 {
        format!("{minutes}m")
    } else if hours < 8 {
        two(hours, 'h', minutes % 60, 'm')
    } else if hours < 2 * DAY {
        format!("{hours}h")
    } else if hours < 8 * DAY {
        two(hours / DAY, 'd', hours % DAY, 'h')
    } else if hours < 2 * YEAR {
        format!("{}d", hours / DAY)
    } else if hours < 8 * YEAR {
        two(hours / YEAR, 'y', hours / DAY % 365, 'd')
    } else {
        format!("{}y", hours / YEAR)
    }
}
