//! Who asks: a token, fetched with a password where one is given.
//!
//! Invariant: a password is in no message, no error and no debug output.

use proto::etcdserverpb::AuthenticateRequest;
use services::etcdserverpb::auth_client::AuthClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

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

/// Puts the token into each request.
#[derive(Clone, Default)]
pub(crate) struct Credentials {
    token: Option<MetadataValue<Ascii>>,
}

impl Credentials {
    /// Logs in on this channel.
    ///
    /// Compat: a password is let pass where authentication is off, as etcd's own client does.
    ///
    /// *Errors*: what the server says of the user and the password.
    pub(crate) async fn of(login: &Login, channel: &Channel) -> Result<Self, ToolError> {
        let token = match login {
            Login::Nobody => return Ok(Self::default()),
            Login::Token(token) => token.clone(),
            Login::Password { user, password } => {
                let request =
                    AuthenticateRequest { name: user.clone(), password: password.clone() };
                match AuthClient::new(channel.clone()).authenticate(request).await {
                    Ok(answer) => answer.into_inner().token,
                    Err(status) if is_not_enabled(&status) => return Ok(Self::default()),
                    Err(status) => return Err(status.into()),
                }
            }
        };
        let token = MetadataValue::try_from(token)
            .map_err(|_| ToolError::of(Id::NoUser, "the token holds bytes no header may have"))?;
        Ok(Self { token: Some(token) })
    }
}

fn is_not_enabled(status: &Status) -> bool {
    status.code() == Code::FailedPrecondition && status.message().contains("not enabled")
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.token {
            request.metadata_mut().insert(proto::metadata::TOKEN, token.clone());
        }
        Ok(request)
    }
}
