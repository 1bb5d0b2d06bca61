//! Quantities (`100m`, `1.5Gi`, `2e3`) as numbers that can be compared and added.
//!
//! *Units*: billionths of one, rounded up; what is beyond is saturated. Must not know: how a
//! quantity is printed (typed normalisation does that), and what it counts.

use schema::Value;

/// A quantity in billionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Quantity(i128);

const ONE: i128 = 1_000_000_000;

impl Quantity {
    pub(crate) const ZERO: Quantity = Quantity(0);

    /// The quantity of a JSON string or number; `None` when it is none.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }

    /// The quantity that a text says.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = unsigned
            .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && part.is_empty()) || part.contains('.') {
            return None;
        }
        let billionths = scaled(whole, part, Scale::of(suffix)?)?;
        Some(Quantity(if negative { -billionths } else { billionths }))
    }

    /// Whether it is less than zero.
    pub(crate) fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Whether it is a whole number.
    pub(crate) fn is_whole(self) -> bool {
        self.0 % ONE == 0
    }
}

/// What a suffix multiplies by: a power of two or a power of ten.
enum Scale {
    Binary(u32),
    Decimal(i32),
}

impl Scale {
    fn of(suffix: &str) -> Option<Self> {
        Some(match suffix {
            "" => Self::Decimal(0),
            "n" => Self::Decimal(-9),
            "u" => Self::Decimal(-6),
            "m" => Self::Decimal(-3),
            "k" => Self::Decimal(3),
            "M" => Self::Decimal(6),
            "G" => Self::Decimal(9),
            "T" => Self::Decimal(12),
            "P" => Self::Decimal(15),
            "E" => Self::Decimal(18),
            "Ki" => Self::Binary(10),
            "Mi" => Self::Binary(20),
            "Gi" => Self::Binary(30),
            "Ti" => Self::Binary(40),
            "Pi" => Self::Binary(50),
            "Ei" => Self::Binary(60),
            _ => Self::Decimal(suffix.strip_prefix(['e', 'E'])?.parse().ok()?),
        })
    }
}

/// Digits before and after the point, times the scale, in billionths rounded up.
fn scaled(whole: &str, part: &str, scale: Scale) -> Option<i128> {
    let digits: String = whole.chars().chain(part.chars()).take(30).collect();
    let mantissa: i128 = digits.parse().ok()?;
    let (multiplier, power) = match scale {
        Scale::Binary(bits) => (1i128 << bits, 9 - i32::try_from(part.len()).ok()?),
        Scale::Decimal(ten) => (1, ten.checked_add(9)? - i32::try_from(part.len()).ok()?),
    };
    let value = mantissa.saturating_mul(multiplier);
    if power >= 0 {
        let factor = 10i128.checked_pow(power.unsigned_abs()).unwrap_or(i128::MAX);
        return Some(value.saturating_mul(factor));
    }
    match 10i128.checked_pow(power.unsigned_abs()) {
        Some(divisor) => Some(value / divisor + i128::from(value % divisor != 0)),
        None => Some(i128::from(value != 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_quantities_compare_equal_however_written() {
        for (one, other) in [
            ("1", "1000m"),
            ("1Ki", "1024"),
            ("1.5Gi", "1536Mi"),
            ("2e3", "2k"),
            ("0.1", "100m"),
            ("-1", "-1000m"),
            ("+5", "5.0"),
        ] {
            assert_eq!(Quantity::parse(one), Quantity::parse(other), "{one} {other}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_none() {
        for text in ["", "-", "m", "1.2.3", "1kb", "1 G", "e3", "1e", "."] {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }

    #[test]
    fn order_is_by_size() {
        let parse = |text| Quantity::parse(text).expect("a quantity");
        assert!(parse("100m") < parse("1"));
        assert!(parse("1Gi") > parse("1G"));
        assert!(parse("-1m").is_negative());
        assert!(!parse("1500m").is_whole() && parse("2000m").is_whole());
        assert!(parse("9e400") > parse("1Ei"), "beyond all is saturated");
    }
}
