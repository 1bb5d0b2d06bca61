//! TLS of the binary as the real etcdctl meets it, beside the real etcd where both can be asked.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificates::{Ca, Files, Says};
use crate::support::{PATIENCE, Process, command, engram, free_ports};

/// One line of etcdctl: its exit code and all it printed.
pub(crate) async fn etcdctl(peers: &Path, line: &str) -> (i32, String) {
    let mut etcdctl = Command::new(peers.join("etcdctl"));
    etcdctl.args(line.split_whitespace()).env_clear().kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, etcdctl.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{line} hangs")).expect("it runs");
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap_or(-1), text)
}

/// Asks until the answer says why, if it is a refusal: at its deadline etcdctl may know no reason.
pub(crate) async fn etcdctl_told(peers: &Path, line: String) -> (i32, String) {
    let mut answer = etcdctl(peers, &line).await;
    for _ in 0..5 {
        if answer.0 == 0 || answer.1.contains("tls: ") {
            break;
        }
        answer = etcdctl(peers, &line).await;
    }
    answer
}

pub(crate) fn flags(folder: &Path, scheme: &str, port: u16, more: &str) -> Vec<String> {
    let client = format!("{scheme}://127.0.0.1:{port}");
    let peer = format!("http://127.0.0.1:{}", port + 1);
    let line = format!(
        "--name n --data-dir {} --listen-client-urls {client} --advertise-client-urls {client} \
         --listen-peer-urls {peer} --initial-advertise-peer-urls {peer} --initial-cluster \
         n={peer} {more}",
        folder.display()
    );
    line.split_whitespace().map(str::to_owned).collect()
}

pub(crate) async fn started(program: &Path, words: Vec<String>, port: u16) -> Process {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let child = command(program, &words).spawn().expect("it starts");
    Process::said(child, port, "ready to serve client requests").await
}

pub(crate) async fn engram_server(words: Vec<String>, port: u16) -> Process {
    started(engram(), std::iter::once("server".to_owned()).chain(words).collect(), port).await
}

pub(crate) fn server_flags(server: &Files) -> String {
    format!("--cert-file {} --key-file {}", server.cert.display(), server.key.display())
}

pub(crate) fn client_flags(ca: &Path, client: Option<&Files>) -> String {
    let mut line = format!("--cacert {}", ca.display());
    if let Some(client) = client {
        line = format!("{line} --cert {} --key {}", client.cert.display(), client.key.display());
    }
    line
}

