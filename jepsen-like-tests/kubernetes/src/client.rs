//! An HTTPS client for one API server: requests with their whole answer, and watch streams line by
//! line.
//!
//! Invariants: one request at a time on the kept connection; a watch has a connection of its own;
//! an answer has a deadline.
//!
//! Must not know: Kubernetes; it carries bytes. It trusts any certificate: both servers make their
//! own, on this machine, for this run.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long an answer may take.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A client of one server.
#[derive(Debug)]
pub struct Client {
    port: u16,
    token: String,
    tls: TlsConnector0,
    kept: tokio::sync::Mutex<Option<SendRequest<Full<Bytes>>>>,
}

/// The connector, whose type says nothing when it is printed.
#[derive(Clone)]
struct TlsConnector0(TlsConnector);

impl std::fmt::Debug for TlsConnector0 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TLS")
    }
}

impl Client {
    /// A client of the server on a loopback port, with a bearer token.
    pub fn new(port: u16, token: &str) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Trusting(provider)))
            .with_no_client_auth();
        let tls = TlsConnector0(TlsConnector::from(Arc::new(tls)));
        Ok(Self { port, token: token.to_owned(), tls, kept: tokio::sync::Mutex::new(None) })
    }

    /// The server's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Another client of the same server, with a connection of its own.
    #[must_use]
    pub fn another(&self) -> Self {
        let kept = tokio::sync::Mutex::new(None);
        Self { port: self.port, token: self.token.clone(), tls: self.tls.clone(), kept }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// *Errors*: no connection, a torn answer, or none within the deadline. A kept connection that
    /// the server had closed meanwhile is opened anew once.
    pub async fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer> {
        let mut kept = self.kept.lock().await;
        for fresh in [false, true] {
            let mut sender = match kept.take().filter(|sender| !fresh && !sender.is_closed()) {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            let request = self.request(method, target, headers, body.clone())?;
            let answer = tokio::time::timeout(ANSWER_DEADLINE, async {
                let answer = sender.send_request(request).await?;
                let (head, body) = answer.into_parts();
                let body = body.collect().await?.to_bytes();
                Ok::<_, hyper::Error>(Answer { status: head.status, headers: head.headers, body })
            });
            match answer.await {
                Ok(Ok(answer)) => {
                    *kept = Some(sender);
                    return Ok(answer);
                }
                Ok(Err(error)) if fresh => return Err(error).context("asking"),
                Ok(Err(_)) => {}
                Err(_) => bail!("{method} {target}: no answer in {} s", ANSWER_DEADLINE.as_secs()),
            }
        }
        bail!("{method} {target}: no answer")
    }

    /// Opens a stream and reads its lines in the background.
    pub async fn watch(&self, target: &str, headers: &[(&str, &str)]) -> Result<Stream> {
        let mut sender = self.connect().await?;
        let request = self.request("GET", target, headers, Bytes::new())?;
        let answer = tokio::time::timeout(ANSWER_DEADLINE, sender.send_request(request))
            .await
            .with_context(|| format!("no answer to {target}"))??;
        let (head, body) = answer.into_parts();
        let lines = Arc::new(Mutex::new(Lines::default()));
        let reader = tokio::spawn(read_lines(sender, body, Arc::clone(&lines)));
        Ok(Stream { status: head.status, headers: head.headers, lines, reader })
    }

    fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header("Host", format!("127.0.0.1:{}", self.port))
            .header("Authorization", format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Ok(request.body(Full::new(body))?)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let socket = TcpStream::connect(("127.0.0.1", self.port)).await?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from("127.0.0.1")?;
        let tls = self.tls.0.connect(name, socket).await.context("TLS")?;
        let (sender, connection) = handshake(TokioIo::new(tls)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// What a stream delivered so far.
#[derive(Debug, Default)]
struct Lines {
    lines: Vec<String>,
    ended: bool,
}

/// An open watch.
#[derive(Debug)]
pub struct Stream {
    /// The status code.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    lines: Arc<Mutex<Lines>>,
    reader: tokio::task::JoinHandle<()>,
}

impl Stream {
    /// The lines delivered so far, and whether the server has ended the stream.
    #[must_use]
    pub fn seen(&self) -> (Vec<String>, bool) {
        let lines = self.lines.lock().expect("no reader panics with the lock held");
        (lines.lines.clone(), lines.ended)
    }

    /// How many lines were delivered so far, and whether the server has ended the stream.
    #[must_use]
    pub fn count(&self) -> (usize, bool) {
        let lines = self.lines.lock().expect("no reader panics with the lock held");
        (lines.lines.len(), lines.ended)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read_lines(
    sender: SendRequest<Full<Bytes>>,
    mut body: Incoming,
    lines: Arc<Mutex<Lines>>,
) {
    let mut rest = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        rest.extend_from_slice(&data);
        let mut lines = lines.lock().expect("no reader panics with the lock held");
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            lines.lines.push(String::from_utf8_lossy(&line[..end]).into_owned());
        }
    }
    let mut lines = lines.lock().expect("no reader panics with the lock held");
    if !rest.is_empty() {
        lines.lines.push(String::from_utf8_lossy(&rest).into_owned());
    }
    lines.ended = true;
    drop(sender);
}

/// Trusts every certificate.
#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
