//! Who asks: users, with the tokens they got, and people without.
//!
//! Must not know: what is asked.

/// The users of all conversations; the first has the role root.
pub(crate) const USERS: [&str; 4] = ["root", "ann", "bob", "eve"];

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Without a token.
    Nobody,
    /// With a token that nobody gave.
    Forged,
    /// With the last token that this user got, which may have ended.
    User(&'static str),
    /// The runner itself, as a user of its own.
    Keeper,
    /// With the first token that this user got, which ended if anything ended it.
    Stale(&'static str),
}

/// The user that the runner itself is: like root, but nobody does anything to it.
pub(crate) const KEEPER: &str = "keeper";

/// What every password ends with: unlike any other text, so that it can be searched for.
pub(crate) const PASSWORD_MARK: &str = "~7Qk9zXw2";

/// A token in the form of the simple ones that no server gave.
pub(crate) const FORGED_TOKEN: &str = "abcdefghijklmnop.1";

/// The password of a user.
pub(crate) fn password(user: &str) -> String {
    format!("{user}{PASSWORD_MARK}")
}
