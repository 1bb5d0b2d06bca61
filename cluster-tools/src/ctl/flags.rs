//! etcdctl's global flags and their `ETCDCTL_*` variables.
//!
//! Invariants: a flag beats its variable, and both beat the context; what is given by neither has
//! etcdctl's default. A password is shown in no help and no error.
//!
//! Must not know: any verb.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

use super::context;
use super::global::Global;
use super::show::figures::parse_duration;
use super::show::{Format, Output, notice};
use crate::ToolError;
use crate::catalogue::Id;
use crate::wire::{Dialing, Login, tls};

const GLOBAL: &str = "Global flags";

/// What every verb understands.
///
/// Flags that share their name with a verb's argument have ids of their own: clap keeps one value
/// for an id.
#[derive(Args)]
pub(crate) struct Flags {
    /// Client URLs, separated by commas; the first that answers is used [default: 127.0.0.1:2379].
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_ENDPOINTS",
        value_delimiter = ',',
        value_name = "URL",
        help_heading = GLOBAL
    )]
    endpoints: Option<Vec<String>>,
    /// The context to use in place of the current one.
    #[arg(
        id = "context-name",
        long = "context",
        global = true,
        env = "ENGRAM_CONTEXT",
        value_name = "NAME",
        help_heading = GLOBAL
    )]
    context: Option<String>,
    /// How answers are written; json and simple are etcdctl's.
    #[arg(
        short = 'o',
        long,
        short_alias = 'w',
        alias = "write-out",
        global = true,
        env = "ETCDCTL_WRITE_OUT",
        default_value = "table",
        value_name = "FORMAT",
        help_heading = GLOBAL
    )]
    output: Format,
    /// Write keys and values, and member ids in JSON, in hexadecimal.
    #[arg(long, global = true, env = "ETCDCTL_HEX", help_heading = GLOBAL)]
    hex: bool,
    /// The user, with a prompt for the password (`name:password` is understood, but others can
    /// see it in the list of processes).
    #[arg(
        id = "login-user",
        long = "user",
        global = true,
        env = "ETCDCTL_USER",
        hide_env_values = true,
        value_name = "NAME",
        help_heading = GLOBAL
    )]
    user: Option<String>,
    /// The user's password; better set ETCDCTL_PASSWORD or let it be asked for.
    #[arg(
        id = "login-password",
        long = "password",
        global = true,
        env = "ETCDCTL_PASSWORD",
        hide_env_values = true,
        value_name = "PASSWORD",
        help_heading = GLOBAL
    )]
    password: Option<String>,
    /// A ready token, such as a JWT, in place of user and password.
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_AUTH_JWT_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        help_heading = GLOBAL
    )]
    auth_jwt_token: Option<String>,
    /// The CAs that sign the servers' certificates (PEM); without it, the system's.
    #[arg(long, global = true, env = "ETCDCTL_CACERT", value_name = "FILE", help_heading = GLOBAL)]
    cacert: Option<PathBuf>,
    /// The client's certificate (PEM).
    #[arg(
        id = "tls-cert",
        long = "cert",
        global = true,
        env = "ETCDCTL_CERT",
        value_name = "FILE",
        help_heading = GLOBAL
    )]
    cert: Option<PathBuf>,
    /// The client certificate's key (PEM).
    #[arg(
        id = "tls-key",
        long = "key",
        global = true,
        env = "ETCDCTL_KEY",
        value_name = "FILE",
        help_heading = GLOBAL
    )]
    key: Option<PathBuf>,
    /// Whether endpoints without a scheme are plain; `--insecure-transport=false` makes them TLS.
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_INSECURE_TRANSPORT",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        value_name = "BOOL",
        help_heading = GLOBAL
    )]
    insecure_transport: bool,
    /// Do not check whose the server's certificate is: for tests only.
    #[arg(long, global = true, env = "ETCDCTL_INSECURE_SKIP_TLS_VERIFY", help_heading = GLOBAL)]
    insecure_skip_tls_verify: bool,
    /// How long an answer may take.
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_COMMAND_TIMEOUT",
        default_value = "5s",
        value_parser = parse_duration,
        value_name = "DURATION",
        help_heading = GLOBAL
    )]
    command_timeout: Duration,
    /// How long making a connection may take.
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_DIAL_TIMEOUT",
        default_value = "2s",
        value_parser = parse_duration,
        value_name = "DURATION",
        help_heading = GLOBAL
    )]
    dial_timeout: Duration,
    /// Time between two pings while a call is open; 10s at least, as with etcdctl.
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_KEEPALIVE_TIME",
        default_value = "2s",
        value_parser = parse_duration,
        value_name = "DURATION",
        help_heading = GLOBAL
    )]
    keepalive_time: Duration,
    /// How long a ping's answer may take.
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_KEEPALIVE_TIMEOUT",
        default_value = "6s",
        value_parser = parse_duration,
        value_name = "DURATION",
        help_heading = GLOBAL
    )]
    keepalive_timeout: Duration,
    /// The largest request to send, in bytes; 0 is 2 MiB.
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_MAX_REQUEST_BYTES",
        default_value_t = 0,
        value_name = "BYTES",
        help_heading = GLOBAL
    )]
    max_request_bytes: usize,
    /// The largest answer to take, in bytes; 0 is no limit.
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_MAX_RECV_BYTES",
        default_value_t = 0,
        value_name = "BYTES",
        help_heading = GLOBAL
    )]
    max_recv_bytes: usize,
    /// Say on standard error what is used.
    #[arg(long, global = true, env = "ETCDCTL_DEBUG", help_heading = GLOBAL)]
    debug: bool,
    // Refused, with a reason; see `refuse`.
    #[arg(short = 'd', long, global = true, env = "ETCDCTL_DISCOVERY_SRV", hide = true)]
    discovery_srv: Option<String>,
    #[arg(long, global = true, env = "ETCDCTL_DISCOVERY_SRV_NAME", hide = true)]
    discovery_srv_name: Option<String>,
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_INSECURE_DISCOVERY",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        hide = true
    )]
    insecure_discovery: bool,
}

