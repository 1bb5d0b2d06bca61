//! The serials of revoked certificates, from a file that is looked at for each certificate.
//!
//! Invariants: who dials us is let in only while the list can be read, as it is now: a list that
//! went away may name whoever comes. Nothing else that is wrong with our files keeps a new list
//! from counting. Compat: etcd reads its list for each connection, only when it is dialled; here
//! whoever we dial is compared too, with the last list that could be read.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, OtherError};

use super::certificate::serial;
use super::stamps::Stamps;
use super::{TlsError, files};

/// The list of one file, or that of nobody.
#[derive(Debug)]
pub(super) struct Revoked(Option<List>);

#[derive(Debug)]
struct List {
    file: [PathBuf; 1],
    read: Mutex<Read>,
}

#[derive(Debug)]
struct Read {
    /// None after a failure: then the file is read again, whatever it looks like.
    stamps: Option<Stamps>,
    last_good: Arc<HashSet<Vec<u8>>>,
}

impl Revoked {
    /// Reads the file. *Errors*: it is not there or no list.
    pub(super) fn load(file: Option<&Path>) -> Result<Self, TlsError> {
        let Some(file) = file else { return Ok(Revoked(None)) };
        let file = [file.to_owned()];
        let stamps = Some(Stamps::of(&file));
        let last_good = Arc::new(files::revoked(&file[0])?);
        Ok(Revoked(Some(List { file, read: Mutex::new(Read { stamps, last_good }) })))
    }

    /// Whether whoever dials us may come in.
    ///
    /// *Errors*: one of these certificates is revoked, or nobody can know.
    pub(super) fn check_dialling(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
    ) -> Result<(), CertificateError> {
        let Some(list) = &self.0 else { return Ok(()) };
        let serials =
            list.now().map_err(|error| CertificateError::Other(OtherError(Arc::new(error))))?;
        check(&serials, leaf, chain)
    }

    /// Whether whom we dial may be believed. *Errors*: one of these certificates is revoked.
    pub(super) fn check_dialled(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
    ) -> Result<(), CertificateError> {
        let Some(list) = &self.0 else { return Ok(()) };
        let serials = list.now().unwrap_or_else(|_| Arc::clone(&list.read.lock().last_good));
        check(&serials, leaf, chain)
    }
}

impl List {
    fn now(&self) -> Result<Arc<HashSet<Vec<u8>>>, TlsError> {
        let mut read = self.read.lock();
        let stamps = Stamps::of(&self.file);
        if read.stamps.as_ref() == Some(&stamps) {
            return Ok(Arc::clone(&read.last_good));
        }
        read.stamps = None;
        read.last_good = Arc::new(files::revoked(&self.file[0])?);
        read.stamps = Some(stamps);
        let (path, revoked) = (self.file[0].display(), read.last_good.len());
        tracing::info!(%path, revoked, "the list of revoked certificates was read again");
        Ok(Arc::clone(&read.last_good))
    }
}

fn check(
    serials: &HashSet<Vec<u8>>,
    leaf: &CertificateDer<'_>,
    chain: &[CertificateDer<'_>],
) -> Result<(), CertificateError> {
    let is_revoked =
        |der: &CertificateDer<'_>| serial(der).is_none_or(|serial| serials.contains(&serial));
    let revoked = !serials.is_empty() && (is_revoked(leaf) || chain.iter().any(is_revoked));
    if revoked { Err(CertificateError::Revoked) } else { Ok(()) }
}
