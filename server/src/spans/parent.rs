//! What a caller says of its own span: W3C's `traceparent` and `tracestate`.
//! Must not know: calls, spans of ours.

use http::{HeaderMap, HeaderName};

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");
/// What lists of vendors may be as long as. *Source*: W3C Trace Context.
const STATE_BYTES_MAX: usize = 512;

/// The caller's span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace_id: u128,
    pub(super) span_id: u64,
    /// Whether the caller tells of it, and wants us to.
    pub(super) is_sampled: bool,
    /// For others who trace.
    pub(super) state: String,
}

impl Parent {
    /// *Shape*: none without a `traceparent`, and for one that is none.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let (trace_id, span_id, is_sampled) = read(headers.get(PARENT)?.as_bytes())?;
        let state = headers.get(STATE).and_then(|state| state.to_str().ok());
        let state = state.filter(|state| state.len() <= STATE_BYTES_MAX).unwrap_or_default();
        Some(Parent { trace_id, span_id, is_sampled, state: state.to_owned() })
    }
}

/// `version-trace id-span id-flags`, in lower-case hexadecimal digits; later versions may say more.
fn read(text: &[u8]) -> Option<(u128, u64, bool)> {
    let (head, rest) = text.split_at_checked(55)?;
    let separated = [2, 35, 52].iter().all(|at| head[*at] == b'-');
    let version = hex(&head[..2])?;
    let ends = rest.is_empty() || version > 0 && rest.starts_with(b"-");
    if !separated || version == 0xff || !ends {
        return None;
    }
    let (trace_id, span_id) = (hex(&head[3..35])?, hex(&head[36..52])?);
    let flags = hex(&head[53..])?;
    let span_id = u64::try_from(span_id).ok()?;
    (trace_id != 0 && span_id != 0).then_some((trace_id, span_id, flags & 1 != 0))
}

fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'9' => Some(number << 4 | u128::from(digit - b'0')),
        b'a'..=b'f' => Some(number << 4 | u128::from(digit - b'a' + 10)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_read_as_w3c_writes_them_and_nothing_else_is_one() {
        let of = |text: &str| read(text.as_bytes());
        let (trace, span) = (0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, 0xb7ad_6b71_6920_3331);
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(of(good), Some((trace, span, true)));
        assert_eq!(of(&good.replace("-01", "-00")), Some((trace, span, false)));
        assert_eq!(of(&good.replace("-01", "-03")), Some((trace, span, true)));
        let later = good.replacen("00-", "cc-", 1) + "-more";
        assert_eq!(of(&later), Some((trace, span, true)));
        let bad = [
            String::new(),
            good[..54].to_owned(),
            good.to_owned() + "-more",
            good.replacen("00-", "ff-", 1),
            good.to_uppercase(),
            good.replace('-', "_"),
            good.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            good.replace("b7ad6b7169203331", &"0".repeat(16)),
            good.replace("-01", "-0x"),
        ];
        for text in bad {
            assert_eq!(of(&text), None, "{text}");
        }
    }
}