/// The reason in a line of etcdctl, without what differs from run to run.
pub(crate) fn reason(text: &str) -> String {
    let start =
        text.find("authentication handshake failed: ").or_else(|| text.find("error reading"));
    let Some(start) = start else { return text.lines().last().unwrap_or_default().to_owned() };
    let end = text[start..].find(['\\', '"', '\n']).map_or(text.len(), |end| start + end);
    let words = text[start..end].split(' ').filter(|word| !word.contains("127.0.0.1:"));
    let no_time = |word: &&str| !word.contains("2026") && !word.contains("20");
    words.filter(no_time).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn who_is_let_in_and_what_the_others_hear_is_as_with_etcd() {
    let Some(peers) = programs::peers_with(&["etcd", "etcdctl"]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (ca, other) = (Ca::new(folder.path(), "ca"), Ca::new(folder.path(), "other"));
    let server = ca.sign("server", &Says::local("server", 1));
    let revoked = ca.revoke(&[66]);
    let more = format!(
        "{} --trusted-ca-file {} --client-cert-auth --client-crl-file {}",
        server_flags(&server),
        ca.file().display(),
        revoked.display()
    );
    let (own, theirs) = (free_ports(), free_ports());
    let own_flags = flags(&folder.path().join("own"), "https", own, &more);
    let their_flags = flags(&folder.path().join("theirs"), "https", theirs, &more);
    let etcd = peers.join("etcd");
    let (_own, _theirs) =
        tokio::join!(engram_server(own_flags, own), started(&etcd, their_flags, theirs));

    let good = ca.sign("good", &Says::local("alice", 2));
    let expired = ca.sign("expired", &Says { expired: true, ..Says::local("bob", 3) });
    let gone = ca.sign("gone", &Says::local("eve", 66));
    let strange = other.sign("strange", &Says::local("mallory", 5));
    let rows: [(&str, &Path, Option<&Files>, i32); 6] = [
        ("let in", &ca.file(), Some(&good), 0),
        ("no certificate", &ca.file(), None, 1),
        ("expired", &ca.file(), Some(&expired), 1),
        ("of another CA", &ca.file(), Some(&strange), 1),
        ("revoked", &ca.file(), Some(&gone), 1),
        ("the server's CA is unknown", &other.file(), Some(&good), 1),
    ];
    let asks = rows.map(|(what, cacert, client, code)| {
        let (line, peers) = (client_flags(cacert, client), &peers);
        async move {
            let ask = |port: u16| {
                format!("--endpoints https://127.0.0.1:{port} {line} --command-timeout 3s put a b")
            };
            let (ours, etcds) =
                tokio::join!(etcdctl_told(peers, ask(own)), etcdctl_told(peers, ask(theirs)));
            assert_eq!((ours.0, etcds.0), (code, code), "{what}: {ours:?} {etcds:?}");
            // Revoked: etcd hangs up after the handshake, and its client reads an end without a
            // reason; we say why.
            if what == "revoked" {
                assert!(ours.1.contains("revoked certificate"), "{ours:?}");
            } else {
                assert_eq!(reason(&ours.1), reason(&etcds.1), "{what}");
            }
        }
    });
    futures::future::join_all(asks).await;
}

/// Dials with TLS, believing this CA, to speak this protocol.
pub(crate) async fn dial(
    port: u16,
    ca: &Ca,
    client: Option<&Files>,
    protocol: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    let pem = CertificateDer::from_pem_file(ca.file()).expect("a certificate");
    roots.add(pem).expect("a CA");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let cert = CertificateDer::from_pem_file(&files.cert).expect("a certificate");
            let key = PrivateKeyDer::from_pem_file(&files.key).expect("a key");
            builder.with_client_auth_cert(vec![cert], key).expect("they fit")
        }
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// One request over TLS; the whole answer, and the certificate that was shown.
async fn https(port: u16, ca: &Ca, client: Option<&Files>, path: &str) -> (String, Vec<u8>) {
    let mut stream = dial(port, ca, client, b"http/1.1").await.expect("a handshake");
    let shown = stream.get_ref().1.peer_certificates().expect("shown")[0].to_vec();
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    // An end without a closing alert is an end too.
    drop(stream.read_to_end(&mut answer).await);
    (String::from_utf8_lossy(&answer).into_owned(), shown)
}

#[tokio::test]
async fn who_writes_before_reading_why_it_is_refused_still_reads_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = Ca::new(folder.path(), "ca");
    let server = ca.sign("server", &Says::local("server", 1));
    let wanted = format!("--trusted-ca-file {} --client-cert-auth", ca.file().display());
    let more = format!("{} {wanted}", server_flags(&server));
    let port = free_ports();
    let _server =
        engram_server(flags(&folder.path().join("data"), "https", port, &more), port).await;
    for _ in 0..20 {
        let mut stream =
            dial(port, &ca, None, b"http/1.1").await.expect("the client's half of a handshake");
        let told = stream.get_ref().0.peek(&mut [0]).await.expect("the alert is on its way");
        assert_eq!(told, 1, "an end without a reason");
        for _ in 0..3 {
            let sent = stream.write_all(&[b'a'; 1024]).await;
            let sent = sent.and(stream.flush().await);
            sent.expect("the socket is not reset while the alert is unread");
        }
        let refused = stream.read(&mut [0]).await.expect_err("refused");
        assert!(refused.to_string().contains("CertificateRequired"), "{refused}");
    }
}

#[tokio::test]
async fn http_is_served_over_tls_and_a_new_certificate_without_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = Ca::new(folder.path(), "ca");
    let server = ca.sign("server", &Says::local("first", 1));
    let port = free_ports();
    let metrics = port + 100;
    let more =
        format!("{} --listen-metrics-urls https://127.0.0.1:{metrics}", server_flags(&server));
    let words = flags(&folder.path().join("data"), "https", port, &more);
    let _server = engram_server(words, port).await;
    let (answer, first) = https(port, &ca, None, "/health").await;
    assert!(answer.contains(r#"{"health":"true","reason":""}"#), "{answer}");
    let (answer, _) = https(metrics, &ca, None, "/metrics").await;
    assert!(answer.contains("etcd_server_has_leader"), "{answer}");

    // Half an exchange: the new certificate does not fit the old key.
    let kept = std::fs::read(&server.key).expect("read");
    ca.sign("server", &Says::local("second", 2));
    let fitting = std::fs::read(&server.key).expect("read");
    std::fs::write(&server.key, kept).expect("written");
    let (_, meanwhile) = https(port, &ca, None, "/health").await;
    assert_eq!(first, meanwhile, "it goes on with what it had");
    std::fs::write(&server.key, fitting).expect("written");
    let (answer, second) = https(port, &ca, None, "/health").await;
    assert!(answer.contains("true"), "{answer}");
    assert_ne!(first, second, "the new certificate is shown");
}

#[tokio::test]
async fn in_the_clear_and_with_tls_on_one_port() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = Ca::new(folder.path(), "ca");
    let server = ca.sign("server", &Says::local("server", 1));
    let port = free_ports();
    let mut words = flags(&folder.path().join("data"), "http", port, &server_flags(&server));
    let both = format!("http://127.0.0.1:{port},https://127.0.0.1:{port}");
    words.extend(["--listen-client-urls".to_owned(), both]);
    let process = engram_server(words, port).await;
    process.put("a", "1").await;
    let (answer, _) = https(port, &ca, None, "/health").await;
    assert!(answer.contains("true"), "{answer}");
}

/// Hands bytes on, so that a member is not where its URL says.
async fn proxy(to: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                if let Ok(mut far) = TcpStream::connect(("127.0.0.1", to)).await {
                    // One end closed: the other is closed too.
                    drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
                }
            });
        }
    });
    port
}

