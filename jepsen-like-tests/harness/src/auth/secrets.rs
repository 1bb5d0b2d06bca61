//! Looks for passwords and tokens where they must not be: in all that a server wrote.

use std::path::Path;

use anyhow::Result;

use super::ask::{USERS, password};

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
            let holds = |secret: &str| {
                content.windows(secret.len()).any(|window| window == secret.as_bytes())
            };
            for user in USERS {
                if holds(&password(user)) {
                    findings.push(format!("the password of {user} is in {}", path.display()));
                }
            }
            let is_log = path.parent() == Some(top) && path.is_file();
            if is_log && letters.iter().any(|letters| holds(letters)) {
                findings.push(format!("a token is in {}", path.display()));
            }
        }
    }
    if files < 2 {
        findings.push(format!("only {files} files were searched"));
    }
    Ok(findings)
}
