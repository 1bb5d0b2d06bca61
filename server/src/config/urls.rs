//! The URLs of listeners and members, read with etcd's rules and texts.
//! Invariant: `text` is exactly what was given (trimmed), because ids are hashed from it.

use std::fmt;

use super::ConfigError;

/// One URL of a listener or of a member: `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// As it was given, for instance `http://127.0.0.1:2379`.
    pub text: String,
    /// Host without brackets: a name or an IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Endpoint {
    /// Reads one URL. *Errors*: etcd's texts; `https` and unix sockets are refused for now.
    pub fn read(given: &str) -> Result<Self, ConfigError> {
        let text = given.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        match scheme {
            "http" => {}
            "https" => return Err(refused(text, "TLS is not supported yet")),
            "unix" | "unixs" => return Err(refused(text, "unix sockets are not supported yet")),
            _ => return Err(bad("URL scheme must be http, https, unix, or unixs", text)),
        }
        let (host_port, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = split_host_port(host_port)
            .ok_or_else(|| bad("URL address does not have the form \"host:port\"", text))?;
        if !path.is_empty() {
            return Err(bad("URL must not contain a path", text));
        }
        Ok(Endpoint { text: text.to_owned(), host: host.to_owned(), port })
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
        if literal || self.host == "localhost" {
            return Ok(());
        }
        Err(ConfigError::new(format!("expected IP in URL for binding ({self})")))
    }

    /// True for `0.0.0.0` and `::`, which nobody else can dial.
    pub fn is_wildcard(&self) -> bool {
        self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_unspecified())
    }

    /// `host:port` as a socket address text, with brackets for IPv6.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

fn split_host_port(host_port: &str) -> Option<(&str, u16)> {
    let (host, port) = host_port.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    Some((host, port.parse().ok()?))
}

fn bad(what: &str, text: &str) -> ConfigError {
    ConfigError::new(format!("{what}: {text}"))
}

fn refused(text: &str, why: &str) -> ConfigError {
    ConfigError::new(format!("{text}: {why}"))
}
