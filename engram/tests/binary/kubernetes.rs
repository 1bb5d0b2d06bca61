//! The Kubernetes API of the binary, as kubectl and a bad client meet it over HTTPS.
//!
//! A test that does not find the real kubectl says so and holds its conversation as far as it can
//! without.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::process::Command;

use crate::support::{PATIENCE, Process, command, engram, free_ports};

const END_WITHIN: Duration = Duration::from_millis(1500);

/// kubectl with a kubeconfig.
struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// *Shape*: none when there is no kubectl; that is said on standard error.
    fn find(kubeconfig: &Path) -> Option<Self> {
        let program = programs::peers_with(&["kubectl"])?.join("kubectl");
        Some(Kubectl { program, kubeconfig: kubeconfig.to_owned() })
    }

    /// Runs a line: exit code, and everything it printed.
    async fn run(&self, line: &str) -> (i32, String) {
        self.words(&line.split_whitespace().collect::<Vec<_>>()).await
    }

    async fn words(&self, words: &[&str]) -> (i32, String) {
        let home = self.kubeconfig.parent().expect("in a folder");
        let output = Command::new(&self.program)
            .args(words)
            .env_clear()
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", home)
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(PATIENCE, output).await;
        let output = output.unwrap_or_else(|_| panic!("kubectl {words:?} hangs")).expect("it runs");
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap_or(-1), text)
    }

    /// Runs a line that succeeds.
    async fn ok(&self, line: &str) -> String {
        let (code, text) = self.run(line).await;
        assert_eq!(code, 0, "kubectl {line}:\n{text}");
        text
    }

    /// Runs a line until its output holds this.
    async fn until(&self, line: &str, wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut pulse = tokio::time::interval(Duration::from_millis(100));
        loop {
            let (_, text) = self.run(line).await;
            if text.contains(wanted) {
                return;
            }
            assert!(Instant::now() < deadline, "kubectl {line} has no {wanted:?}:\n{text}");
            pulse.tick().await;
        }
    }
}

#[tokio::test]
async fn a_deployment_is_made_scaled_healed_and_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut dev, text) = Process::dev(folder.path(), free_ports(), &[]).await;
    assert!(text.contains("3 simulated nodes"), "{text}");
    assert!(text.contains("export KUBECONFIG="), "{text}");
    let Some(kubectl) = Kubectl::find(&folder.path().join("kubeconfig")) else { return };
    kubectl.ok("create deployment web --image=demo --replicas=3").await;
    kubectl.ok("rollout status deployment/web --timeout=20s").await;
    kubectl.ok("scale deployment/web --replicas=2").await;
    kubectl.until("get deployment web", "2/2").await;
    kubectl.ok("delete pod -l app=web").await;
    kubectl.ok("rollout status deployment/web --timeout=20s").await;
    kubectl.ok("delete deployment web --cascade=foreground --timeout=20s").await;
    kubectl.until("get pods", "No resources found").await;
    let (status, took) = dev.end(Signal::INT).await;
    assert!(status.success(), "{status}");
    assert!(took < END_WITHIN, "{took:?}");
}

#[tokio::test]
async fn kubectl_explains_applies_describes_and_watches() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_dev, _) = Process::dev(folder.path(), free_ports(), &["--sim-nodes", "1"]).await;
    let Some(kubectl) = Kubectl::find(&folder.path().join("kubeconfig")) else { return };
    let file = folder.path().join("config.yaml");
    let object = |value: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: one\ndata:\n  key: {value}\n")
    };
    std::fs::write(&file, object("first")).expect("written");
    let apply = format!("apply -f {}", file.display());
    assert!(kubectl.ok(&apply).await.contains("created"));
    assert!(kubectl.ok(&apply).await.contains("unchanged"));
    std::fs::write(&file, object("second")).expect("written");
    assert!(kubectl.ok(&apply).await.contains("configured"));
    assert!(kubectl.ok("get configmap one -o yaml").await.contains("key: second"));
    assert!(kubectl.ok("get configmap one").await.contains("DATA"));
    assert!(kubectl.ok("explain deployment.spec").await.contains("replicas"));
    assert!(kubectl.ok("api-resources").await.contains("deployments"));
    assert!(kubectl.ok("describe node node-1").await.contains("Allocatable:"));
    assert!(kubectl.ok("auth whoami").await.contains("engram-admin"));
    assert!(kubectl.ok("get --raw /readyz?verbose").await.contains("readyz check passed"));
    let (_, text) = kubectl.run("get configmaps -w --request-timeout=2s").await;
    assert!(text.contains("one"), "{text}");
}

#[tokio::test]
async fn what_kubectl_asks_wrongly_is_refused_in_its_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_dev, _) = Process::dev(folder.path(), free_ports(), &[]).await;
    let Some(kubectl) = Kubectl::find(&folder.path().join("kubeconfig")) else { return };
    let table = [
        ("get deployment nope", "(NotFound): deployments.apps \"nope\" not found"),
        ("get nonsense", "the server doesn't have a resource type \"nonsense\""),
        ("create namespace Bad_Name", "is invalid: metadata.name: Invalid value: \"Bad_Name\""),
        ("create namespace default", "(AlreadyExists): namespaces \"default\" already exists"),
        ("get pods -l a===b", "unable to parse requirement"),
        ("get pods --field-selector a=b", "field label not supported: a"),
        ("delete pod nope", "(NotFound): pods \"nope\" not found"),
        ("run x --image=demo -n nope", "namespaces \"nope\" not found"),
        ("get --raw /nope", "the server could not find the requested resource"),
    ];
    for (line, wanted) in table {
        let (code, text) = kubectl.run(line).await;
        assert_ne!(code, 0, "kubectl {line}:\n{text}");
        assert!(text.contains(wanted), "kubectl {line}:\n{text}");
    }
}

