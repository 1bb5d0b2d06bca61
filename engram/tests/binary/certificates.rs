//! Certificates for tests, of CAs that live as long as the test.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A CA with a folder for what it signs.
pub(crate) struct Ca {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as files.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// What a certificate says.
#[derive(Debug, Clone)]
pub(crate) struct Says {
    pub(crate) common_name: &'static str,
    pub(crate) hosts: &'static [&'static str],
    pub(crate) serial: u64,
    /// Its time is over.
    pub(crate) expired: bool,
    /// Its time has not come.
    pub(crate) early: bool,
}

impl Says {
    /// For this machine; valid now.
    pub(crate) fn local(common_name: &'static str, serial: u64) -> Self {
        Says {
            common_name,
            hosts: &["127.0.0.1", "localhost"],
            serial,
            expired: false,
            early: false,
        }
    }
}

impl Ca {
    /// A CA of this name, whose files go into a folder of that name.
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("signed");
        std::fs::write(folder.join("ca.pem"), issuer.as_ref().pem()).expect("written");
        Ca { folder, issuer }
    }

    /// The CA's own certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Signs a certificate into files called so; those of before are replaced.
    pub(crate) fn sign(&self, name: &str, says: &Says) -> Files {
        let hosts: Vec<String> = says.hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).expect("names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, says.common_name);
        params.serial_number = Some(SerialNumber::from(says.serial));
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let now = SystemTime::now();
        let begin = if says.early { now + DAY } else { now - 2 * DAY };
        let end = if says.expired { now - DAY } else { now + 30 * DAY };
        (params.not_before, params.not_after) = (begin.into(), end.into());
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("signed");
        let files = Files {
            cert: self.folder.join(format!("{name}.pem")),
            key: self.folder.join(format!("{name}-key.pem")),
        };
        std::fs::write(&files.key, key.serialize_pem()).expect("written");
        std::fs::write(&files.cert, cert.pem()).expect("written");
        files
    }

    /// Writes a list of revoked serials, as DER.
    pub(crate) fn revoke(&self, serials: &[u64]) -> PathBuf {
        let now = SystemTime::now();
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: now.into(),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: now.into(),
            next_update: (now + DAY).into(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("signed");
        let path = self.folder.join("revoked.crl");
        std::fs::write(&path, list.der()).expect("written");
        path
    }
}
