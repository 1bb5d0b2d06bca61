//! Who asks.

/// The owner of a request. Its groups include the one that everybody of its sort is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// As `system:admin`.
    pub name: String,
    /// Empty when there is none.
    pub uid: String,
    /// As `system:masters`.
    pub groups: Vec<String>,
}

/// The group of everybody who is known.
pub const AUTHENTICATED: &str = "system:authenticated";
/// The group of everybody else.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";

impl User {
    /// Somebody who showed nothing.
    pub fn anonymous() -> Self {
        User {
            name: "system:anonymous".to_owned(),
            uid: String::new(),
            groups: vec![UNAUTHENTICATED.to_owned()],
        }
    }

    /// The same, in the group of the authenticated.
    pub fn authenticated(mut self) -> Self {
        if !self.is_authenticated() {
            self.groups.push(AUTHENTICATED.to_owned());
        }
        self
    }

    /// Whether it is known who this is.
    pub fn is_authenticated(&self) -> bool {
        self.groups.iter().any(|group| group == AUTHENTICATED)
    }
}