/// The API server over the store of another process, and a second one beside it.
#[tokio::test]
async fn two_api_servers_on_one_store_behave_as_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_ports();
    let (_dev, _) = Process::dev(&folder.path().join("store"), port, &["--no-kubernetes"]).await;
    let first = ApiServer::start(folder.path(), "first", port, port + 100).await;
    let second = ApiServer::start(folder.path(), "second", port, port + 200).await;
    let (Some(one), Some(other)) = (Kubectl::find(&first.1), Kubectl::find(&second.1)) else {
        return;
    };
    for at in 0..10 {
        one.ok(&format!("create configmap c{at} --from-literal=a=b")).await;
        other.ok(&format!("get configmap c{at}")).await;
        assert!(other.ok("get configmaps").await.contains(&format!("c{at}")));
        other.ok(&format!("delete configmap c{at}")).await;
        let (code, _) = one.run(&format!("get configmap c{at}")).await;
        assert_eq!(code, 1, "c{at} was deleted on the other server");
    }
}

struct ApiServer(#[expect(dead_code, reason = "it runs as long as this lives")] Process, PathBuf);

impl ApiServer {
    async fn start(folder: &Path, name: &str, store: u16, port: u16) -> Self {
        let cert_dir = folder.join(name);
        let flags = [
            "apiserver".to_owned(),
            format!("--etcd-servers=http://127.0.0.1:{store}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--cert-dir={}", cert_dir.display()),
        ];
        let words: Vec<&str> = flags.iter().map(String::as_str).collect();
        let child = command(engram(), &words).spawn().expect("it starts");
        let process = Process::said(child, port, "ready to serve").await;
        ApiServer(process, cert_dir.join("admin.kubeconfig"))
    }
}

#[tokio::test]
async fn whoever_shows_nothing_gets_health_and_version_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (dev, _) = Process::dev(folder.path(), free_ports(), &[]).await;
    let Some(kubectl) = Kubectl::find(&folder.path().join("kubeconfig")) else { return };
    // kubectl asks its user for a name when it has no credential; a password is none to the server.
    let of = |user: &str| {
        format!(
            "{{clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:{}', \
             insecure-skip-tls-verify: true}}}}], users: [{{name: u, user: {user}}}], \
             contexts: [{{name: x, context: {{cluster: c, user: u}}}}], current-context: x}}",
            dev.port + 300
        )
    };
    let kubeconfig = folder.path().join("nobody");
    std::fs::write(&kubeconfig, of("{username: nobody, password: x}")).expect("written");
    let nobody = Kubectl { kubeconfig: kubeconfig.clone(), ..kubectl };
    let ask = async |path: &str| nobody.words(&["get", "--raw", path]).await;
    assert_eq!(ask("/healthz").await, (0, "ok".to_owned()));
    assert_eq!(ask("/version").await.0, 0);
    for path in ["/api", "/api/v1/pods", "/metrics", "/openapi/v3", "/nope"] {
        let (code, text) = ask(path).await;
        assert_eq!(code, 1, "{path}: {text}");
        assert!(text.contains("Unauthorized") || text.contains("must be logged in"), "{text}");
    }
    std::fs::write(&kubeconfig, of("{token: wrong}")).expect("written");
    let (code, text) = ask("/healthz").await;
    assert_eq!(code, 1, "a wrong token is refused everywhere: {text}");
}

#[tokio::test]
async fn a_taken_port_of_kubernetes_leaves_the_store_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_ports();
    let taken = std::net::TcpListener::bind(("127.0.0.1", port + 300)).expect("free");
    let (dev, text) = Process::dev(folder.path(), port, &[]).await;
    assert!(text.contains("Kubernetes  not served: cannot listen on 127.0.0.1"), "{text}");
    dev.put("greeting", "hello").await;
    drop(taken);
}

#[tokio::test]
async fn a_quorum_serves_kubernetes_too_and_ends_cleanly() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut dev, text) = Process::dev(folder.path(), free_ports(), &["--nodes", "3"]).await;
    assert!(text.lines().count() <= 22, "{text}");
    if let Some(kubectl) = Kubectl::find(&folder.path().join("kubeconfig")) {
        kubectl.ok("create deployment web --image=demo --replicas=2").await;
        kubectl.ok("rollout status deployment/web --timeout=20s").await;
    }
    let (status, _) = dev.end(Signal::TERM).await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn flags_that_cannot_be_are_told() {
    let table: [(&[&str], &str); 4] = [
        (&["apiserver"], "--etcd-servers must be specified"),
        (&["apiserver", "--etcd-server=x"], "did you mean --etcd-servers?"),
        (&["apiserver", "--etcd-servers=a", "--oidc-issuer-url=x"], "cannot be used"),
        (&["controllers"], "--kubeconfig or --master must be specified"),
    ];
    for (words, wanted) in table {
        let (code, _, error) = crate::support::run(words).await;
        assert_eq!(code, 1, "{words:?}");
        assert!(error.contains(wanted), "{words:?}: {error}");
    }
}
