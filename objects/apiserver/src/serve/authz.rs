//! Who may do what.
//!
//! Everybody who is known may do everything; whoever is not may ask for health and version alone.
//! RBAC comes later: its objects are stored and served, and this is the one place that will ask
//! them. The reviews answer by what is said here.

use crate::rest::{Ask, Path};
use crate::status::Status;

use super::user::User;

/// Pages that need nobody known.
const OPEN_PAGES: [&str; 4] = ["healthz", "livez", "readyz", "version"];

/// Whether this user may do anything but ask for health and version.
pub(crate) fn may_do_all(user: &User) -> bool {
    user.is_authenticated()
}

/// Whether a page is open to everybody.
pub(crate) fn is_open_page(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    OPEN_PAGES.contains(&first)
}

/// Lets a request pass. *Errors*: 401 when nobody is known, 403 when somebody is and may not.
pub(crate) fn authorize(ask: &Ask) -> Result<(), Status> {
    let open = matches!(&ask.path, Path::Page(segments)
        if segments.first().is_some_and(|first| OPEN_PAGES.contains(&first.as_str())));
    if open || may_do_all(&ask.user) {
        return Ok(());
    }
    // Compat: as where anonymous requests are allowed on conditions, they are unknown elsewhere.
    Err(Status::unauthorized())
}
