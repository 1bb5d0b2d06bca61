//! A handshake with whoever dials us, and what is said when it fails.
//!
//! Compat: etcd's line "rejected connection on …", its fields, and the texts of Go's `crypto/tls`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, InvalidMessage};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificate::{PeerCertificate, is_valid_for};
use super::side::Side;

/// How long names in a certificate may take to look up.
const LOOK_UP: Duration = Duration::from_secs(5);

/// Why a connection was not let in, for the log.
#[derive(Debug, Default)]
pub(crate) struct Rejected {
    /// Which name the client asked for.
    pub(crate) server_name: String,
    /// What it has shown, if that got so far.
    pub(crate) certificate: Option<Arc<PeerCertificate>>,
    /// Go's words.
    pub(crate) why: String,
}

/// A connection that was let in, and the certificate that was shown.
pub(crate) type Accepted<S> = (TlsStream<S>, Option<Arc<PeerCertificate>>);

/// A connection that was not let in: why, and its socket, to be closed by [`hang_up`].
pub(crate) type Refused<S> = (Rejected, Option<S>);

/// How long the other side may take to read why it was not let in.
const PARTING: Duration = Duration::from_secs(1);
/// *Units*: bytes that are read, and not looked at, while it does.
const PARTING_BYTES_MAX: u64 = 64 * 1024;

/// Holds the handshake. The caller bounds its time.
///
/// *Errors*: why the other side is not let in; it has been told by an alert where TLS has one.
pub(crate) async fn accept<S>(
    stream: S,
    side: &Side,
    remote: Option<SocketAddr>,
) -> Result<Accepted<S>, Refused<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |server_name: &str, error: &io::Error| Rejected {
        server_name: server_name.to_owned(),
        certificate: None,
        why: gos_words(error),
    };
    let mut greeting = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
    let started = match (&mut greeting).await {
        Ok(started) => started,
        Err(error) => return Err((failed("", &error), greeting.take_io())),
    };
    let server_name = started.client_hello().server_name().unwrap_or_default().to_owned();
    let stream = started.into_stream(side.accepting()).into_fallible().await;
    let stream = stream.map_err(|(error, io)| (failed(&server_name, &error), Some(io)))?;
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let Some(leaf) = shown else { return Ok((stream, None)) };
    let certificate = PeerCertificate::read(leaf).map(Arc::new);
    if side.compares_addresses()
        && let (Some(certificate), Some(remote)) = (&certificate, remote)
        && let Err(why) = compare(certificate, leaf, remote.ip()).await
    {
        let certificate = Some(Arc::clone(certificate));
        return Err((Rejected { server_name, certificate, why }, None));
    }
    Ok((stream, certificate))
}

/// Closes so that the alert arrives. With TLS 1.3 a client sends its first request before it can
/// know that its certificate is not wanted; a socket that is closed with that unread is reset, and
/// the client reports the reset instead of the reason.
pub(crate) async fn hang_up<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let parting = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(PARTING_BYTES_MAX), &mut tokio::io::sink()).await
    };
    // It is gone either way.
    drop(tokio::time::timeout(PARTING, parting).await);
}

/// Whether an address is one of the certificate's. *Source*: etcd `checkCertSAN`; but names are
/// looked up forwards only, so a name with `*` helps nobody.
async fn compare(
    certificate: &PeerCertificate,
    leaf: &rustls::pki_types::CertificateDer<'_>,
    address: IpAddr,
) -> Result<(), String> {
    let (names, addresses) = (&certificate.dns_names, &certificate.ip_addresses);
    if names.is_empty() && addresses.is_empty() || addresses.contains(&address.to_canonical()) {
        return Ok(());
    }
    let host = address.to_canonical().to_string();
    if is_valid_for(leaf, &host) {
        return Ok(());
    }
    if names.is_empty() {
        let valid: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
        return Err(format!("x509: certificate is valid for {}, not {host}", valid.join(", ")));
    }
    for name in names.iter().filter(|name| !name.starts_with("*.")) {
        let found = tokio::net::lookup_host((name.as_str(), 0));
        let Ok(Ok(mut found)) = tokio::time::timeout(LOOK_UP, found).await else { continue };
        if found.any(|found| found.ip().to_canonical() == address.to_canonical()) {
            return Ok(());
        }
    }
    let quoted: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    Err(format!("tls: {host:?} does not match any of DNSNames [{}]", quoted.join(" ")))
}

/// What Go would say, since that is what operators search for.
pub(crate) fn gos_words(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return "EOF".to_owned();
    }
    let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>())
    else {
        return error.to_string();
    };
    match error {
        rustls::Error::NoCertificatesPresented => {
            "tls: client didn't provide a certificate".to_owned()
        }
        rustls::Error::InvalidCertificate(error) => certificate_words(error),
        rustls::Error::AlertReceived(alert) => {
            format!("remote error: tls: {}", alert_words(*alert))
        }
        rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) => "tls: first record does not look like a TLS handshake".to_owned(),
        rustls::Error::PeerIncompatible(why) => {
            format!("tls: client offered only unsupported versions or suites ({why:?})")
        }
        other => format!("tls: {other}"),
    }
}

fn certificate_words(error: &CertificateError) -> String {
    use CertificateError as C;
    let unknown = "tls: failed to verify certificate: x509:";
    match error {
        C::UnknownIssuer => format!("{unknown} certificate signed by unknown authority"),
        C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. } => {
            format!("{unknown} certificate has expired or is not yet valid")
        }
        C::NotValidForName | C::NotValidForNameContext { .. } => {
            "client certificate authentication failed".to_owned()
        }
        C::Revoked => "transport: certificate serial revoked".to_owned(),
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => {
            format!("{unknown} certificate specifies an incompatible key usage")
        }
        // Of our own: the list of the revoked cannot be read.
        C::Other(error) => error.to_string(),
        other => format!("tls: failed to verify certificate: {other}"),
    }
}

fn alert_words(alert: AlertDescription) -> String {
    use AlertDescription as A;
    let words = match alert {
        A::BadCertificate => "bad certificate",
        A::UnsupportedCertificate => "unsupported certificate",
        A::CertificateRevoked => "revoked certificate",
        A::CertificateExpired => "expired certificate",
        A::CertificateUnknown => "unknown certificate",
        A::UnknownCA => "unknown certificate authority",
        A::AccessDenied => "access denied",
        A::HandshakeFailure => "handshake failure",
        A::ProtocolVersion => "protocol version not supported",
        A::DecryptError => "error decrypting message",
        A::CertificateRequired => "certificate required",
        A::NoApplicationProtocol => "no application protocol",
        other => return format!("{other:?}"),
    };
    words.to_owned()
}
