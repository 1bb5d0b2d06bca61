//! Points in time as Kubernetes writes them: RFC 3339, UTC, in whole seconds or microseconds.
//!
//! Reads what Go's `time.Parse` reads and refuses what it refuses, in its words. Must not know: the
//! clock.

/// The layout of `meta/v1.Time`.
const SECONDS: &str = "2006-01-02T15:04:05Z07:00";
/// The layout of `meta/v1.MicroTime`.
const MICROS: &str = "2006-01-02T15:04:05.000000Z07:00";

/// Seconds of the unix epoch at Go's zero time, the start of year 1.
const ZERO_SECONDS: i64 = -62_135_596_800;

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds since the unix epoch.
    pub seconds: i64,
    /// Nanoseconds behind it, less than 10⁹.
    pub nanos: u32,
}

impl Time {
    /// Go's zero time, which Kubernetes writes as null.
    pub const ZERO: Self = Self { seconds: ZERO_SECONDS, nanos: 0 };

    /// Reads the text of a `meta/v1.Time`.
    ///
    /// *Errors*: Go's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        Parser { text, rest: text, layout: SECONDS, micros: false }.parse()
    }

    /// Reads the text of a `meta/v1.MicroTime`: exactly six digits behind the seconds.
    ///
    /// *Errors*: Go's words.
    pub fn parse_micros(text: &str) -> Result<Self, String> {
        Parser { text, rest: text, layout: MICROS, micros: true }.parse()
    }

    /// Whole seconds, UTC: `2026-01-02T03:04:05Z`.
    pub fn to_seconds_text(self) -> String {
        let Civil { year, month, day } = Civil::of_days(self.seconds.div_euclid(86_400));
        let second = self.seconds.rem_euclid(86_400);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let sign = if year < 0 { "-" } else { "" };
        let year = year.unsigned_abs();
        format!("{sign}{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// Microseconds, UTC: `2026-01-02T03:04:05.678912Z`.
    pub fn to_micros_text(self) -> String {
        let mut text = self.to_seconds_text();
        text.pop();
        format!("{text}.{:06}Z", self.nanos / 1000)
    }
}

/// A day of the proleptic Gregorian calendar.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
}

impl Civil {
    /// Days since 1970-01-01, by the calendar that begins its years in March.
    fn to_days(&self) -> i64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let year_of_era = year - era * 400;
        let month_from_march = (self.month + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    fn of_days(days: i64) -> Self {
        let days = days.saturating_add(719_468);
        let era = days.div_euclid(146_097);
        let day_of_era = days - era * 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self { year, month, day }
    }

    fn days_in_month(&self) -> i64 {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        match self.month {
            2 => 28 + i64::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}

struct Parser<'text> {
    text: &'text str,
    rest: &'text str,
    layout: &'static str,
    micros: bool,
}

impl Parser<'_> {
    fn parse(mut self) -> Result<Time, String> {
        let year = self.digits(4, "2006")?;
        self.literal("-")?;
        let month = self.ranged("01", 1, 12, "month")?;
        self.literal("-")?;
        let day = self.digits(2, "02")?;
        self.literal("T")?;
        let hour = self.hour()?;
        self.literal(":")?;
        let minute = self.ranged("04", 0, 59, "minute")?;
        self.literal(":")?;
        let second = self.ranged("05", 0, 59, "second")?;
        let nanos = if self.micros { self.six_digits()? } else { self.any_digits() };
        let offset = self.zone()?;
        if !self.rest.is_empty() {
            return Err(self.plain(&format!("extra text: {}", quoted(self.rest))));
        }
        let date = Civil { year, month, day };
        if day < 1 || day > date.days_in_month() {
            return Err(self.plain("day out of range"));
        }
        let seconds = date.to_days() * 86_400 + hour * 3600 + minute * 60 + second - offset;
        Ok(Time { seconds, nanos })
    }

    fn plain(&self, what: &str) -> String {
        format!("parsing time {}: {what}", quoted(self.text))
    }

    fn at(&self, rest: &str, element: &str) -> String {
        let (text, layout) = (quoted(self.text), quoted(self.layout));
        format!(
            "parsing time {text} as {layout}: cannot parse {} as {}",
            quoted(rest),
            quoted(element)
        )
    }

    fn literal(&mut self, literal: &str) -> Result<(), String> {
        self.rest = self.rest.strip_prefix(literal).ok_or_else(|| self.at(self.rest, literal))?;
        Ok(())
    }

    fn digits(&mut self, count: usize, element: &str) -> Result<i64, String> {
        let digits = self.rest.get(..count).filter(|digits| all_digits(digits));
        let number = digits.and_then(|digits| digits.parse().ok());
        let number = number.ok_or_else(|| self.at(self.rest, element))?;
        self.rest = &self.rest[count..];
        Ok(number)
    }

    fn ranged(&mut self, element: &str, min: i64, max: i64, name: &str) -> Result<i64, String> {
        let number = self.digits(2, element)?;
        if (min..=max).contains(&number) {
            return Ok(number);
        }
        Err(self.plain(&format!("{name} out of range")))
    }

    /// Compat: Go takes an hour of one digit.
    fn hour(&mut self) -> Result<i64, String> {
        let count = self.rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
        let number = self.digits(count.max(1), "15")?;
        if number < 24 { Ok(number) } else { Err(self.plain("hour out of range")) }
    }

    fn six_digits(&mut self) -> Result<u32, String> {
        let wrong = || self.at(self.rest, ".000000");
        let fraction = self.rest.get(..7).ok_or_else(wrong)?;
        let digits = fraction.strip_prefix(['.', ',']).filter(|digits| all_digits(digits));
        let micros: u32 = digits.and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
        self.rest = &self.rest[7..];
        Ok(micros * 1000)
    }

    /// Compat: Go takes a fraction that the layout does not name, of any length.
    fn any_digits(&mut self) -> u32 {
        let Some(fraction) = self.rest.strip_prefix(['.', ',']) else { return 0 };
        let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 {
            return 0;
        }
        self.rest = &fraction[count..];
        let nine = fraction[..count].bytes().chain(std::iter::repeat(b'0')).take(9);
        nine.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'))
    }

    fn zone(&mut self) -> Result<i64, String> {
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(0);
        }
        let wrong = || self.at(self.rest, "Z07:00");
        let zone = self.rest.get(..6).ok_or_else(wrong)?;
        let sign = match zone.as_bytes()[0] {
            b'+' => 1,
            b'-' => -1,
            _ => return Err(wrong()),
        };
        let (hours, minutes) = zone[1..].split_once(':').ok_or_else(wrong)?;
        if !all_digits(hours) || !all_digits(minutes) || hours.len() != 2 {
            return Err(wrong());
        }
        let number = |text: &str| text.parse::<i64>().map_err(|_| wrong());
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        if hours > 24 {
            return Err(self.plain("time zone offset hour out of range"));
        }
        if minutes > 60 {
            return Err(self.plain("time zone offset minute out of range"));
        }
        self.rest = &self.rest[6..];
        Ok(sign * (hours * 3600 + minutes * 60))
    }
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Compat: Go's package time quotes by bytes.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..=b'~' | 0x7f => quoted.push(char::from(byte)),
            _ => quoted.push_str(&format!("\\x{byte:02x}")),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_in_whole_seconds_of_utc() {
        for (text, printed) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            ("2026-01-02T03:04:05.999+02:00", "2026-01-02T01:04:05Z"),
            ("2026-01-02T3:04:05Z", "2026-01-02T03:04:05Z"),
            ("2024-02-29T23:59:59-01:30", "2024-03-01T01:29:59Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
            ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"),
            ("2026-01-02T03:04:05,5Z", "2026-01-02T03:04:05Z"),
        ] {
            assert_eq!(Time::parse(text).map(Time::to_seconds_text), Ok(printed.to_owned()));
        }
        assert_eq!(Time::parse("0001-01-01T00:00:00Z"), Ok(Time::ZERO));
        let micros = Time::parse_micros("2026-01-02T03:04:05.678912+02:00").expect("a time");
        assert_eq!(micros.to_micros_text(), "2026-01-02T01:04:05.678912Z");
    }

