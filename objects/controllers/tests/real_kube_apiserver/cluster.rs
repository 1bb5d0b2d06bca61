//! A real etcd and kube-apiserver for the time of a test.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, Config};
use programs::Process;

/// The processes; they end with this value, the API server first.
pub(crate) struct Cluster {
    _api: Process,
    _etcd: Process,
    folder: tempfile::TempDir,
    port: u16,
}

const TOKEN: &str = "scenario-token";

impl Cluster {
    /// Starts both; does not wait.
    pub(crate) fn start(peers: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ports = programs::free_ports(3).expect("free ports");
        let [etcd, peer, port] = ports[..] else { unreachable!("as many as were asked for") };
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
            let mut command = programs::with_this_thread(&peers.join(name));
            command.args(arguments);
            let log = folder.path().join(format!("{name}.log"));
            Process::start(name, command, &log).expect("setpriv and the program start")
        };
        let (etcd, api) = (start("etcd", &store), start("kube-apiserver", &api));
        Self { _api: api, _etcd: etcd, folder, port }
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

/// A key for service account tokens, made by openssl; its path.
fn rsa_key(path: &str) -> String {
    let made = Command::new("openssl").args(["genrsa", "-out", path]).output();
    assert!(made.is_ok_and(|output| output.status.success()), "openssl makes a key");
    path.to_owned()
}
