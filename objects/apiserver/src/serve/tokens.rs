//! Bearer tokens from a file: `token,user,uid[,"group1,group2"]` per line.
//!
//! Compat: kube-apiserver's `--token-auth-file`.

use std::collections::HashMap;
use std::path::Path;

use super::user::User;

/// Who a token stands for.
#[derive(Debug, Default)]
pub struct Tokens(HashMap<String, User>);

/// A token file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// It cannot be read.
    #[error("cannot read the token file {path}: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A line has fewer than three columns.
    #[error("line {line} of the token file has fewer than 3 columns: token, user, uid")]
    TooFewColumns {
        /// Beginning with 1.
        line: usize,
    },
}

impl Tokens {
    /// Reads a token file. *Errors*: it cannot be read, or a line is short of columns.
    pub fn read(path: &Path) -> Result<Self, TokensError> {
        let text = std::fs::read_to_string(path).map_err(|source| TokensError::Unreadable {
            path: path.display().to_string(),
            source,
        })?;
        Self::parse(&text)
    }

    /// Reads the text of a token file. Lines without a token are passed over; the first line of a
    /// token counts.
    pub fn parse(text: &str) -> Result<Self, TokensError> {
        let mut tokens = HashMap::new();
        for (at, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let mut columns = columns(line).into_iter();
            let (Some(token), Some(name), Some(uid)) =
                (columns.next(), columns.next(), columns.next())
            else {
                return Err(TokensError::TooFewColumns { line: at + 1 });
            };
            if token.is_empty() {
                continue;
            }
            let groups = columns.next().unwrap_or_default();
            let groups = groups.split(',').map(str::trim).filter(|group| !group.is_empty());
            let user = User { name, uid, groups: groups.map(str::to_owned).collect() };
            tokens.entry(token).or_insert(user);
        }
        Ok(Tokens(tokens))
    }

    /// Adds one.
    pub fn add(&mut self, token: String, user: User) {
        self.0.insert(token, user);
    }

    /// Who a token stands for.
    pub fn user(&self, token: &str) -> Option<&User> {
        self.0.get(token)
    }
}

/// The columns of one line; a quoted one may hold commas, and a doubled quote is one.
fn columns(line: &str) -> Vec<String> {
    let mut columns = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.trim().chars().peekable();
    while let Some(character) = characters.next() {
        let column = columns.last_mut().expect("there is always one");
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                column.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => columns.push(String::new()),
            other => column.push(other),
        }
    }
    columns.into_iter().map(|column| column.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_real_format_are_read() {
        let text = "admin-token,admin,1,\"system:masters,dev\"\n\nplain,joe,2\n,nobody,3\n";
        let tokens = Tokens::parse(text).expect("valid");
        let admin = tokens.user("admin-token").expect("there");
        assert_eq!(admin.groups, ["system:masters", "dev"]);
        assert_eq!(tokens.user("plain").expect("there").name, "joe");
        assert!(tokens.user("").is_none());
        assert!(tokens.user("other").is_none());
    }

    #[test]
    fn a_short_line_is_named() {
        let error = Tokens::parse("a,b,c\nx,y\n").expect_err("short");
        assert!(error.to_string().starts_with("line 2 "), "{error}");
    }
}
