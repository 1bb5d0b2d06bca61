//! What came with a call to say who makes it. Not looked at yet: a token may end, or become known,
//! while a stream is open.
//!
//! Must not know: tokens and users.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use proto::metadata;
use tonic::Request;

/// Compat: what etcd's gateway adds to a call; its own certificate says nothing about who asks
/// (CVE-2018-16886).
const GATEWAY_HEADER: &str = "grpcgateway-accept";

/// Who makes a call. A clone is cheap and copies no bytes.
#[derive(Clone)]
pub(crate) struct Caller(Who);

#[derive(Clone)]
pub(crate) enum Who {
    /// This member itself.
    Member,
    /// Nobody said anything.
    Anonymous,
    /// A token, as it came.
    Token(HeaderValue),
    /// The common name of a verified certificate.
    CommonName(Arc<str>),
}

impl Caller {
    /// The member's own tasks: always allowed. Never for what a client asked for.
    pub(crate) const fn member() -> Self {
        Caller(Who::Member)
    }

    /// A client that did not say who it is: refused wherever authentication matters.
    pub(crate) const fn anonymous() -> Self {
        Caller(Who::Anonymous)
    }

    /// The client behind these headers. `common_name` is that of its verified certificate, where
    /// `--client-cert-auth` asks for one. Compat: `token` wins over `authorization`, any of them
    /// over the certificate.
    pub(crate) fn of_client(headers: &HeaderMap, common_name: Option<&Arc<str>>) -> Self {
        let token = headers.get(metadata::TOKEN).or_else(|| headers.get(metadata::AUTHORIZATION));
        if let Some(token) = token {
            return Caller(Who::Token(token.clone()));
        }
        match common_name {
            Some(name) if !headers.contains_key(GATEWAY_HEADER) => {
                Caller(Who::CommonName(Arc::clone(name)))
            }
            _ => Caller::anonymous(),
        }
    }

    /// The caller that the dispatch found; anonymous when it looked for none.
    pub(crate) fn of<T>(request: &Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or(Caller::anonymous())
    }

    pub(super) fn who(&self) -> &Who {
        &self.0
    }
}

/// Never shows a token.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Who::Member => f.write_str("the member"),
            Who::Anonymous => f.write_str("anonymous"),
            Who::Token(_) => f.write_str("a token"),
            Who::CommonName(name) => write!(f, "certificate of {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&'static str, &'static str)], name: Option<&str>) -> String {
        let mut map = HeaderMap::new();
        for (key, value) in headers {
            map.insert(*key, HeaderValue::from_static(value));
        }
        let caller = Caller::of_client(&map, name.map(Arc::from).as_ref());
        assert!(!format!("{caller:?}").contains("secret"), "{caller:?}");
        match caller.who() {
            Who::Token(token) => format!("token {}", token.to_str().expect("ASCII")),
            _ => format!("{caller:?}"),
        }
    }

    #[test]
    fn a_token_wins_over_a_certificate() {
        assert_eq!(of(&[], None), "anonymous");
        assert_eq!(of(&[], Some("ann")), "certificate of ann");
        assert_eq!(of(&[("token", "secret1")], Some("ann")), "token secret1");
        assert_eq!(of(&[("authorization", "Bearer secret2")], None), "token Bearer secret2");
        assert_eq!(
            of(&[("authorization", "secret2"), ("token", "secret1")], None),
            "token secret1"
        );
    }

    #[test]
    fn the_gateways_certificate_is_nobodys_name() {
        assert_eq!(of(&[("grpcgateway-accept", "*/*")], Some("gateway")), "anonymous");
    }
}
