//! A real etcd and kube-apiserver for the time of a test.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, Config};

/// The folder of the real programs, if they are there.
pub(crate) fn programs() -> Option<PathBuf> {
    let cache = std::env::var_os("ENGRAM_CACHE").map(PathBuf::from).unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/engram")
    });
    let peers =
        std::env::var_os("ENGRAM_PEERS").map_or_else(|| cache.join("peers/bin"), PathBuf::from);
    let all = ["etcd", "kube-apiserver"].iter().all(|name| peers.join(name).is_file());
    all.then_some(peers)
}

/// The processes; they end with this value.
pub(crate) struct Cluster {
    processes: Vec<Child>,
    folder: tempfile::TempDir,
    port: u16,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

const TOKEN: &str = "scenario-token";

impl Cluster {
    /// Starts both; does not wait.
    pub(crate) fn start(programs: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [etcd, peer, port] = free_ports();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let tokens = format!("{TOKEN},admin,admin,\"system:masters\"\n");
        std::fs::write(path("tokens.csv"), tokens).expect("a file in the folder");
        let key = rsa_key(&path("sa.key"));
        let (etcd, peer) = (format!("http://127.0.0.1:{etcd}"), format!("http://127.0.0.1:{peer}"));
        let store = [
            format!("--data-dir={}", path("etcd")),
            format!("--listen-client-urls={etcd}"),
            format!("--advertise-client-urls={etcd}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=default={peer}"),
            "--log-level=error".to_owned(),
            "--unsafe-no-fsync".to_owned(),
        ];
        let api = [
            format!("--etcd-servers={etcd}"),
            format!("--secure-port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--cert-dir={}", path("certificates")),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-signing-key-file={key}"),
            format!("--service-account-key-file={key}"),
            format!("--token-auth-file={}", path("tokens.csv")),
            "--authorization-mode=AlwaysAllow".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
        ];
        let start = |name: &str, arguments: &[String]| {
            let log = File::create(folder.path().join(format!("{name}.log"))).expect("a log");
            Command::new("setpriv")
                .args(["--pdeathsig", "KILL", "--"])
                .arg(programs.join(name))
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(log.try_clone().expect("a second handle"))
                .stderr(log)
                .spawn()
                .expect("setpriv and the program start")
        };
        let processes = vec![start("etcd", &store), start("kube-apiserver", &api)];
        Self { processes, folder, port }
    }

    /// A new client, whether the server answers or not.
    pub(crate) fn client(&self) -> Client {
        let url = format!("https://127.0.0.1:{}", self.port).parse().expect("an address");
        let mut config = Config::new(url);
        config.accept_invalid_certs = true;
        config.auth_info.token = Some(TOKEN.to_owned().into());
        Client::try_from(config).expect("a client")
    }

    /// A client, once the server answers and its own namespaces are there.
    pub(crate) async fn ready(&self) -> Client {
        let client = self.client();
        let begin = Instant::now();
        let mut looks = tokio::time::interval(crate::world::LOOK);
        let namespaces = Api::<Namespace>::all(client.clone());
        loop {
            if matches!(namespaces.get_opt("default").await, Ok(Some(_))) {
                return client;
            }
            let log = self.folder.path().join("kube-apiserver.log");
            assert!(begin.elapsed() < Duration::from_secs(60), "not ready: {}", log.display());
            looks.tick().await;
        }
    }
}

fn free_ports() -> [u16; 3] {
    let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    held.map(|listener| listener.local_addr().expect("a bound address").port())
}

/// A key for service account tokens, made by openssl; its path.
fn rsa_key(path: &str) -> String {
    let made = Command::new("openssl").args(["genrsa", "-out", path]).output();
    assert!(made.is_ok_and(|output| output.status.success()), "openssl makes a key");
    path.to_owned()
}
