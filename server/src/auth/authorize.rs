//! From a caller to a user, and whether that user may make a call.

use std::sync::Arc;

use proto::status::EtcdError;
use store::auth::Call;

use super::Caller;
use super::caller::Who;
use crate::errors::ServeError;
use crate::member::Member;

/// Who a caller turned out to be, in the words of a command's header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Empty: nobody, or authentication is off.
    pub(crate) username: Arc<str>,
    /// The auth revision at which the user was known; 0 for nobody.
    pub(crate) auth_revision: u64,
}

impl Member {
    /// Refuses a call that its caller may not make; who they are otherwise.
    ///
    /// *Errors*: etcd's, by its text: no user, an unknown token, an old auth revision, permission
    /// denied.
    pub(crate) async fn authorize(
        &self,
        caller: &Caller,
        _call: Call<'_>,
    ) -> Result<Identity, ServeError> {
        if !self.reader().auth_enabled() || matches!(caller.who(), Who::Member) {
            return Ok(Identity::default());
        }
        Err(EtcdError::PermissionDenied.into())
    }
}
