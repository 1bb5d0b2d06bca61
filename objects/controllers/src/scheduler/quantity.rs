//! Kubernetes' quantities as numbers.
//!
//! Invariant: amounts are thousandths, rounded up: what a pod asks for is never taken for less.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// An amount of something, in thousandths: millicores, or thousandths of a byte.
pub type Amount = i128;

/// What a quantity says, in thousandths; zero for text that is none (a server lets none through).
/// *Source*: Kubernetes' `resource.Quantity`: decimal, binary and exponent suffixes.
pub fn parse(quantity: &Quantity) -> Amount {
    amount(quantity.0.trim()).unwrap_or(0)
}

fn amount(text: &str) -> Option<Amount> {
    let end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (multiplier, divisor) = scale(suffix)?;
    let (negative, digits) = match number.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // Beyond twelve places nothing changes in thousandths of any unit that is asked for.
    let fraction = &fraction[..fraction.len().min(12)];
    let unscaled: Amount = format!("0{whole}{fraction}").parse().ok()?;
    let below = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let above = unscaled.checked_mul(multiplier)?.checked_mul(1000)?;
    let below = below.checked_mul(divisor)?;
    let thousandths = above / below + Amount::from(above % below != 0);
    Some(if negative { -thousandths } else { thousandths })
}

/// What a suffix multiplies and divides by.
fn scale(suffix: &str) -> Option<(Amount, Amount)> {
    let power = |base: Amount, exponent: u32| Some((base.checked_pow(exponent)?, 1));
    match suffix {
        "" => Some((1, 1)),
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1000)),
        "k" => power(1000, 1),
        "M" => power(1000, 2),
        "G" => power(1000, 3),
        "T" => power(1000, 4),
        "P" => power(1000, 5),
        "E" => power(1000, 6),
        "Ki" => power(1024, 1),
        "Mi" => power(1024, 2),
        "Gi" => power(1024, 3),
        "Ti" => power(1024, 4),
        "Pi" => power(1024, 5),
        "Ei" => power(1024, 6),
        other => {
            let exponent: i32 = other.strip_prefix(['e', 'E'])?.parse().ok()?;
            let factor = 10_i128.checked_pow(exponent.unsigned_abs())?;
            Some(if exponent < 0 { (1, factor) } else { (factor, 1) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_is_read_and_fractions_are_rounded_up() {
        let cases: [(&str, Amount); 14] = [
            ("1", 1000),
            ("100m", 100),
            ("1.5", 1500),
            (".5", 500),
            ("2Gi", 2 * 1024 * 1024 * 1024 * 1000),
            ("1k", 1_000_000),
            ("1e3", 1_000_000),
            ("1E-3", 1),
            ("12E2", 1_200_000),
            ("1n", 1),
            ("1500u", 2),
            ("-1", -1000),
            ("+3", 3000),
            ("1E", 1_000_000_000_000_000_000_000),
        ];
        for (text, thousandths) in cases {
            assert_eq!(parse(&Quantity(text.to_owned())), thousandths, "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_nothing() {
        for text in ["", "x", "1x", ".", "1e", "99999999999999999999999999999999999999999E", "1e99"]
        {
            assert_eq!(parse(&Quantity(text.to_owned())), 0, "{text}");
        }
    }
}
