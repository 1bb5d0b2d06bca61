//! Counts of tests, read from what programs print: libtest's `test result:` lines and our suites'
//! `suite` lines.

use std::ops::AddAssign;

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed.
    pub(crate) failed: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// The count that a line tells, if it tells one.
pub(crate) fn of_line(line: &str) -> Option<Count> {
    let counts = line
        .strip_prefix("test result: ")
        .and_then(|rest| rest.split_once(". "))
        .or_else(|| line.strip_prefix("suite ").and_then(|rest| rest.split_once(": ")))?
        .1;
    let before = |word: &str| {
        let at = counts.find(word)?;
        counts[..at].trim_end().rsplit([' ', ';', ',']).next()?.parse().ok()
    };
    Some(Count { passed: before("passed")?, failed: before("failed")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_lines_are_counted() {
        let libtest = "test result: ok. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(of_line(libtest), Some(Count { passed: 12, failed: 3 }));
        let suite = "suite crash rounds: 30 passed, 1 failed";
        assert_eq!(of_line(suite), Some(Count { passed: 30, failed: 1 }));
    }

    #[test]
    fn other_lines_are_not() {
        for line in ["", "running 12 tests", "test a_b ... ok", "suite x", "12 passed, 3 failed"] {
            assert_eq!(of_line(line), None, "{line}");
        }
    }
}
