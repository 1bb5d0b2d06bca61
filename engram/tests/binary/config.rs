//! Flags, variables and files of the binary, as the drivers of etcd binaries give them.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::certificates::{Ca, Says};
use crate::support::{Process, command, engram, free_ports, run};

/// `engram` under the name `etcd`.
fn etcd(folder: &Path) -> std::path::PathBuf {
    let etcd = folder.join("etcd");
    std::os::unix::fs::symlink(engram(), &etcd).expect("a link");
    etcd
}

async fn ready(program: &Path, words: &[String], port: u16) -> Process {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let child = command(program, &words).spawn().expect("it starts");
    Process::said(child, port, "ready to serve client requests").await
}

/// kubeadm's list for a first control plane node (cmd/kubeadm/app/phases/etcd/local.go), in the
/// order in which it writes them; the machine's addresses, ports and folders are the test's.
#[tokio::test]
async fn kubeadms_static_pod_starts_unchanged() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = Ca::new(folder.path(), "ca");
    let (server, peer) =
        (ca.sign("server", &Says::local("node", 1)), ca.sign("peer", &Says::local("node", 2)));
    let port = free_ports();
    let (peer_url, metrics) = (format!("https://127.0.0.1:{}", port + 1), port + 100);
    let client_urls = format!("https://127.0.0.1:{port},https://127.0.0.2:{port}");
    let text = |path: &Path| path.display().to_string();
    let rows = [
        ("advertise-client-urls", format!("https://127.0.0.2:{port}")),
        ("cert-file", text(&server.cert)),
        ("client-cert-auth", "true".to_owned()),
        ("data-dir", text(&folder.path().join("data"))),
        ("feature-gates", "InitialCorruptCheck=true".to_owned()),
        ("initial-advertise-peer-urls", peer_url.clone()),
        ("initial-cluster", format!("node={peer_url}")),
        ("key-file", text(&server.key)),
        ("listen-client-urls", client_urls),
        ("listen-metrics-urls", format!("http://127.0.0.1:{metrics}")),
        ("listen-peer-urls", peer_url),
        ("name", "node".to_owned()),
        ("peer-cert-file", text(&peer.cert)),
        ("peer-client-cert-auth", "true".to_owned()),
        ("peer-key-file", text(&peer.key)),
        ("peer-trusted-ca-file", text(&ca.file())),
        ("snapshot-count", "10000".to_owned()),
        ("trusted-ca-file", text(&ca.file())),
        ("watch-progress-notify-interval", "5s".to_owned()),
    ];
    let words: Vec<String> =
        rows.into_iter().map(|(name, value)| format!("--{name}={value}")).collect();
    let _process = ready(&etcd(folder.path()), &words, port).await;
    for probe in ["/livez", "/readyz"] {
        let answer = plain_http(metrics, probe).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{probe}: {answer}");
    }
}

/// kwokctl's list (pkg/kwokctl/components/etcd.go).
#[tokio::test]
async fn kwokctls_arguments_start_unchanged() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_ports();
    let (client, peer) =
        (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{}", port + 1));
    let words = [
        "--name=node0".to_owned(),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--listen-peer-urls={peer}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-client-urls={client}"),
        format!("--initial-cluster=node0={peer}"),
        "--auto-compaction-retention=1".to_owned(),
        "--quota-backend-bytes=8589934592".to_owned(),
        format!("--data-dir={}", folder.path().join("data").display()),
    ];
    let process = ready(&etcd(folder.path()), &words, port).await;
    process.put("a", "1").await;
}

async fn plain_http(port: u16, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
    let mut stream = stream.expect("open");
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("text");
    answer
}

#[tokio::test]
async fn a_configuration_file_stands_alone_and_http_has_a_port_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_ports();
    let file = folder.path().join("etcd.yaml");
    let data_dir = folder.path().join("data");
    let text = format!(
        "# etcd's names\nname: from-file\ndata-dir: {}\nlisten-client-urls: \
         http://127.0.0.1:{port}\nadvertise-client-urls: http://127.0.0.1:{port}\n\
         listen-client-http-urls: http://127.0.0.1:{http}\nlisten-peer-urls: \
         http://127.0.0.1:{peer}\ninitial-advertise-peer-urls: http://127.0.0.1:{peer}\n\
         initial-cluster: from-file=http://127.0.0.1:{peer}\nheartbeat-interval: 50\n\
         election-timeout: 500\nauto-compaction-retention: 1\n\
         watch-progress-notify-interval: 600000000000\nlog-outputs: [stderr]\n\
         quota-backend-bytes: 0\nnot-a-key: 1\n",
        data_dir.display(),
        http = port + 100,
        peer = port + 1,
    );
    std::fs::write(&file, text).expect("written");
    let config = format!("--config-file={}", file.display());
    let words = ["server", "--name=from-flag", config.as_str()].map(str::to_owned);
    let process = ready(engram(), &words, port).await;
    process.put("a", "1").await;
    assert!(plain_http(port + 100, "/health").await.contains(r#""health":"true""#));
    let grpc_port = tokio::time::timeout(Duration::from_secs(5), refused(port)).await;
    assert!(grpc_port.expect("it answers or hangs up"), "gRPC's port serves no pages");
}

/// Whether HTTP/1 gets no page there.
async fn refused(port: u16) -> bool {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
    let mut stream = stream.expect("open");
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .expect("sent");
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    !answer.starts_with(b"HTTP/1.1 200")
}

#[tokio::test]
async fn files_that_cannot_be_read_stop_the_start_with_a_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("etcd.yaml");
    let config = format!("--config-file={}", path.display());
    let missing = format!("open {}: no such file or directory", path.display());
    let (code, _, error) = run(&["server", &config]).await;
    assert_eq!((code, error.contains(&missing)), (1, true), "{error}");
    let rows: [(&[u8], &str); 6] = [
        (b"name: [", "error converting YAML"),
        (b"name: a\nname: b\n", "duplicate"),
        (b"- a\n", "must be a map of keys"),
        (b"heartbeat-interval: fast\n", "heartbeat-interval must be a number"),
        (b"client-transport-security: yes\n", "invalid client-transport-security"),
        (b"name: \xff\n", "it is not UTF-8"),
    ];
    for (text, wanted) in rows {
        std::fs::write(&path, text).expect("written");
        let (code, _, error) = run(&["server", &config]).await;
        assert_eq!(code, 1, "{text:?}: {error}");
        assert!(error.contains(wanted), "{text:?}: {error}");
    }
    std::fs::write(&path, vec![b'#'; 2 << 20]).expect("written");
    let (code, _, error) = run(&["server", &config]).await;
    assert_eq!((code, error.contains("at most 1 MiB")), (1, true), "{error}");
}