    /// What kube-apiserver 1.37.0 answered for each.
    #[test]
    fn what_is_no_time_is_refused_in_the_words_of_go() {
        let cannot = |text: &str, rest: &str, element: &str| {
            format!(
                "parsing time \"{text}\" as \"{SECONDS}\": cannot parse \"{rest}\" as \"{element}\""
            )
        };
        for (text, rest, element) in [
            ("", "", "2006"),
            ("x", "x", "2006"),
            ("2026-01-02", "", "T"),
            ("2026-01-02T03:04:05", "", "Z07:00"),
            ("2026-01-02t03:04:05z", "t03:04:05z", "T"),
            (" 2026-01-02T03:04:05Z", " 2026-01-02T03:04:05Z", "2006"),
        ] {
            assert_eq!(Time::parse(text), Err(cannot(text, rest, element)));
        }
        for (text, what) in [
            ("2026-13-02T03:04:05Z", "month out of range"),
            ("2026-01-02T25:04:05Z", "hour out of range"),
            ("2026-02-30T03:04:05Z", "day out of range"),
            ("2026-01-02T03:04:05+25:00", "time zone offset hour out of range"),
            ("2026-01-02T03:04:05Zx", "extra text: \"x\""),
        ] {
            assert_eq!(Time::parse(text), Err(format!("parsing time \"{text}\": {what}")));
        }
    }

    /// What kube-apiserver 1.37.0 answered for each.
    #[test]
    fn a_micro_time_has_six_digits() {
        for (text, rest, element) in [
            ("2026-01-02T03:04:05Z", "Z", ".000000"),
            ("2026-01-02T03:04:05.67Z", ".67Z", ".000000"),
            ("2026-01-02T03:04:05.678912345+02:00", "345+02:00", "Z07:00"),
        ] {
            let error = Time::parse_micros(text).expect_err(text);
            let expected = format!(
                "parsing time \"{text}\" as \"{MICROS}\": cannot parse \"{rest}\" as \"{element}\""
            );
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn texts_that_are_not_ascii_are_refused_without_a_panic() {
        for text in ["é", "2026-01-02Té", "2026-01-02T03:04:05é1:00", "2026-01-02T03:04:05+é:000"]
        {
            assert!(Time::parse(text).is_err() && Time::parse_micros(text).is_err(), "{text}");
        }
    }
}