/// Three members whose peers are advertised elsewhere than they listen.
async fn quorum(folder: &Path, more: &[String; 3]) -> Vec<Process> {
    let ports = [free_ports(), free_ports(), free_ports()];
    let mut advertised = Vec::new();
    for port in ports {
        advertised.push(format!("https://127.0.0.1:{}", proxy(port + 1).await));
    }
    let cluster: Vec<String> =
        advertised.iter().enumerate().map(|(at, url)| format!("n{at}={url}")).collect();
    let starts = (0..3).map(|at| {
        let line = format!(
            "server --name n{at} --data-dir {} --listen-client-urls http://127.0.0.1:{} \
             --advertise-client-urls http://127.0.0.1:{} --listen-peer-urls https://127.0.0.1:{} \
             --initial-advertise-peer-urls {} --initial-cluster {} {}",
            folder.join(format!("n{at}")).display(),
            ports[at],
            ports[at],
            ports[at] + 1,
            advertised[at],
            cluster.join(","),
            more[at]
        );
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        async move { started(engram(), words, ports[at]).await }
    });
    futures::future::join_all(starts).await
}

fn peer_flags(ca: &Ca, files: &Files) -> String {
    format!(
        "--peer-cert-file {} --peer-key-file {} --peer-trusted-ca-file {} --peer-client-cert-auth",
        files.cert.display(),
        files.key.display(),
        ca.file().display()
    )
}

#[tokio::test]
async fn peers_speak_tls_through_a_proxy_and_survive_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = Ca::new(folder.path(), "ca");
    let more = [1, 2, 3].map(|serial| {
        let files = ca.sign(&format!("peer{serial}"), &Says::local("peer", serial));
        format!("{} --peer-cert-allowed-cn peer", peer_flags(&ca, &files))
    });
    let mut members = quorum(folder.path(), &more).await;
    members[0].put("a", "1").await;
    assert_eq!(members[2].get("a").await.as_deref(), Some("1"));
    let at = crate::quorum::leader(&members).await;
    members.remove(at).kill().await;
    crate::quorum::leader(&members).await;
    members[0].put("a", "2").await;
    assert_eq!(members[1].get("a").await.as_deref(), Some("2"));
}

#[tokio::test]
async fn peers_with_certificates_of_their_own_making_find_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let members = quorum(folder.path(), &["--peer-auto-tls"; 3].map(str::to_owned)).await;
    members[0].put("a", "1").await;
    assert_eq!(members[2].get("a").await.as_deref(), Some("1"));
    assert!(folder.path().join("n0/fixtures/peer/cert.pem").exists());
}

