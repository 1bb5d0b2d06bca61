//! Kubernetes' quantities: a decimal number with a suffix, `500m`, `1.5Gi`, `1e3`.
//!
//! Invariant: digits have no leading zero, and none at all for zero; nothing is ever expanded by an
//! exponent, so that a short text cannot become a long number. Compat: what is printed is what
//! `resource.Quantity` prints, also where it keeps the text as it was written.

use std::cmp::Ordering;

/// The smallest part that is kept: 10⁻⁹. What is smaller is rounded up to it.
const NANO: i64 = -9;
/// Digits up to which Kubernetes keeps a text as it was written.
const KEPT_DIGITS_MAX: usize = 18;
/// What a binary quantity is capped at: the largest of 64 bits.
const CAP: &str = "9223372036854775807";

/// Why a text is no quantity, in Kubernetes' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// It does not look like one.
    #[error(
        "quantities must match the regular expression \
         '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Format,
    /// Its suffix is none.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    DecimalSi,
    DecimalExponent,
    BinarySi,
}

/// A quantity: `±digits · 10^exponent`.
#[derive(Clone, Debug)]
pub struct Quantity {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
    form: Form,
    /// The text, where Kubernetes prints it again as it was written.
    kept: Option<String>,
}

impl Quantity {
    /// Reads a text; spaces around it do not count.
    ///
    /// *Errors*: what Kubernetes says of it.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let text = text.trim();
        let parts = Parts::of(text).ok_or(QuantityError::Format)?;
        let (form, exponent) = suffix(parts.suffix).ok_or(QuantityError::Suffix)?;
        let mut digits: Vec<u8> = parts.whole.bytes().chain(parts.fraction.bytes()).collect();
        let kept = text == "0" || is_kept(&parts, &digits, form, exponent);
        let places = i64::try_from(parts.fraction.len()).unwrap_or(i64::MAX);
        let ten_exponent = match form {
            Form::BinarySi => {
                digits = times_1024(&digits, exponent / 10);
                -places
            }
            Form::DecimalSi | Form::DecimalExponent => i64::from(exponent) - places,
        };
        let mut result = Self {
            negative: parts.negative,
            digits,
            exponent: ten_exponent,
            form,
            kept: kept.then(|| text.to_owned()),
        };
        result.trim();
        result.round_away(NANO);
        if form == Form::BinarySi && result.magnitude(&CAP.bytes().collect::<Vec<_>>(), 0).is_gt() {
            result.digits = CAP.bytes().collect();
            result.exponent = 0;
        }
        Ok(result)
    }

    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// Whether it is less than nothing.
    pub fn is_negative(&self) -> bool {
        self.negative && !self.is_zero()
    }

    /// Whether nothing stands behind the point.
    pub fn is_whole(&self) -> bool {
        self.is_zero() || self.exponent >= 0 || self.fraction_is_zero()
    }

    fn fraction_is_zero(&self) -> bool {
        let places = usize::try_from(-self.exponent).unwrap_or(usize::MAX);
        let from = self.digits.len().saturating_sub(places);
        self.digits.len() >= places && self.digits[from..].iter().all(|digit| *digit == b'0')
    }

    /// Rounds away from zero to a multiple of `10^exponent`; says whether it had been one.
    pub fn round_up(&mut self, exponent: i64) -> bool {
        let exact = !self.round_away(exponent);
        if !exact {
            self.kept = None;
        }
        exact
    }

    /// True when something was cut off.
    fn round_away(&mut self, exponent: i64) -> bool {
        if self.is_zero() || self.exponent >= exponent {
            return false;
        }
        let cut = usize::try_from(exponent.saturating_sub(self.exponent)).unwrap_or(usize::MAX);
        let keep = self.digits.len().saturating_sub(cut);
        let lost = self.digits.drain(keep..).fold(false, |any, digit| any | (digit != b'0'));
        self.exponent = exponent;
        if lost {
            increment(&mut self.digits);
        }
        self.trim();
        lost
    }

    fn trim(&mut self) {
        let zeros = self.digits.iter().take_while(|digit| **digit == b'0').count();
        self.digits.drain(..zeros);
    }

    /// Compares the magnitude with that of other digits.
    fn magnitude(&self, digits: &[u8], exponent: i64) -> Ordering {
        match (self.digits.is_empty(), digits.is_empty()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        let top = |digits: &[u8], exponent: i64| {
            i64::try_from(digits.len()).unwrap_or(i64::MAX).saturating_add(exponent)
        };
        let tops = top(&self.digits, self.exponent).cmp(&top(digits, exponent));
        tops.then_with(|| {
            let length = self.digits.len().max(digits.len());
            let padded = |digits: &[u8], at: usize| digits.get(at).copied().unwrap_or(b'0');
            (0..length)
                .map(|at| padded(&self.digits, at).cmp(&padded(digits, at)))
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal)
        })
    }

    /// The canonical form of a decimal: no digits behind the point, an exponent by threes.
    fn decimal(&self, form: Form) -> String {
        let significant =
            self.digits.iter().rposition(|digit| *digit != b'0').map_or(0, |at| at + 1);
        let zeros = i64::try_from(self.digits.len() - significant).unwrap_or(0);
        let mut digits = self.digits[..significant].to_vec();
        let mut exponent = self.exponent.saturating_add(zeros);
        while exponent % 3 != 0 {
            digits.push(b'0');
            exponent -= 1;
        }
        let number = String::from_utf8_lossy(&digits).into_owned();
        match form {
            Form::DecimalExponent if exponent != 0 => format!("{number}e{exponent}"),
            Form::DecimalExponent => number,
            _ => number + decimal_suffix(exponent),
        }
    }

    /// The canonical form of whole bytes: a multiple of the largest power of 1024.
    fn binary(&self) -> Option<String> {
        let whole = self.as_u64()?;
        let mut number = whole;
        let mut suffixes = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].into_iter();
        let mut suffix = "";
        while number >= 1024 && number % 1024 == 0 {
            number /= 1024;
            suffix = suffixes.next().unwrap_or("");
        }
        (whole >= 1024).then(|| format!("{number}{suffix}"))
    }

    /// The magnitude, when it is whole and fits 64 bits.
    fn as_u64(&self) -> Option<u64> {
        if !self.is_whole() {
            return None;
        }
        let end = usize::try_from(self.exponent.min(0).unsigned_abs()).ok()?;
        let digits = &self.digits[..self.digits.len().checked_sub(end)?];
        let start: u64 =
            if digits.is_empty() { 0 } else { std::str::from_utf8(digits).ok()?.parse().ok()? };
        let power = u32::try_from(self.exponent.max(0)).ok()?;
        if start == 0 { Some(0) } else { start.checked_mul(10u64.checked_pow(power)?) }
    }
}