impl Flags {
    /// Resolves flags, variables and context; asks for a password where one is missing.
    ///
    /// *Errors*: `NotOffered`, `Context`, `TlsFiles`, `Password`.
    pub(crate) fn resolve(self) -> Result<Global, ToolError> {
        self.refuse()?;
        // With every endpoint given by hand, a damaged contexts file is no obstacle.
        let context = match (&self.context, &self.endpoints) {
            (None, Some(_)) => context::Context::default(),
            (name, _) => context::chosen(name.as_deref())?.unwrap_or_default(),
        };
        let files = tls::Files {
            cacert: self.cacert.or(context.cacert),
            cert: self.cert.or(context.cert),
            key: self.key.or(context.key),
            skip_verify: self.insecure_skip_tls_verify || context.insecure_skip_tls_verify,
        };
        let endpoints = self
            .endpoints
            .or_else(|| (!context.endpoints.is_empty()).then_some(context.endpoints))
            .unwrap_or_else(|| vec!["127.0.0.1:2379".to_owned()]);
        let configured = files.any() || files.skip_verify;
        let dialing = Dialing {
            dial_timeout: self.dial_timeout,
            request_timeout: Some(self.command_timeout),
            keepalive: Some((self.keepalive_time, self.keepalive_timeout)),
            tls: configured.then(|| files.config()).transpose()?,
            tls_by_default: files.any() || !self.insecure_transport,
        };
        if self.debug {
            notice(format!("endpoints {}", endpoints.join(",")));
            notice(format!("tls by default {}, {files:?}", dialing.tls_by_default));
        }
        Ok(Global {
            endpoints: endpoints.iter().map(|endpoint| endpoint.trim().to_owned()).collect(),
            output: Output { format: self.output, hex: self.hex },
            dialing,
            login: login(self.user.or(context.user), self.password, self.auth_jwt_token)?,
            command_timeout: self.command_timeout,
            send_bytes_max: if self.max_request_bytes == 0 {
                2 << 20
            } else {
                self.max_request_bytes
            },
            receive_bytes_max: if self.max_recv_bytes == 0 {
                usize::MAX
            } else {
                self.max_recv_bytes
            },
        })
    }

    /// What a context may keep of the flags given.
    pub(crate) fn as_context(&self) -> context::Context {
        context::Context {
            endpoints: self.endpoints.clone().unwrap_or_default(),
            cacert: self.cacert.clone(),
            cert: self.cert.clone(),
            key: self.key.clone(),
            user: self.user.clone(),
            insecure_skip_tls_verify: self.insecure_skip_tls_verify,
        }
    }

    /// The format alone, for verbs that ask nobody.
    pub(crate) fn output(&self) -> Output {
        Output { format: self.output, hex: self.hex }
    }

    fn refuse(&self) -> Result<(), ToolError> {
        if self.discovery_srv.is_some() || self.discovery_srv_name.is_some() {
            let text = "--discovery-srv is not offered: name the members with --endpoints or a \
                        context; `engram ctl member list` prints their URLs";
            return Err(ToolError::of(Id::NotOffered, text));
        }
        if !self.insecure_discovery {
            let text = "--insecure-discovery belongs to --discovery-srv, which is not offered";
            return Err(ToolError::of(Id::NotOffered, text));
        }
        Ok(())
    }
}

/// Who asks, by etcdctl's rules: a token, or `name:password`, or a name and a password.
pub(crate) fn login(
    user: Option<String>,
    password: Option<String>,
    token: Option<String>,
) -> Result<Login, ToolError> {
    if let Some(token) = token.filter(|token| !token.is_empty()) {
        return Ok(Login::Token(token));
    }
    let Some(user) = user.filter(|user| !user.is_empty()) else { return Ok(Login::Nobody) };
    if let Some(password) = password.filter(|password| !password.is_empty()) {
        return Ok(Login::Password { user, password });
    }
    if let Some((user, password)) = user.split_once(':') {
        return Ok(Login::Password { user: user.to_owned(), password: password.to_owned() });
    }
    let password = super::prompt::password(&format!("Password of {user}: "))?;
    Ok(Login::Password { user, password })
}
