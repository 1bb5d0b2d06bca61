//! The URLs of listeners and members, read with etcd's rules and texts.
//! Invariant: `text` is exactly what was given (trimmed), because ids are hashed from it.

use std::fmt;

use super::ConfigError;

/// What a URL asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// TCP, in the clear.
    Http,
    /// TCP with TLS.
    Https,
    /// A unix socket, in the clear.
    Unix,
    /// A unix socket with TLS.
    Unixs,
}

/// One URL of a listener or of a member: `http://host:port`, `unix:///path`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// As it was given, for instance `http://127.0.0.1:2379`.
    pub text: String,
    /// Its kind of connection.
    pub scheme: Scheme,
    /// Host without brackets: a name or an IP address. Of a unix socket: the path of its file.
    pub host: String,
    /// TCP port; 0 for a unix socket.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Endpoint {
    /// Reads one URL. *Errors*: etcd's texts.
    pub fn read(given: &str) -> Result<Self, ConfigError> {
        let text = given.trim();
        let (scheme, rest) = split_scheme(text)?;
        if matches!(scheme, Scheme::Unix | Scheme::Unixs) {
            return unix(text, scheme, rest);
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = split_host_port(authority, text)?;
        if path.starts_with('/') {
            return Err(bad("URL must not contain a path", text));
        }
        if !path.is_empty() {
            return Err(bad("URL must not contain a query or a fragment", text));
        }
        Ok(Endpoint { text: text.to_owned(), scheme, host: host.to_owned(), port })
    }

    /// Reads a comma separated list; sorted, as etcd sorts it.
    pub(crate) fn read_list(given: &str) -> Result<Vec<Self>, ConfigError> {
        let mut all = given.split(',').map(Endpoint::read).collect::<Result<Vec<_>, _>>()?;
        all.sort();
        Ok(all)
    }

    /// A listener binds an address, not a name. *Source*: etcd `checkBindURLs`.
    pub(crate) fn check_bindable(&self) -> Result<(), ConfigError> {
        let literal = self.host.parse::<std::net::IpAddr>().is_ok();
        if literal || self.host == "localhost" || self.is_unix() {
            return Ok(());
        }
        Err(ConfigError::unusable(format!("expected IP in URL for binding ({self})")))
    }

    /// True for `0.0.0.0` and `::`, which nobody else can dial.
    pub fn is_wildcard(&self) -> bool {
        self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_unspecified())
    }

    /// True for `https` and `unixs`.
    pub fn is_secure(&self) -> bool {
        matches!(self.scheme, Scheme::Https | Scheme::Unixs)
    }

    /// True for a unix socket, whose file is `host`.
    pub fn is_unix(&self) -> bool {
        matches!(self.scheme, Scheme::Unix | Scheme::Unixs)
    }

    /// `host:port` as a socket address text, with brackets for IPv6; the path of a unix socket.
    pub fn authority(&self) -> String {
        match self.host.contains(':') {
            _ if self.is_unix() => self.host.clone(),
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Compat: the texts of Go's `url.Parse`, which etcd hands on.
fn split_scheme(text: &str) -> Result<(Scheme, &str), ConfigError> {
    let unknown = || bad("URL scheme must be http, https, unix, or unixs", text);
    let Some((scheme, rest)) = text.split_once(':') else { return Err(unknown()) };
    let word = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if !word {
        return Err(unparsable(text, "first path segment in URL cannot contain colon"));
    }
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        "unix" => Scheme::Unix,
        "unixs" => Scheme::Unixs,
        _ => return Err(unknown()),
    };
    Ok((scheme, rest.strip_prefix("//").unwrap_or(rest)))
}

/// Compat: etcd's socket file is host and path together: `unix://localhost:2379` is the file
/// `localhost:2379` of the current directory.
fn unix(text: &str, scheme: Scheme, path: &str) -> Result<Endpoint, ConfigError> {
    if path.is_empty() {
        return Err(bad("URL address does not have the form \"unix:/path/to/socket\"", text));
    }
    // The system's own bound, which it would tell less clearly.
    if path.len() > UNIX_PATH_BYTES_MAX {
        return Err(bad("the path of a unix socket has at most 107 bytes", text));
    }
    Ok(Endpoint { text: text.to_owned(), scheme, host: path.to_owned(), port: 0 })
}

/// `sockaddr_un.sun_path` without its end.
const UNIX_PATH_BYTES_MAX: usize = 107;

fn split_host_port<'a>(authority: &'a str, text: &str) -> Result<(&'a str, u16), ConfigError> {
    let no_port = || bad("URL address does not have the form \"host:port\"", text);
    let (host, port) = match authority.strip_prefix('[') {
        Some(inside) => {
            let (host, rest) =
                inside.split_once(']').ok_or_else(|| unparsable(text, "missing ']' in host"))?;
            (host, rest.strip_prefix(':').ok_or_else(no_port)?)
        }
        None => authority.rsplit_once(':').ok_or_else(no_port)?,
    };
    if host.contains(char::is_whitespace) {
        return Err(unparsable(text, "invalid character \" \" in host name"));
    }
    if !authority.starts_with('[') && host.contains(':') {
        return Err(no_port());
    }
    let number = port.parse::<u32>().ok().filter(|_| port.chars().all(|c| c.is_ascii_digit()));
    let number = number.ok_or_else(|| {
        unparsable(text, &format!("invalid port {:?} after host", format!(":{port}")))
    })?;
    let number = u16::try_from(number)
        .map_err(|_| ConfigError::new(format!("listen tcp: address {port}: invalid port")))?;
    Ok((host, number))
}

fn unparsable(text: &str, why: &str) -> ConfigError {
    ConfigError::new(format!("parse {text:?}: {why}"))
}

fn bad(what: &str, text: &str) -> ConfigError {
    ConfigError::new(format!("{what}: {text}"))
}
