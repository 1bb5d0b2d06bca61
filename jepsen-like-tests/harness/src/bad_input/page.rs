//! The sixty cases as a page, and what keeps table, page and checks together.
//!
//! Must not know: how a check works.

use super::rows::{self, Check};
use super::services;

/// The page, as `docs/compatibility/bad-input.md` has it; a test holds the file against it.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Bad input\n\n\
         Sixty ways to be wrong, and what each is answered with. Generated from \
         `jepsen-like-tests/harness/src/bad_input/rows.rs`; a\n\
         test compares them, and fails when a row names a check that does not exist.\n\n\
         *Suite* is the stage `bad input` of `make test` (`engram-harness bad-input`), on real \
         binaries: each of its checks also\n\
         looks whether the member lives, whether its pairs are the same, whether its memory \
         stayed below its bound and whether its\n\
         log is free of panics. Where the real etcd can be asked the same, it is, and \
         the answers are compared; where ours is\n\
         another on purpose, [Differences](differences.md) says why.\n\n\
         | | input | answer | does not change | checks |\n|---|---|---|---|---|\n",
    );
    for row in rows::all() {
        let checks: Vec<String> = row.checks.iter().map(|check| shown(row.number, check)).collect();
        let cells = [row.input, row.answer, row.unchanged].map(|cell| cell.replace('|', "\\|"));
        page.push_str(&format!(
            "| {} | {} | {} | {} | {} |\n",
            row.number,
            cells[0],
            cells[1],
            cells[2],
            checks.join("; ").replace('|', "\\|")
        ));
    }
    page
}

fn shown(number: u8, check: &Check) -> String {
    match check {
        Check::Services => {
            let names = services::names().into_iter().filter(|(row, _)| *row == number);
            let names: Vec<_> = names.map(|(_, name)| name).collect();
            format!("suite: {}", names.join(", "))
        }
        Check::Suite(name) => format!("suite: {name}"),
        Check::Test(file, name) => format!("`{name}` ({file})"),
        Check::Case(suite, file, name) => {
            format!("{suite}: `{}` ({file})", name.trim_start_matches("== "))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Check, page, rows, services};

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    fn text(path: &str) -> String {
        std::fs::read_to_string(root().join(path)).unwrap_or_default()
    }

    /// The sources of this suite but for the table itself.
    fn own_sources() -> String {
        let folder = root().join("jepsen-like-tests/harness/src/bad_input");
        let files = std::fs::read_dir(folder).expect("the folder of this file");
        let files = files.map(|file| file.expect("an entry").path());
        let files = files.filter(|file| !file.to_string_lossy().contains("rows"));
        files.map(|file| std::fs::read_to_string(file).expect("text")).collect()
    }

    #[test]
    fn every_number_has_its_row_and_every_row_its_checks() {
        let numbers: Vec<u8> = rows::all().map(|row| row.number).collect();
        assert_eq!(numbers, (1..=60).collect::<Vec<u8>>());
        let (sources, names) = (own_sources(), services::names());
        for row in rows::all() {
            assert!(!row.checks.is_empty(), "row {} has no check", row.number);
            for check in row.checks {
                let exists = match check {
                    Check::Services => names.iter().any(|(number, _)| *number == row.number),
                    Check::Suite(name) => sources.contains(&format!("\"{name}\"")),
                    Check::Test(file, name) => text(file).contains(&format!("fn {name}(")),
                    Check::Case(_, file, words) => text(file).contains(words),
                };
                assert!(exists, "row {}: {check:?} does not exist", row.number);
            }
        }
    }

    #[test]
    fn the_page_of_bad_input_is_generated_from_the_table() {
        let path = "docs/compatibility/bad-input.md";
        assert!(text(path) == page(), "write this into {path}:\n{}", page());
    }
}
