//! Looks for passwords and tokens where they must not be: in all that a server wrote.

use std::path::Path;

use anyhow::Result;

use super::ask::PASSWORD_MARK;

/// Searches every file under a folder, logs and data alike; what was found, without the secret.
///
/// Tokens are looked for in logs only: the entry that gives a simple token holds its letters, as
/// etcd's does.
pub(super) fn found(top: &Path, tokens: &[String]) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    let mut folders = vec![top.to_owned()];
    let mut files = 0;
    let letters: Vec<&str> =
        tokens.iter().map(|token| token.split('.').next().unwrap_or_default()).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let content = std::fs::read(&path)?;
            if holds(&content, PASSWORD_MARK) {
                findings.push(format!("a password is in {}", path.display()));
            }
            let is_log = path.parent() == Some(top) && path.is_file();
            if is_log && letters.iter().any(|letters| holds(&content, letters)) {
                findings.push(format!("a token is in {}", path.display()));
            }
        }
    }
    if files < 2 {
        findings.push(format!("only {files} files were searched"));
    }
    Ok(findings)
}

/// Whether the content holds the secret; most bytes are looked at once.
fn holds(content: &[u8], secret: &str) -> bool {
    let Some(&first) = secret.as_bytes().first() else { return false };
    let mut rest = content;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        rest = &rest[at..];
        if rest.starts_with(secret.as_bytes()) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}
