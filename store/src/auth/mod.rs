//! Users, roles and who may do what.
//!
//! [`AuthState`] is what the log made of users and roles; [`Call`] is what somebody asks for, with
//! the parts that matter; one function in `permit` decides. Doors ask it before they propose or
//! read, and applying asks it once more, because users may have changed meanwhile.
//!
//! Must not know: passwords in clear, tokens, clocks.

mod call;
mod intervals;
mod permit;
mod state;

pub use call::Call;
pub use state::{AuthState, ROOT};

pub(crate) use permit::permit;

/// Who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asker<'a> {
    /// Empty: nobody.
    pub username: &'a str,
    /// The auth revision at which the user was known; 0: nobody.
    pub auth_revision: u64,
}
