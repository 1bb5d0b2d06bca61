//! The pages of compatibility name suites and tests as what shows a row: whether those are there.
//!
//! A proof is a word in backticks: `suite NAME`, which `stages.rs` runs, or `folder/file::test`, a
//! function of a file whose path ends so. Must not know: what the rows say.

use crate::tidy::{Findings, Rule};

const PAGES: &str = "docs/compatibility/";
const STAGES: &str = "xtask/src/stages.rs";

/// Looks at every page of compatibility; `sources` are all files with their texts.
pub(crate) fn check(sources: &[(String, String)], findings: &mut Findings) {
    for (path, text) in sources.iter().filter(|(path, _)| path.starts_with(PAGES)) {
        for (number, line) in text.lines().enumerate() {
            // Between the first and the second backtick, the third and the fourth, and so on.
            for word in line.split('`').skip(1).step_by(2) {
                if let Some(wrong) = wrong(word, sources) {
                    findings.add(Rule::Proof, path, number + 1, wrong);
                }
            }
        }
    }
}

fn wrong(word: &str, sources: &[(String, String)]) -> Option<String> {
    if let Some(suite) = word.strip_prefix("suite ").filter(|suite| *suite != "NAME") {
        let run = format!("&[\"{suite}\"");
        let is_run = sources.iter().any(|(path, text)| path == STAGES && text.contains(&run));
        return (!is_run).then(|| format!("`{word}` is no suite that {STAGES} runs"));
    }
    let (file, test) = word.split_once("::")?;
    let is_name = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-/".contains(c))
    };
    if !is_name(file) || !is_name(test) || (file, test) == ("folder/file", "test") {
        return None;
    }
    let (ends, function) = (format!("/{file}.rs"), format!("fn {test}("));
    let is_there =
        sources.iter().any(|(path, text)| path.ends_with(&ends) && text.contains(&function));
    (!is_there).then(|| format!("`{word}` is no test that there is"))
}
