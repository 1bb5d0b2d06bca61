//! TLS from files: what is shown to the other side, whom to believe, when to read the files again.
//!
//! Invariants: each handshake uses the files as they are, so that a certificate is exchanged by
//! writing it; a half-written exchange never breaks a member that runs, it goes on with what it
//! had, but for the list of the revoked, without which no certificate is believed; one set of rules
//! holds on every listener; nothing is resumed, so that each connection's certificate is checked.
//! Must not know: flags, HTTP, who a certificate's owner is to the store.

mod certificate;
mod client;
mod files;
mod handshake;
mod revoked;
mod self_signed;
mod side;
mod stamps;
mod verify;

use std::path::Path;
use std::sync::Arc;

pub use certificate::PeerCertificate;
pub(crate) use client::client_config;
pub(crate) use files::read as read_file;
pub(crate) use handshake::{Rejected, accept, hang_up};
pub use side::Side;

use crate::config::{Endpoint, TlsFiles, TlsSettings};

/// Why TLS cannot be had. The text is for the operator; where Go has one, it is Go's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(pub(crate) String);

/// The TLS of one member: with clients and with peers, where files (or `auto`) are given.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Connections with clients, and with whoever reads metrics.
    pub clients: Option<Arc<Side>>,
    /// Connections with peers, both ways.
    pub peers: Option<Arc<Side>>,
}

impl Tls {
    /// Reads all files; makes certificates in `data_dir` where the settings say so, for the hosts
    /// of the listeners.
    ///
    /// *Errors*: a file that is missing, unreadable or does not fit its key.
    pub fn load(
        settings: &TlsSettings,
        data_dir: &Path,
        clients: &[Endpoint],
        peers: &[Endpoint],
    ) -> Result<Self, TlsError> {
        let fixtures = data_dir.join("fixtures");
        let load = |files: &TlsFiles, name: &str, urls: &[Endpoint]| {
            let made = files.auto && files.cert.is_none();
            let files = match made {
                true => self_signed::made(files, &fixtures.join(name), urls, settings)?,
                false => files.clone(),
            };
            let wanted = files.cert.is_some() || urls.iter().any(Endpoint::is_secure);
            wanted.then(|| Side::load(files, made, settings).map(Arc::new)).transpose()
        };
        Ok(Tls {
            clients: load(&settings.clients, "client", clients)?,
            peers: load(&settings.peers, "peer", peers)?,
        })
    }
}
