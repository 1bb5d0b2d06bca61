//! From a password to a token, and from a password to its hash.

use proto::authpb::User;
use proto::etcdserverpb::{
    AuthUserAddRequest, AuthUserChangePasswordRequest, InternalAuthenticateRequest,
};
use proto::log::command;
use proto::status::EtcdError;
use store::{AuthEffect, Response};

use super::Identity;
use super::passwords::NO_PASSWORD_USER;
use super::tokens::{SimpleTokens, TokenKind};
use crate::errors::ServeError;
use crate::member::Member;

impl Member {
    /// A token for who knows a user's password.
    ///
    /// *Errors*: `AuthNotEnabled`, `AuthFailed`; one of etcd's that is not in its table.
    pub(crate) async fn authenticate(
        &self,
        name: String,
        password: String,
    ) -> Result<String, ServeError> {
        self.read_index().await?;
        loop {
            let checked_revision = self.check_password(&name, password.clone()).await?;
            let token = match &self.auth().kind {
                TokenKind::Simple => self.assign(&name).await?,
                TokenKind::Jwt(tokens) => tokens.sign(&name, checked_revision)?,
                TokenKind::None => return Err(EtcdError::AuthFailed.into()),
            };
            // Compat: the password may have been changed while it was compared.
            if checked_revision == self.reader().auth_revision() {
                return Ok(token);
            }
        }
    }

    /// Puts the hash of its password in place of it. Compat: an empty password is one, too.
    pub(crate) async fn hash_new_user(
        &self,
        request: &mut AuthUserAddRequest,
    ) -> Result<(), ServeError> {
        let password = std::mem::take(&mut request.password);
        request.hashed_password = match request.options.is_some_and(|options| options.no_password) {
            true => String::new(),
            false => self.auth().passwords.hash(password).await?,
        };
        Ok(())
    }

    /// Puts the hash of its password in place of it. Compat: without a password, a hash that the
    /// client made is taken; without that, no password fits the user any more.
    pub(crate) async fn hash_new_password(
        &self,
        request: &mut AuthUserChangePasswordRequest,
    ) -> Result<(), ServeError> {
        let password = std::mem::take(&mut request.password);
        if !password.is_empty() {
            request.hashed_password = self.auth().passwords.hash(password).await?;
        }
        Ok(())
    }

    /// The auth revision at which this was the user's password.
    async fn check_password(&self, name: &str, password: String) -> Result<u64, ServeError> {
        let state = self.reader().auth();
        if !state.enabled() {
            return Err(EtcdError::AuthNotEnabled.into());
        }
        let user = state.user(name);
        if user.is_some_and(|user| user.options.is_some_and(|options| options.no_password)) {
            return Err(ServeError::Unknown(NO_PASSWORD_USER));
        }
        match self.auth().passwords.verify(password, user.map(hash_of)).await? {
            true => Ok(state.revision()),
            false => Err(EtcdError::AuthFailed.into()),
        }
    }

    /// Tells all members of a token, through the log.
    async fn assign(&self, name: &str) -> Result<String, ServeError> {
        let request = InternalAuthenticateRequest {
            name: name.to_owned(),
            password: String::new(),
            simple_token: SimpleTokens::draw_prefix(),
        };
        let request = command::Request::Authenticate(request);
        let applied = self.propose_as(&Identity::default(), request, 0).await?;
        match applied.response {
            Response::Auth(AuthEffect::Token { token, .. }) => Ok(token),
            _ => Err(ServeError::Unknown("the answer does not belong to the request")),
        }
    }
}

fn hash_of(user: &User) -> String {
    String::from_utf8_lossy(&user.password).into_owned()
}
