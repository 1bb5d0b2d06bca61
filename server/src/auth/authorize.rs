//! From a caller to a user, and whether that user may make a call.
//!
//! Invariant: a refusal is about a state that is new enough: a token that this member has not heard
//! of yet, and a write that it would refuse, are looked at again once it has caught up.

use std::sync::Arc;

use http::HeaderValue;
use proto::log::command;
use proto::status::EtcdError;
use store::auth::{Asker, Call};

use super::caller::Who;
use super::tokens::{Claims, SimpleTokens, TokenKind};
use super::{Caller, Identity};
use crate::errors::ServeError;
use crate::member::Member;

/// Compat: what stands before a token in an HTTP header.
const BEARER: &str = "Bearer ";

/// Who a caller turned out to be.
enum User {
    Nobody,
    /// Known now.
    Named(Arc<str>),
    /// Known at the auth revision that its token tells.
    Claimed(Claims),
}

impl Member {
    /// Refuses a call that its caller may not make; otherwise who the caller is.
    ///
    /// *Errors*: etcd's, by its text: no user, an unknown token, an old auth revision, permission
    /// denied.
    pub(crate) async fn authorize(
        &self,
        caller: &Caller,
        call: Call<'_>,
    ) -> Result<Identity, ServeError> {
        if !self.reader().auth_enabled() || matches!(caller.who(), Who::Member) {
            return Ok(Identity::default());
        }
        let user = self.user(caller).await?;
        Ok(self.decide(user, &call)?)
    }

    /// As [`Member::authorize`], for what will be proposed: this member may lag behind the grant
    /// that allows it, so a refusal is looked at again at a newer state.
    pub(crate) async fn authorize_proposal(
        &self,
        caller: &Caller,
        call: Call<'_>,
    ) -> Result<Identity, ServeError> {
        match self.authorize(caller, call).await {
            Err(ServeError::Etcd(refusal)) if may_be_early(refusal) => {
                self.read_index().await?;
                self.authorize(caller, call).await
            }
            decided => decided,
        }
    }

    /// What a caller hears whose command was refused. Compat: what a raised alarm forbids to
    /// everybody, etcd says before it looks at what the caller may do, but for a lease that nobody
    /// asks for.
    pub(crate) fn refusal(&self, refused: EtcdError, request: &command::Request) -> EtcdError {
        use command::Request;
        let after_alarms = match request {
            Request::Put(_) | Request::DeleteRange(_) | Request::Txn(_) => may_be_early(refused),
            Request::LeaseRevoke(_) => may_be_early(refused) && refused != EtcdError::UserEmpty,
            _ => false,
        };
        match after_alarms {
            true => self.reader().check_alarms(request).err().unwrap_or(refused),
            false => refused,
        }
    }

    /// Refuses an answer that was read while users changed. Compat: etcd does, too.
    pub(crate) fn still_allowed(&self, identity: &Identity) -> Result<(), EtcdError> {
        let known = identity.auth_revision;
        match known != 0 && known != self.reader().auth_revision() {
            true => Err(EtcdError::AuthOldRevision),
            false => Ok(()),
        }
    }

    fn decide(&self, user: User, call: &Call<'_>) -> Result<Identity, EtcdError> {
        match user {
            User::Nobody => {
                self.reader().permit(Asker::default(), call)?;
                Ok(Identity::default())
            }
            User::Named(username) => {
                let auth_revision = self.reader().permit_now(&username, call)?;
                Ok(Identity { username, auth_revision })
            }
            User::Claimed(Claims { username, auth_revision }) => {
                let asker = Asker { username: &username, auth_revision };
                self.reader().permit(asker, call)?;
                Ok(Identity { username, auth_revision })
            }
        }
    }

    async fn user(&self, caller: &Caller) -> Result<User, ServeError> {
        match caller.who() {
            Who::Member | Who::Anonymous => Ok(User::Nobody),
            Who::CommonName(name) => Ok(User::Named(Arc::clone(name))),
            Who::Token(value) => self.user_of_token(text_of(value)?).await,
        }
    }

    async fn user_of_token(&self, token: &str) -> Result<User, ServeError> {
        match &self.auth().kind {
            TokenKind::Jwt(tokens) => Ok(User::Claimed(tokens.read(token)?)),
            TokenKind::None => Err(EtcdError::InvalidAuthToken.into()),
            TokenKind::Simple => {
                if let Some(name) = self.simple_tokens().user_of(token) {
                    return Ok(User::Named(name));
                }
                let index = SimpleTokens::index_of(token).ok_or(EtcdError::InvalidAuthToken)?;
                // Compat: etcd waits for the entry, for ever if it never comes; a token that was
                // given is below what the leader has committed.
                if index > self.reader().applied_index() {
                    self.read_index().await?;
                }
                let name = self.simple_tokens().user_of(token);
                Ok(User::Named(name.ok_or(EtcdError::InvalidAuthToken)?))
            }
        }
    }
}

fn text_of(value: &HeaderValue) -> Result<&str, EtcdError> {
    let text = value.to_str().map_err(|_| EtcdError::InvalidAuthToken)?;
    Ok(text.strip_prefix(BEARER).unwrap_or(text))
}

/// Refusals that a newer state may take back.
fn may_be_early(refusal: EtcdError) -> bool {
    matches!(
        refusal,
        EtcdError::PermissionDenied
            | EtcdError::UserEmpty
            | EtcdError::UserNotFound
            | EtcdError::AuthOldRevision
    )
}
