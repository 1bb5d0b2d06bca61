//! The ways of naming a range of keys, and ids in hexadecimal.
//!
//! Must not know: what is done with the range.

use clap::Args;

use crate::ToolError;

/// A key, a range, a prefix, or everything from a key on.
#[derive(Debug, Args)]
pub(crate) struct Range {
    /// The key, or the first key of the range.
    pub(crate) key: String,
    /// The first key beyond the range.
    #[arg(conflicts_with_all = ["prefix", "from_key"])]
    range_end: Option<String>,
    /// Every key that starts with KEY.
    #[arg(long, conflicts_with = "from_key")]
    prefix: bool,
    /// Every key at or after KEY.
    #[arg(long)]
    from_key: bool,
}

impl Range {
    /// Whether one key is named, not a range.
    pub(crate) fn is_one_key(&self) -> bool {
        self.range_end.is_none() && !self.prefix && !self.from_key
    }

    /// Key and range end as requests have them.
    ///
    /// *Errors*: `Usage` when two ways are mixed, as a line of a transaction can.
    pub(crate) fn ends(&self) -> Result<(Vec<u8>, Vec<u8>), ToolError> {
        ends(&self.key, self.range_end.as_deref(), self.prefix, self.from_key)
    }
}

/// Key and range end for the four ways of naming a range.
pub(crate) fn ends(
    key: &str,
    range_end: Option<&str>,
    prefix: bool,
    from_key: bool,
) -> Result<(Vec<u8>, Vec<u8>), ToolError> {
    if usize::from(prefix) + usize::from(from_key) + usize::from(range_end.is_some()) > 1 {
        let text = "RANGE_END, --prefix and --from-key exclude each other";
        return Err(ToolError::Usage(text.to_owned()));
    }
    // Compat: etcd refuses an empty key, so "everything" starts at the smallest key there is.
    let start = |key: &str| if key.is_empty() { vec![0] } else { key.as_bytes().to_vec() };
    Ok(match (prefix, from_key, range_end) {
        (true, _, _) => (start(key), prefix_end(key.as_bytes())),
        (_, true, _) => (start(key), vec![0]),
        (_, _, Some(end)) => (key.as_bytes().to_vec(), end.as_bytes().to_vec()),
        _ => (key.as_bytes().to_vec(), Vec::new()),
    })
}

/// The end of the range that a prefix names: the prefix with its last byte below 0xff raised, or
/// `\0`.
pub(crate) fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

/// A lease id as etcdctl prints and reads it: hexadecimal without a prefix.
pub(crate) fn parse_lease_id(text: &str) -> Result<i64, String> {
    i64::from_str_radix(text, 16).map_err(|_| format!("bad lease ID {text:?}, expecting ID in Hex"))
}

/// A member id, hexadecimal too.
pub(crate) fn parse_member_id(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16)
        .map_err(|_| format!("bad member ID {text:?}, expecting ID in Hex"))
}

#[cfg(test)]
mod tests {
    use super::{ends, parse_lease_id, parse_member_id, prefix_end};

    #[test]
    fn a_range_is_named_in_one_way_only() {
        assert!(ends("a", Some("b"), true, false).is_err());
        assert_eq!(ends("a", None, true, false).ok(), Some((b"a".to_vec(), b"b".to_vec())));
        assert_eq!(ends("", None, true, false).ok(), Some((vec![0], vec![0])));
        assert_eq!(ends("a", None, false, true).ok(), Some((b"a".to_vec(), vec![0])));
    }

    #[test]
    fn the_end_of_a_prefix_is_its_successor() {
        assert_eq!(prefix_end(b"ab"), b"ac");
        assert_eq!(prefix_end(b"a\xff"), b"b");
        assert_eq!(prefix_end(b"\xff\xff"), b"\0");
        assert_eq!(prefix_end(b""), b"\0");
    }

    #[test]
    fn ids_are_hexadecimal() {
        assert_eq!(parse_lease_id("7f"), Ok(127));
        assert!(parse_lease_id("xyz").is_err());
        assert_eq!(parse_member_id("a759d8e1c4eeb940"), Ok(0xa759_d8e1_c4ee_b940));
        assert!(parse_member_id("-1").is_err());
    }
}
