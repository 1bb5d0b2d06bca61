//! The files of a log, and their names.
//!
//! ```text
//! <number of the file, 16 hexadecimal digits>-<index of its first entry, the same>.wal
//! ```

use crate::error::WalError;

/// What a file's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentName {
    /// Its number; the next file has the next one.
    pub sequence: u64,
    /// Entries with lower indexes lie in the files before it.
    pub first_index: u64,
}

impl SegmentName {
    /// Reads a name. `None`: it is none of the log's, and is passed over as etcd does.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (sequence, first_index) = name.strip_suffix(".wal")?.split_once('-')?;
        let number = |text: &str| match text.len() {
            16 => u64::from_str_radix(text, 16).ok(),
            _ => None,
        };
        Some(Self { sequence: number(sequence)?, first_index: number(first_index)? })
    }
}

/// One file of a log.
#[derive(Debug)]
pub struct Segment<S> {
    /// As it is shown in errors.
    pub shown: String,
    /// What its name says.
    pub name: SegmentName,
    /// Its length. *Units*: bytes.
    pub bytes: u64,
    /// What is in it.
    pub content: S,
}

/// Puts the files in order. *Errors*: there is none, or one in the middle is missing.
pub(crate) fn order<S>(segments: &mut [Segment<S>]) -> Result<(), WalError> {
    segments.sort_by_key(|segment| segment.name);
    if segments.is_empty() {
        return Err(WalError::Files("there is no file of a log".to_owned()));
    }
    for pair in segments.windows(2) {
        if pair[0].name.sequence.checked_add(1) != Some(pair[1].name.sequence) {
            return Err(WalError::Files(format!(
                "a file between {} and {} is missing",
                pair[0].shown, pair[1].shown
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_etcd_writes_them() {
        let name = SegmentName::parse("000000000000000a-0000000000001f40.wal");
        assert_eq!(name, Some(SegmentName { sequence: 10, first_index: 8000 }));
        for other in ["0.tmp", "a-b.wal", "000000000000000a.wal", "", ".wal", "-.wal"] {
            assert_eq!(SegmentName::parse(other), None, "{other}");
        }
    }
}