impl std::fmt::Display for Quantity {
    /// As Kubernetes prints it.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(kept) = &self.kept {
            return formatter.write_str(kept);
        }
        if self.is_zero() {
            return formatter.write_str("0");
        }
        let text = match self.form {
            Form::BinarySi => self.binary().unwrap_or_else(|| self.decimal(Form::DecimalSi)),
            form => self.decimal(form),
        };
        if self.negative {
            formatter.write_str("-")?;
        }
        formatter.write_str(&text)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    /// By value: `1000m` equals `1`.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_negative(), other.is_negative()) {
            (false, false) => self.magnitude(&other.digits, other.exponent),
            (true, true) => other.magnitude(&self.digits, self.exponent),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

/// The parts of a text, the number without leading zeros.
struct Parts<'text> {
    negative: bool,
    whole: &'text str,
    fraction: &'text str,
    suffix: &'text str,
}

impl<'text> Parts<'text> {
    fn of(text: &'text str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let negative = text.starts_with('-');
        let number = text.strip_prefix(['-', '+']).unwrap_or(text).trim_start_matches('0');
        let (whole, rest) = split_digits(number);
        let (fraction, suffix) = rest.strip_prefix('.').map_or(("", rest), split_digits);
        let after = suffix.trim_start_matches(|letter| "eEinumkKMGTP".contains(letter));
        let exponent = after.strip_prefix(['-', '+']).unwrap_or(after);
        let whole = if whole.is_empty() { "0" } else { whole };
        exponent.bytes().all(|byte| byte.is_ascii_digit()).then_some(Self {
            negative,
            whole,
            fraction,
            suffix,
        })
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// The form of a suffix and its exponent: of ten, or of two for binary ones.
fn suffix(text: &str) -> Option<(Form, i32)> {
    let decimal = |exponent| Some((Form::DecimalSi, exponent));
    let binary = |exponent| Some((Form::BinarySi, exponent));
    match text {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => {
            let exponent: i64 = text.strip_prefix(['e', 'E'])?.parse().ok()?;
            // Compat: Kubernetes cuts the exponent to 32 bits.
            #[expect(clippy::cast_possible_truncation, reason = "as Kubernetes cuts it")]
            let exponent = exponent as i32;
            Some((Form::DecimalExponent, exponent))
        }
    }
}

/// Compat: beyond the suffixes there are, Kubernetes prints none.
fn decimal_suffix(exponent: i64) -> &'static str {
    match exponent {
        -9 => "n",
        -6 => "u",
        -3 => "m",
        3 => "k",
        6 => "M",
        9 => "G",
        12 => "T",
        15 => "P",
        18 => "E",
        _ => "",
    }
}

/// Compat: whether Kubernetes takes a text for canonical already, by a rule of thumb.
fn is_kept(parts: &Parts<'_>, digits: &[u8], form: Form, exponent: i32) -> bool {
    match form {
        Form::BinarySi => {
            let used = parts.whole.len() + usize::try_from(exponent * 3 / 10).unwrap_or(0) + 1;
            let number: Option<u64> = parts.whole.parse().ok();
            let fits = |number: u64| {
                let product = number.checked_mul(1 << exponent);
                number & 7 != 0 && product.is_some_and(|product| i64::try_from(product).is_ok())
            };
            parts.fraction.is_empty() && used <= 15 && number.is_some_and(fits)
        }
        Form::DecimalSi | Form::DecimalExponent => {
            let places = i64::try_from(parts.fraction.len()).unwrap_or(i64::MAX);
            let scale = i64::from(exponent).saturating_sub(places);
            digits.len() <= KEPT_DIGITS_MAX
                && scale >= NANO
                && scale % 3 == 0
                && !digits.ends_with(b"000")
                && digits.first() != Some(&b'0')
        }
    }
}

/// Digits times `1024^times`, without a machine number's limits.
fn times_1024(digits: &[u8], times: i32) -> Vec<u8> {
    let mut result = digits.to_vec();
    for _ in 0..times {
        let mut carry = 0u32;
        for digit in result.iter_mut().rev() {
            let product = u32::from(*digit - b'0') * 1024 + carry;
            *digit = b'0' + u8::try_from(product % 10).unwrap_or(0);
            carry = product / 10;
        }
        let mut front = carry.to_string().into_bytes();
        front.append(&mut result);
        result = front;
    }
    result
}

fn increment(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit != b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
    digits.insert(0, b'1');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What kube-apiserver 1.37.0 answered for each.
    const PRINTED: &[(&str, &str)] = &[
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1", "1"),
        ("1.5", "1500m"),
        ("1.5Gi", "1536Mi"),
        ("1e3", "1e3"),
        ("1000", "1k"),
        ("1000k", "1M"),
        ("1024", "1024"),
        ("1024Ki", "1Mi"),
        ("+1", "+1"),
        ("1n", "1n"),
        ("0.1n", "1n"),
        ("-0.1n", "-1n"),
        ("-1.5Gi", "-1536Mi"),
        ("1.1111111111111", "1111111112n"),
        ("1e31", "10e30"),
        ("1000E", "1"),
        ("1e-10", "1e-9"),
        ("1e-9", "1e-9"),
        ("1.0000000000000000001", "1000000001n"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("1.000001Gi", "1073742897741824u"),
        ("0.5Mi", "512Ki"),
        ("0.00000000001", "1n"),
        ("10000000000000000000Ki", "9223372036854775807"),
        ("10Ei", "9223372036854775807"),
        ("16Ki", "16Ki"),
        ("1048576Ki", "1Gi"),
        ("1e400", "10e399"),
        ("1e401", "100e399"),
        ("12E", "12E"),
        ("1.5E", "1500P"),
        ("1.5E2", "150"),
        ("0.001", "1m"),
        ("e3", "0"),
        ("m", "0"),
        ("-", "0"),
        (".", "0"),
        ("0e3", "0"),
        ("1e+3", "1e+3"),
        ("1e03", "1e03"),
        ("1024.5Ki", "1049088"),
        ("100000e0", "100e3"),
        ("1.Gi", "1.Gi"),
        (" 1 ", "1"),
        ("00.5", "500m"),
        ("0.1Ki", "102400m"),
        ("1e1", "10"),
        ("0", "0"),
    ];

    #[test]
    fn a_quantity_is_printed_as_kubernetes_prints_it() {
        for (text, printed) in PRINTED {
            let quantity = Quantity::parse(text).expect(text);
            assert_eq!(quantity.to_string(), *printed, "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused_in_kubernetes_words() {
        for text in ["", "1 Gi", "1.5.5", "x", "1e3e"] {
            assert_eq!(Quantity::parse(text).expect_err(text), QuantityError::Format, "{text}");
        }
        for text in ["1e", "1Kii", "1ee5", "1e99999999999999999999", "1mm", "--1"] {
            assert_eq!(Quantity::parse(text).expect_err(text), QuantityError::Suffix, "{text}");
        }
    }

    #[test]
    fn quantities_are_ordered_by_value() {
        let ordered =
            ["-1Gi", "-1", "0", "1n", "1m", "999m", "1", "1.5", "1Ki", "1M", "1Gi", "1e400"];
        let parsed: Vec<Quantity> =
            ordered.iter().map(|text| Quantity::parse(text).expect(text)).collect();
        assert!(parsed.is_sorted_by(|a, b| a < b), "{parsed:?}");
        let same = |a: &str, b: &str| Quantity::parse(a).ok() == Quantity::parse(b).ok();
        assert!(same("1000m", "1") && same("1Ki", "1024") && same("0", "-0"));
    }

    #[test]
    fn rounding_goes_away_from_zero_and_forgets_the_text() {
        let mut quantity = Quantity::parse("1.0000001").expect("a quantity");
        assert!(!quantity.round_up(-3));
        assert_eq!(quantity.to_string(), "1001m");
        assert!(quantity.round_up(-3));
        assert!(!quantity.is_whole() && !quantity.is_negative());
    }
}