#[tokio::test]
async fn a_stranger_among_peers_is_rejected_with_etcds_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ca, other) = (Ca::new(folder.path(), "ca"), Ca::new(folder.path(), "other"));
    let own = ca.sign("own", &Says::local("peer", 1));
    let port = free_ports();
    let log = folder.path().join("log");
    let line = format!(
        "server --name n --data-dir {} --listen-client-urls http://127.0.0.1:{port} \
         --advertise-client-urls http://127.0.0.1:{port} --listen-peer-urls \
         https://127.0.0.1:{peer} --initial-advertise-peer-urls https://127.0.0.1:{peer} \
         --initial-cluster n=https://127.0.0.1:{peer} --log-outputs stderr,{} {}",
        folder.path().join("data").display(),
        log.display(),
        peer_flags(&ca, &own),
        peer = port + 1,
    );
    let words = line.split_whitespace().map(str::to_owned).collect();
    let process = started(engram(), words, port).await;
    let strange = other.sign("strange", &Says::local("peer", 2));
    let elsewhere = ca.sign("elsewhere", &Says { hosts: &["10.1.2.3"], ..Says::local("peer", 3) });
    let clear = TcpStream::connect(("127.0.0.1", port + 1)).await;
    clear.expect("open").write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("sent");
    for files in [&strange, &elsewhere] {
        drop(handshake(port + 1, &ca, files).await);
    }
    for wanted in [
        "tls: first record does not look like a TLS handshake",
        "x509: certificate signed by unknown authority",
        "x509: certificate is valid for 10.1.2.3, not 127.0.0.1",
    ] {
        let line = in_the_log(&log, wanted).await;
        assert!(line.contains(r#""level":"warn""#), "{line}");
        assert!(line.contains(r#""msg":"rejected connection on peer endpoint""#), "{line}");
        assert!(line.contains(r#""remote-addr":"127.0.0.1:"#), "{line}");
    }
    process.put("a", "1").await;
}

/// A handshake with these files, and what comes after it.
async fn handshake(port: u16, ca: &Ca, files: &Files) -> std::io::Result<usize> {
    // Who is not let in hears of it after its own part of the handshake.
    dial(port, ca, Some(files), b"http/1.1").await?.read(&mut [0]).await
}

/// Waits for a line of a log with these words.
pub(crate) async fn in_the_log(log: &Path, wanted: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = tokio::time::interval(Duration::from_millis(20));
    loop {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        if let Some(line) = text.lines().find(|line| line.contains(wanted)) {
            return line.to_owned();
        }
        assert!(Instant::now() < deadline, "no {wanted:?} in\n{text}");
        pause.tick().await;
    }
}

#[tokio::test]
async fn clients_come_over_unix_sockets_and_auto_tls() {
    let Some(peers) = programs::peers_with(&["etcdctl"]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("client.sock");
    let secure = folder.path().join("secure.sock");
    let port = free_ports();
    let more = "--auto-tls --self-signed-cert-validity 2";
    let mut words = flags(&folder.path().join("data"), "https", port, more);
    let urls = format!(
        "https://127.0.0.1:{port},unix://{},unixs://{}",
        socket.display(),
        secure.display()
    );
    words.extend(["--listen-client-urls".to_owned(), urls]);
    let mut process = engram_server(words, port).await;
    let line = format!("--endpoints unix://{} put a 1", socket.display());
    assert_eq!(etcdctl(&peers, &line).await.0, 0, "{line}");
    let skip = "--insecure-transport=false --insecure-skip-tls-verify";
    let line = format!("--endpoints https://127.0.0.1:{port} {skip} get a --print-value-only");
    assert_eq!(etcdctl(&peers, &line).await, (0, "1\n".to_owned()));
    let made = folder.path().join("data/fixtures/client/cert.pem");
    let line = format!("--endpoints https://127.0.0.1:{port} --cacert {} get a", made.display());
    assert_eq!(etcdctl(&peers, &line).await.0, 0, "{line}");
    let (status, _) = process.end(rustix::process::Signal::TERM).await;
    assert!(status.success(), "{status}");
    assert!(!socket.exists() && !secure.exists(), "the sockets' files are gone");
}

#[tokio::test]
async fn tls_that_cannot_work_stops_the_start_with_a_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = Ca::new(folder.path(), "ca");
    let one = ca.sign("one", &Says::local("one", 1));
    let two = ca.sign("two", &Says::local("two", 2));
    let missing = folder.path().join("missing.pem");
    let port = free_ports();
    let pair = |cert: &Path, key: &Path| {
        format!("--cert-file {} --key-file {}", cert.display(), key.display())
    };
    let rows = [
        (pair(&one.cert, &two.key), "tls: private key does not match public key".to_owned()),
        (
            pair(&missing, &one.key),
            format!("open {}: no such file or directory", missing.display()),
        ),
        (
            pair(&one.key, &one.key),
            "tls: failed to find any PEM data in certificate input".to_owned(),
        ),
        (pair(&one.cert, &one.cert), "tls: failed to find any PEM data in key input".to_owned()),
        (
            format!("{} --trusted-ca-file {}", pair(&one.cert, &one.key), one.key.display()),
            "there is no CA certificate in it".to_owned(),
        ),
        (
            format!("{} --client-crl-file {}", pair(&one.cert, &one.key), one.key.display()),
            "it is no certificate revocation list".to_owned(),
        ),
    ];
    for (more, wanted) in rows {
        let words = flags(&folder.path().join("data"), "https", port, &more);
        let words: Vec<&str> =
            std::iter::once("server").chain(words.iter().map(String::as_str)).collect();
        let (code, _, error) = crate::support::run(&words).await;
        assert_eq!(code, 1, "{more}: {error}");
        assert!(error.contains(&wanted), "{more}: {error}");
    }
}

/// What both programs say to flags that they refuse, without what is about the program.
#[tokio::test]
async fn versions_and_suites_are_refused_in_etcds_words() {
    let Some(peers) = programs::peers_with(&["etcd"]) else { return };
    let etcd = peers.join("etcd");
    let rows = [
        ("--tls-min-version=TLS1.1", "unexpected TLS version \"TLS1.1\""),
        ("--tls-max-version=SSL3", "unexpected TLS version \"SSL3\""),
        ("--tls-min-version=1.2", "unexpected TLS version \"1.2\""),
        (
            "--tls-min-version=TLS1.3 --tls-max-version=TLS1.2",
            "min version (TLS1.3) is greater than max version (TLS1.2)",
        ),
        (
            "--tls-min-version=TLS1.3 --cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "cipher suites cannot be configured when only TLS1.3 is enabled",
        ),
        ("--cipher-suites=TLS_NONE", "unexpected TLS cipher suite \"TLS_NONE\""),
        ("--cipher-suites=tls_aes_128_gcm_sha256", "unexpected TLS cipher suite"),
    ];
    for (line, wanted) in rows {
        let folder = tempfile::tempdir().expect("a folder");
        for (program, first) in [(engram(), Some("server")), (etcd.as_path(), None)] {
            let data_dir = format!("--data-dir={}", folder.path().join("data").display());
            let words: Vec<&str> =
                first.into_iter().chain(line.split_whitespace()).chain([&*data_dir]).collect();
            let output = command(program, &words).output().await.expect("it runs");
            let said = String::from_utf8_lossy(&output.stderr).replace("\\\"", "\"");
            assert_eq!(output.status.code(), Some(1), "{line}: {said}");
            assert!(said.contains(wanted), "{program:?} {line}: {said}");
        }
    }
}

/// Dials with one version of TLS, and with one suite; whether it was let in.
async fn dial_with(
    port: u16,
    ca: &Ca,
    version: &'static rustls::SupportedProtocolVersion,
    suite: rustls::SupportedCipherSuite,
) -> Result<(), String> {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites = vec![suite];
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca.file()).expect("a certificate")).expect("a CA");
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("open");
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let dialled = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    dialled.map(drop).map_err(|error| error.to_string())
}

#[tokio::test]
async fn only_the_versions_and_suites_that_were_asked_for_are_spoken() {
    use rustls::crypto::ring::cipher_suite as suites;
    use rustls::version::{TLS12, TLS13};
    let Some(peers) = programs::peers_with(&["etcd"]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let ca = Ca::new(folder.path(), "ca");
    let server = ca.sign("server", &Says::local("server", 1));
    let (aes128, aes256, of_13) = (
        suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        suites::TLS13_AES_128_GCM_SHA256,
    );
    let chosen = "--cipher-suites TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    let rows = [
        ("", [true, true, true]),
        ("--tls-min-version TLS1.3", [false, false, true]),
        ("--tls-max-version TLS1.2", [true, true, false]),
        (chosen, [true, false, true]),
    ];
    for (index, (more, expected)) in rows.into_iter().enumerate() {
        let more = format!("{} {more}", server_flags(&server));
        let (own, theirs) = (free_ports(), free_ports());
        let folder_of = |name: &str| folder.path().join(format!("{name}{index}"));
        let own_flags = flags(&folder_of("own"), "https", own, &more);
        let their_flags = flags(&folder_of("theirs"), "https", theirs, &more);
        let etcd = peers.join("etcd");
        let _both =
            tokio::join!(engram_server(own_flags, own), started(&etcd, their_flags, theirs));
        for port in [own, theirs] {
            let dials = [(&TLS12, aes128), (&TLS12, aes256), (&TLS13, of_13)];
            let mut spoken = Vec::new();
            for (version, suite) in dials {
                spoken.push(dial_with(port, &ca, version, suite).await.is_ok());
            }
            assert_eq!(spoken, expected, "{more} on {port}");
        }
    }
}
