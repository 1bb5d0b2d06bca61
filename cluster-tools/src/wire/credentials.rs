//! Who asks: a token, fetched with a password where one is given, and fetched again when it has
//! run out.
//!
//! Invariant: a password is in no message, no error and no debug output.

use std::sync::{Arc, PoisonError, RwLock};

use http::HeaderValue;
use proto::etcdserverpb::AuthenticateRequest;
use services::etcdserverpb::auth_client::AuthClient;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::ToolError;
use crate::catalogue::Id;

/// What is asked for when a channel is opened.
#[derive(Clone, Default)]
pub(crate) enum Login {
    /// Nobody in particular.
    #[default]
    Nobody,
    /// A user with a password.
    Password { user: String, password: String },
    /// A ready token, such as a JWT.
    Token(String),
}

impl std::fmt::Debug for Login {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Nobody => "Nobody",
            Self::Password { .. } => "Password",
            Self::Token(_) => "Token",
        })
    }
}

/// The token of each request; all clones have the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Credentials {
    login: Arc<Login>,
    token: Arc<RwLock<Option<HeaderValue>>>,
}

impl Credentials {
    /// Logs in on this channel.
    ///
    /// Compat: a password is let pass where authentication is off, as etcd's own client does.
    ///
    /// *Errors*: what the server says of the user and the password.
    pub(crate) async fn of(login: &Login, channel: &Channel) -> Result<Self, ToolError> {
        let credentials = Self { login: Arc::new(login.clone()), token: Arc::default() };
        match login {
            Login::Nobody => {}
            Login::Token(token) => credentials.keep(token)?,
            Login::Password { .. } => credentials.renew(channel).await?,
        }
        Ok(credentials)
    }

    /// Whether there is a password to log in again with.
    pub(crate) fn can_renew(&self) -> bool {
        matches!(*self.login, Login::Password { .. })
    }

    /// Logs in again where there is a password to do it with.
    pub(crate) async fn renew(&self, channel: &Channel) -> Result<(), ToolError> {
        let Login::Password { user, password } = &*self.login else { return Ok(()) };
        let request = AuthenticateRequest { name: user.clone(), password: password.clone() };
        match AuthClient::new(channel.clone()).authenticate(request).await {
            Ok(answer) => self.keep(&answer.into_inner().token),
            Err(status) if is_not_enabled(&status) => Ok(()),
            Err(status) => Err(status.into()),
        }
    }

    fn keep(&self, token: &str) -> Result<(), ToolError> {
        let mut token = HeaderValue::try_from(token)
            .map_err(|_| ToolError::of(Id::NoUser, "the token holds bytes no header may have"))?;
        token.set_sensitive(true);
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = Some(token);
        Ok(())
    }

    /// Puts the token into a request's headers.
    pub(crate) fn put(&self, headers: &mut http::HeaderMap) {
        if let Some(token) = &*self.token.read().unwrap_or_else(PoisonError::into_inner) {
            headers.insert(proto::metadata::TOKEN, token.clone());
        }
    }
}

fn is_not_enabled(status: &Status) -> bool {
    status.code() == Code::FailedPrecondition && status.message().contains("not enabled")
}

/// Whether a new token may help: the old one has run out, users have changed since, or
/// authentication was switched on after a login that found it off.
///
/// # Source
/// etcd's client (`retry_interceptor.go`).
pub(crate) fn is_stale(status: &Status) -> bool {
    const STALE: [&str; 3] =
        ["invalid auth token", "revision of auth store is old", "user name is empty"];
    STALE.iter().any(|text| status.message().ends_with(text))
}

#[cfg(test)]
mod tests {
    use super::{Credentials, Login, is_stale};
    use tonic::Status;

    #[test]
    fn a_new_token_helps_only_where_the_old_one_is_the_reason() {
        let rows = [
            ("etcdserver: invalid auth token", true),
            ("etcdserver: revision of auth store is old", true),
            ("etcdserver: user name is empty", true),
            ("etcdserver: permission denied", false),
            ("etcdserver: authentication failed, invalid user ID or password", false),
        ];
        for (text, stale) in rows {
            assert_eq!(is_stale(&Status::unknown(text)), stale, "{text}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let login = Login::Password { user: "u".to_owned(), password: "secret".to_owned() };
        let credentials = Credentials { login: login.into(), ..Credentials::default() };
        credentials.keep("very.secret").expect("a token");
        assert!(!format!("{credentials:?}").contains("secret"), "{credentials:?}");
        let mut headers = http::HeaderMap::new();
        credentials.put(&mut headers);
        assert_eq!(headers["token"], "very.secret");
    }
}