#[tokio::test]
async fn what_cannot_be_done_ends_as_etcd_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let etcd = etcd(folder.path());
    let rows: [(&[&str], i32, &str); 5] = [
        (&["--bogus"], 2, "flag provided but not defined: -bogus"),
        (&["--feature-gates=Foo=true"], 2, "unrecognized feature gate: Foo"),
        (&["--tls-min-version=TLS1.1"], 1, r#""msg":"failed to verify flags""#),
        (&["extra"], 1, r#""error":"\"extra\" is not a valid flag""#),
        (&["grpc-proxy", "start"], 2, "`grpc-proxy` is refused"),
    ];
    for (words, code, wanted) in rows {
        let output = command(&etcd, words).output().await.expect("it runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {error}");
        assert!(error.contains(wanted), "{words:?}: {error}");
    }
}

#[tokio::test]
async fn what_can_be_read_and_not_be_done_ends_with_code_1() {
    let rows: [(&[&str], &str); 3] = [
        (&["server", "--cert-file=x"], "KeyFile and CertFile must both be present[key: , cert: x]"),
        (&["server", "extra"], "\"extra\" is not a valid flag"),
        (
            &["server", "--enable-distributed-tracing", "--distributed-tracing-sampling-rate=-1"],
            "distributed tracing configurition is not valid: (tracing sampling rate must be \
             positive)",
        ),
    ];
    for (words, reason) in rows {
        let (code, out, error) = run(words).await;
        assert_eq!((code, out.as_str()), (1, ""), "{words:?}");
        assert!(error.contains(reason), "{words:?}: {error}");
    }
}

/// Every line of a healthy life has etcd's keys, and none is an error.
#[tokio::test]
async fn a_healthy_run_logs_etcds_lines_and_no_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_ports();
    let log = folder.path().join("log");
    let peer = format!("http://127.0.0.1:{}", port + 1);
    let words = [
        "server".to_owned(),
        "--name=a".to_owned(),
        format!("--data-dir={}", folder.path().join("data").display()),
        format!("--listen-client-urls=http://127.0.0.1:{port}"),
        format!("--advertise-client-urls=http://127.0.0.1:{port}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=a={peer}"),
        "--log-level=debug".to_owned(),
        format!("--log-outputs=stderr,{}", log.display()),
    ];
    let mut process = ready(engram(), &words, port).await;
    process.put("a", "1").await;
    let (status, _) = process.end(Signal::TERM).await;
    assert!(status.success(), "{status}");
    let text = std::fs::read_to_string(&log).expect("a log");
    for line in text.lines() {
        let read: serde_json::Value = serde_json::from_str(line).expect("JSON");
        for key in ["level", "ts", "caller", "msg"] {
            assert!(read[key].is_string(), "{key}: {line}");
        }
        assert_ne!(read["level"], "error", "{line}");
        let ts = read["ts"].as_str().expect("a text");
        assert_eq!((ts.len(), &ts[10..11], &ts[26..]), (27, "T", "Z"), "{line}");
        let caller = read["caller"].as_str().expect("a text");
        assert!(caller.contains(".rs:"), "{line}");
    }
    for message in [
        "starting an etcd server",
        "serving peer traffic",
        "serving client traffic insecurely; this is strongly discouraged!",
        "ready to serve client requests",
        "now serving peer/client/metrics",
        "received signal; shutting down",
        "closing etcd server",
        "closed etcd server",
    ] {
        assert!(text.contains(&format!(r#""msg":"{message}""#)), "{message}:\n{text}");
    }
    let urls = format!(r#""listen-client-urls":["http://127.0.0.1:{port}"]"#);
    assert!(text.contains(&urls), "lists are lists:\n{text}");
}

#[tokio::test]
async fn lines_for_people_are_parted_by_tabs() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_ports();
    let log = folder.path().join("log");
    let outputs = format!("stderr,{}", log.display());
    let first = ["server", "--log-format", "console", "--log-outputs", outputs.as_str()];
    let mut process = Process::server(engram(), &first, &folder.path().join("data"), port).await;
    // Each output is written in turn: the file has all when the process has ended.
    process.end(Signal::TERM).await;
    let text = std::fs::read_to_string(&log).expect("a log");
    let line = text.lines().find(|line| line.contains("ready to serve")).expect("a line");
    let parts: Vec<_> = line.split('\t').collect();
    assert_eq!((parts[1], parts[3]), ("info", "ready to serve client requests"), "{line}");
}
