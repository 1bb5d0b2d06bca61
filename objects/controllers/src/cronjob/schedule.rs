//! Schedules in the five fields of cron, and when they are next met.
//!
//! Shape: minute, hour, day of month, month, day of week; `*`, `?`, lists, ranges, steps, names of
//! months and days; `@hourly` and its kin, `@every 1h30m`. A day is met by either of the day fields
//! if both are restricted, as cron has it. Times that a change of clocks leaves out are left out.

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};

/// When to act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// At times of the calendar.
    Calendar(Box<Calendar>),
    /// Always after so long.
    Every(SignedDuration),
}

/// The times of the calendar that meet all fields: one bit for each allowed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether the day fields are restricted, of month and of week.
    restricted: (bool, bool),
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// What of it is not understood, in words for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(every) = text.strip_prefix("@every ") {
            let every: SignedDuration = every
                .trim()
                .parse()
                .map_err(|e| format!("failed to parse duration {text}: {e}"))?;
            return Ok(Self::Every(every.max(SignedDuration::from_secs(1))));
        }
        let fields = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let fields: Vec<_> = fields.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            let found = fields.len();
            return Err(format!("expected exactly 5 fields, found {found}: [{text}]"));
        };
        let any = |field: &str| field.starts_with('*') || field.starts_with('?');
        Ok(Self::Calendar(Box::new(Calendar {
            minutes: field(minutes, 0, 59, &[])?,
            hours: field(hours, 0, 23, &[])?,
            days: field(days, 1, 31, &[])?,
            months: field(months, 1, 12, &MONTHS)?,
            weekdays: field(weekdays, 0, 6, &DAYS)?,
            restricted: (!any(days), !any(weekdays)),
        })))
    }

    /// The first time after `after` that meets the schedule; none if there is none within five
    /// years.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Every(every) => {
                let next = after.checked_add(*every).ok()?;
                Timestamp::from_second(next.as_second()).ok()
            }
            Self::Calendar(calendar) => calendar.next(after, zone),
        }
    }
}

impl Calendar {
    fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let start = zone.to_datetime(after);
        let first = start.date();
        let mut date = first;
        let end = first.checked_add(5.years()).ok()?;
        while date <= end {
            if self.has_day(date) {
                let minute = start.date().at(start.hour(), start.minute(), 0, 0);
                for time in self.times(date).filter(|time| *time >= minute) {
                    let at = zone.to_ambiguous_timestamp(time);
                    if matches!(at.offset(), AmbiguousOffset::Gap { .. }) {
                        continue;
                    }
                    let at = at.compatible().ok()?;
                    if at > after {
                        return Some(at);
                    }
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn has_day(&self, date: Date) -> bool {
        let has = |bits: u64, value: i8| bits & (1 << value) != 0;
        let of_month = has(self.days, date.day());
        let of_week = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        let day = match self.restricted {
            (true, true) => of_month || of_week,
            _ => of_month && of_week,
        };
        day && has(self.months, date.month())
    }

    fn times(&self, date: Date) -> impl Iterator<Item = DateTime> + '_ {
        let set = |bits: u64, below: i8| (0..below).filter(move |value| bits & (1 << value) != 0);
        set(self.hours, 24).flat_map(move |hour| {
            set(self.minutes, 60).map(move |minute| date.at(hour, minute, 0, 0))
        })
    }
}

/// One field: a list of values, ranges and steps, as bits.
fn field(text: &str, min: u32, max: u32, names: &[&str]) -> Result<u64, String> {
    text.split(',').try_fold(0, |bits, part| Ok(bits | range(part, min, max, names)?))
}

fn range(text: &str, min: u32, max: u32, names: &[&str]) -> Result<u64, String> {
    let (span, step) = match text.split_once('/') {
        Some((span, step)) => (span, Some(number(step, &[], 0)?)),
        None => (text, None),
    };
    let (first, last) = match span.split_once('-') {
        _ if span == "*" || span == "?" => (min, max),
        Some((first, last)) => (number(first, names, min)?, number(last, names, min)?),
        None => {
            let value = number(span, names, min)?;
            // A value with a step goes on to the end.
            (value, if step.is_some() { max } else { value })
        }
    };
    if first < min {
        return Err(format!("beginning of range ({first}) below minimum ({min}): {text}"));
    }
    if last > max {
        return Err(format!("end of range ({last}) above maximum ({max}): {text}"));
    }
    if first > last {
        return Err(format!("beginning of range ({first}) beyond end of range ({last}): {text}"));
    }
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    let values = (first..=last).step_by(usize::try_from(step).unwrap_or(usize::MAX));
    Ok(values.fold(0, |bits, value| bits | 1 << value))
}

fn number(text: &str, names: &[&str], min: u32) -> Result<u32, String> {
    let lower = text.to_ascii_lowercase();
    if let Some(at) = names.iter().position(|name| *name == lower) {
        return Ok(min + u32::try_from(at).unwrap_or_default());
    }
    text.parse().map_err(|_| format!("failed to parse int from {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, after: &str) -> String {
        let schedule = Schedule::parse(schedule).expect("a schedule");
        let after: Timestamp = after.parse().expect("a time");
        schedule.next(after, &TimeZone::UTC).map(|t| t.to_string()).unwrap_or_default()
    }

    #[test]
    fn fields_lists_ranges_steps_and_names_are_met() {
        let after = "2026-11-21T12:34:56Z";
        assert_eq!(next("* * * * *", after), "2026-11-21T12:35:00Z");
        assert_eq!(next("*/15 * * * *", after), "2026-11-21T12:45:00Z");
        assert_eq!(next("34 12 * * *", after), "2026-11-22T12:34:00Z");
        assert_eq!(next("0 9-17/4 * * mon-fri", after), "2026-11-23T09:00:00Z");
        assert_eq!(next("5,10 0 29 feb ?", after), "2028-02-29T00:05:00Z");
        assert_eq!(next("@monthly", after), "2026-12-01T00:00:00Z");
        assert_eq!(next("@every 90s", after), "2026-11-21T12:36:26Z");
    }

    #[test]
    fn two_restricted_day_fields_are_met_by_either() {
        let after = "2026-11-21T12:00:00Z";
        assert_eq!(next("0 0 13 * fri", after), "2026-11-27T00:00:00Z");
        assert_eq!(next("0 0 23 * fri", after), "2026-11-23T00:00:00Z");
    }

    #[test]
    fn a_day_that_never_comes_is_never_met() {
        assert_eq!(next("0 0 31 feb *", "2026-01-01T00:00:00Z"), "");
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for nonsense in
            ["", "* * * *", "60 * * * *", "* * 0 * *", "*/0 * * * *", "5-1 * * * *", "x * * * *"]
        {
            assert!(Schedule::parse(nonsense).is_err(), "{nonsense:?}");
        }
    }
}
