//! Cron lines: five fields or a word such as `@daily`. Checked here, followed elsewhere.
//!
//! The words for what is wrong are those of the parser that Kubernetes uses.
//! Must not know: the time.

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A field of a line: what its numbers may be, and names for them, the first being `min`.
struct Field {
    min: u64,
    max: u64,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { min: 0, max: 59, names: &[] },
    Field { min: 0, max: 23, names: &[] },
    Field { min: 1, max: 31, names: &[] },
    Field { min: 1, max: 12, names: &MONTHS },
    Field { min: 0, max: 6, names: &DAYS },
];

const WORDS: [&str; 7] =
    ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// Whether a line is a schedule.
///
/// *Errors*: what is wrong with it.
pub(super) fn check(line: &str) -> Result<(), String> {
    if line.is_empty() {
        return Err("empty spec string".to_owned());
    }
    let mut rest = line;
    if let Some(zoned) = line.strip_prefix("TZ=").or_else(|| line.strip_prefix("CRON_TZ=")) {
        let (zone, after) = zoned.split_once(' ').unwrap_or((zoned, ""));
        if !is_zone(zone) {
            return Err(format!("provided bad location {zone}: unknown time zone {zone}"));
        }
        rest = after.trim();
    }
    if rest.starts_with('@') {
        return word(rest);
    }
    let fields: Vec<&str> = rest.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        let (count, shown) = (fields.len(), fields.join(" "));
        return Err(format!("expected exactly 5 fields, found {count}: [{shown}]"));
    }
    for (text, field) in fields.into_iter().zip(&FIELDS) {
        // Compat: commas with nothing between them are let through.
        for part in text.split(',').filter(|part| !part.is_empty()) {
            field.check(part)?;
        }
    }
    Ok(())
}

fn word(text: &str) -> Result<(), String> {
    if WORDS.contains(&text) {
        return Ok(());
    }
    let Some(duration) = text.strip_prefix("@every ") else {
        return Err(format!("unrecognized descriptor: {text}"));
    };
    if is_duration(duration) {
        return Ok(());
    }
    let why = format!("time: invalid duration \"{duration}\"");
    Err(format!("failed to parse duration {text}: {why}"))
}

/// Whether a text is a duration as Go writes it, `1h30m` or `1.5s`.
fn is_duration(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    if text == "0" {
        return true;
    }
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
        let Some(end) = end.filter(|end| rest[..*end].bytes().any(|byte| byte.is_ascii_digit()))
        else {
            return false;
        };
        let after = &rest[end..];
        let units = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"];
        let unit = units.iter().filter(|unit| after.starts_with(**unit)).max_by_key(|it| it.len());
        let Some(unit) = unit else { return false };
        rest = &after[unit.len()..];
    }
    !text.is_empty()
}

impl Field {
    /// `*`, a number, a range, each with a step: `1-30/5`.
    fn check(&self, expression: &str) -> Result<(), String> {
        let parts: Vec<&str> = expression.split('/').collect();
        let ends: Vec<&str> = parts[0].split('-').collect();
        let all = matches!(ends[0], "*" | "?");
        let (start, mut end) = if all {
            (self.min, self.max)
        } else {
            let start = self.number(ends[0])?;
            match ends.len() {
                1 => (start, start),
                2 => (start, self.number(ends[1])?),
                _ => return Err(format!("too many hyphens: {expression}")),
            }
        };
        let step = match parts.len() {
            1 => 1,
            2 => {
                let step = integer(parts[1])?;
                if ends.len() == 1 && !all {
                    end = self.max;
                }
                step
            }
            _ => return Err(format!("too many slashes: {expression}")),
        };
        self.bounds(start, end, step, expression)
    }

    fn bounds(&self, start: u64, end: u64, step: u64, expression: &str) -> Result<(), String> {
        let Field { min, max, .. } = self;
        if start < *min {
            return Err(format!(
                "beginning of range ({start}) below minimum ({min}): {expression}"
            ));
        }
        if end > *max {
            return Err(format!("end of range ({end}) above maximum ({max}): {expression}"));
        }
        if start > end {
            let words = "beyond end of range";
            return Err(format!("beginning of range ({start}) {words} ({end}): {expression}"));
        }
        if step == 0 {
            return Err(format!("step of range should be a positive number: {expression}"));
        }
        Ok(())
    }

    fn number(&self, text: &str) -> Result<u64, String> {
        let lower = text.to_lowercase();
        match self.names.iter().position(|name| *name == lower) {
            Some(index) => Ok(self.min + index as u64),
            None => integer(text),
        }
    }
}

fn integer(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let why = format!("strconv.Atoi: parsing \"{text}\": invalid syntax");
        return Err(format!("failed to parse int from {text}: {why}"));
    }
    match text.parse::<i64>() {
        Ok(number) if number < 0 => Err(format!("negative number ({number}) not allowed: {text}")),
        Ok(number) => Ok(number.unsigned_abs()),
        Err(_) => {
            let why = format!("strconv.Atoi: parsing \"{text}\": value out of range");
            Err(format!("failed to parse int from {text}: {why}"))
        }
    }
}

/// Areas of the time zone names, and names without an area.
const ZONE_AREAS: [&str; 15] = [
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Brazil",
    "Canada",
    "Chile",
    "Etc",
    "Europe",
    "Indian",
    "Mexico",
    "Pacific",
];
const ZONES: [&str; 45] = [
    "CET",
    "CST6CDT",
    "Cuba",
    "EET",
    "EST",
    "EST5EDT",
    "Egypt",
    "Eire",
    "Factory",
    "GB",
    "GB-Eire",
    "GMT",
    "GMT+0",
    "GMT-0",
    "GMT0",
    "Greenwich",
    "HST",
    "Hongkong",
    "Iceland",
    "Iran",
    "Israel",
    "Jamaica",
    "Japan",
    "Kwajalein",
    "Libya",
    "MET",
    "MST",
    "MST7MDT",
    "NZ",
    "NZ-CHAT",
    "Navajo",
    "PRC",
    "PST8PDT",
    "Poland",
    "Portugal",
    "ROC",
    "ROK",
    "Singapore",
    "Turkey",
    "UCT",
    "UTC",
    "Universal",
    "W-SU",
    "WET",
    "Zulu",
];

/// Whether a name can be that of a time zone: the data base of zones is not carried along, so that
/// a well-formed name in a known area counts.
pub(super) fn is_zone(name: &str) -> bool {
    match name.split_once('/') {
        None => name.is_empty() || ZONES.contains(&name),
        Some((area, place)) => {
            (ZONE_AREAS.contains(&area) || area == "US")
                && place.starts_with(|letter: char| letter.is_ascii_uppercase())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_schedules_are_taken() {
        for line in [
            "* * * * *",
            "*/5 0-6,12 1 jan-Mar ?",
            "@daily",
            "@every 1h30m",
            "0 0 * * SUN",
            "1,2, * * * *",
        ] {
            assert_eq!(check(line), Ok(()), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        for (line, fault) in [
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("@often", "unrecognized descriptor: @often"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ] {
            assert_eq!(check(line), Err(fault.to_owned()), "{line}");
        }
    }
}
