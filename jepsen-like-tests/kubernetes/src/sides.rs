//! The two sides of a comparison: an API server on a store, brought up and waited for.
//!
//! Invariants: everything lives in one temporary folder and on free loopback ports; the processes
//! end with the side; ready means that `/readyz` said ok.
//!
//! Must not know: what is asked of a side.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;

use crate::client::Client;
use crate::pause;
use crate::process::{self, Process, Programs, free_ports};

/// The one user of a run: in `system:masters`.
pub const TOKEN: &str = "admin-token";
/// By default the real ones hold themselves back to 20 requests a second; that is not what is
/// compared.
const UNTHROTTLED: [&str; 2] = ["--kube-api-qps=5000", "--kube-api-burst=5000"];
const READY: Duration = Duration::from_secs(90);

/// What an API server makes last of its own objects.
const MADE_LAST: &str = "/api/v1/namespaces/default/services/kubernetes";

/// Which API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// The real kube-apiserver.
    Real,
    /// Ours.
    Ours,
}

/// Which store is under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// The real etcd.
    Etcd,
    /// Ours.
    Engram,
}

/// Admission plugins of the real one that stay on: those whose work ours does too.
///
/// What the others do (default tolerations, priorities, quotas, webhooks …) comes later with
/// admission; each run of the comparison is held without them.
const ADMISSION_OFF: &[&str] = &[
    "CertificateApproval",
    "CertificateSigning",
    "CertificateSubjectRestriction",
    "DefaultIngressClass",
    "DefaultStorageClass",
    "LimitRanger",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionWebhook",
    "PersistentVolumeClaimResize",
    "PodSecurity",
    "ResourceQuota",
    "RuntimeClass",
    "ServiceAccount",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
    "ClusterTrustBundleAttest",
    "PodTopologyLabels",
    "NodeDeclaredFeatureValidator",
    "PodGroupProtection",
    "PodResizeValidator",
];

/// An API server and what is under it.
#[derive(Debug)]
pub struct Side {
    /// How it is called in what is printed.
    pub name: String,
    /// The folder of its files and logs.
    pub folder: PathBuf,
    /// Its HTTPS port.
    pub port: u16,
    /// A client of it.
    pub client: Client,
    /// A kubeconfig for it.
    pub kubeconfig: PathBuf,
    /// Its processes: the store first, then the API server, then whatever a run adds.
    pub processes: Vec<Process>,
    /// How long the API server took from its start to ready.
    pub ready_after: Duration,
}

impl Side {
    /// Starts a store of one member and an API server on it, and waits until it is ready.
    pub async fn start(
        programs: &Programs,
        folder: &Path,
        name: &str,
        api: Api,
        store: Store,
        flags: &[&str],
    ) -> Result<Self> {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        let ports = free_ports(3)?;
        let members = [(ports[0], ports[1])];
        let store = start_store_member(programs, &folder, store, &members, 0)?;
        let endpoints = format!("http://127.0.0.1:{}", ports[0]);
        let mut side = Self {
            name: name.to_owned(),
            port: ports[2],
            client: Client::new(ports[2], TOKEN)?,
            kubeconfig: write_kubeconfig(&folder, "kubeconfig", ports[2])?,
            processes: vec![store],
            ready_after: Duration::ZERO,
            folder,
        };
        let started = std::time::Instant::now();
        let process = start_api(programs, &side.folder, api, &endpoints, side.port, flags)?;
        side.processes.push(process);
        side.wait_ready().await?;
        side.ready_after = started.elapsed();
        Ok(side)
    }

    /// Waits until `/readyz` says ok, or a process has ended.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let Self { client, processes, name, .. } = self;
        let what = format!("{name} is ready");
        let ready = pause::until(&what, READY, async || {
            if let Some(ended) = processes.iter_mut().find_map(Process::ended) {
                return Ok(Err(ended));
            }
            for path in ["/readyz", MADE_LAST] {
                match client.ask("GET", path, &[], Bytes::new()).await {
                    Ok(answer) if answer.status == 200 => {}
                    Ok(answer) => return Err(format!("{path}: {}", answer.status)),
                    Err(error) => return Err(format!("{error:#}")),
                }
            }
            Ok(Ok(()))
        });
        ready.await.with_context(|| self.logs())?.map_err(|ended| anyhow::anyhow!(ended))
    }

    /// The ends of all logs.
    #[must_use]
    pub fn logs(&self) -> String {
        let tails = self.processes.iter().map(|it| format!("-- {}:\n{}", it.name(), it.tail()));
        tails.collect::<Vec<_>>().join("\n")
    }

    /// Starts the real kube-controller-manager and kube-scheduler as clients of this side.
    pub fn start_real_controllers(&mut self, programs: &Programs) -> Result<()> {
        let kubeconfig = self.kubeconfig.display().to_string();
        let key = service_account_key(&self.folder)?;
        let ports = free_ports(2)?;
        let manager = [
            format!("--kubeconfig={kubeconfig}"),
            format!("--authentication-kubeconfig={kubeconfig}"),
            format!("--authorization-kubeconfig={kubeconfig}"),
            format!("--service-account-private-key-file={}", key.display()),
            format!("--cert-dir={}", self.folder.join("kcm-certs").display()),
            format!("--secure-port={}", ports[0]),
            "--use-service-account-credentials=false".to_owned(),
            "--leader-elect=false".to_owned(),
            "--allocate-node-cidrs=false".to_owned(),
        ];
        let scheduler = [
            format!("--kubeconfig={kubeconfig}"),
            format!("--authentication-kubeconfig={kubeconfig}"),
            format!("--authorization-kubeconfig={kubeconfig}"),
            format!("--cert-dir={}", self.folder.join("scheduler-certs").display()),
            format!("--secure-port={}", ports[1]),
            "--leader-elect=false".to_owned(),
        ];
        for (name, arguments) in
            [("kube-controller-manager", &manager[..]), ("kube-scheduler", &scheduler[..])]
        {
            let unthrottled = UNTHROTTLED.map(str::to_owned);
            let arguments = [arguments, &unthrottled].concat();
            let process = process::start(name, &programs.peer(name), &arguments, &self.folder)?;
            self.processes.push(process);
        }
        Ok(())
    }

    /// Starts our controllers (scheduler and simulated nodes among them) as clients of this side.
    pub fn start_our_controllers(&mut self, programs: &Programs, flags: &[&str]) -> Result<()> {
        let mut arguments =
            vec!["controllers".to_owned(), format!("--kubeconfig={}", self.kubeconfig.display())];
        arguments.extend(flags.iter().map(|&flag| flag.to_owned()));
        let name = format!("controllers-{}", self.processes.len());
        let process = process::start(&name, &programs.engram, &arguments, &self.folder)?;
        self.processes.push(process);
        Ok(())
    }
}

/// Starts one member of a store; `members` are the client and peer ports of all.
pub fn start_store_member(
    programs: &Programs,
    folder: &Path,
    store: Store,
    members: &[(u16, u16)],
    number: usize,
) -> Result<Process> {
    let peer = |number: usize| format!("http://127.0.0.1:{}", members[number].1);
    let client = format!("http://127.0.0.1:{}", members[number].0);
    let initial: Vec<_> = (0..members.len()).map(|n| format!("m{n}={}", peer(n))).collect();
    let mut arguments = match store {
        Store::Etcd => Vec::new(),
        Store::Engram => vec!["server".to_owned()],
    };
    arguments.extend([
        format!("--name=m{number}"),
        format!("--data-dir={}", folder.join(format!("m{number}")).display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={}", peer(number)),
        format!("--initial-advertise-peer-urls={}", peer(number)),
        format!("--initial-cluster={}", initial.join(",")),
        "--initial-cluster-state=new".to_owned(),
        "--initial-cluster-token=harness".to_owned(),
    ]);
    let program = match store {
        Store::Etcd => programs.peer("etcd"),
        Store::Engram => programs.engram.clone(),
    };
    process::start(&format!("store-{number}"), &program, &arguments, folder)
}

/// Starts an API server on a store's endpoints.
pub fn start_api(
    programs: &Programs,
    folder: &Path,
    api: Api,
    endpoints: &str,
    port: u16,
    flags: &[&str],
) -> Result<Process> {
    let tokens = folder.join("tokens.csv");
    std::fs::write(&tokens, format!("{TOKEN},admin,admin,\"system:masters\"\n"))?;
    let key = service_account_key(folder)?;
    let certificates = folder.join(format!("certs-{port}"));
    let mut arguments = vec![
        format!("--etcd-servers={endpoints}"),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--cert-dir={}", certificates.display()),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-signing-key-file={}", key.display()),
        format!("--service-account-key-file={}", key.with_extension("pub").display()),
        format!("--token-auth-file={}", tokens.display()),
        "--authorization-mode=AlwaysAllow".to_owned(),
        "--allow-privileged=true".to_owned(),
        format!("--disable-admission-plugins={}", ADMISSION_OFF.join(",")),
    ];
    arguments.extend(flags.iter().map(|&flag| flag.to_owned()));
    let program = match api {
        Api::Real => programs.peer("kube-apiserver"),
        Api::Ours => {
            arguments.insert(0, "apiserver".to_owned());
            programs.engram.clone()
        }
    };
    process::start(&format!("apiserver-{port}"), &program, &arguments, folder)
}

/// The key that service account tokens are signed with, made once in a folder.
fn service_account_key(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("service-accounts.key");
    if !path.exists() {
        let pair = rcgen::KeyPair::generate()?;
        std::fs::write(path.with_extension("pub"), pair.public_key_pem())?;
        std::fs::write(&path, pair.serialize_pem())?;
    }
    Ok(path)
}

/// Writes a kubeconfig for a port.
pub fn write_kubeconfig(folder: &Path, name: &str, port: u16) -> Result<PathBuf> {
    let path = folder.join(name);
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\nclusters:\n- name: c\n  cluster:\n    \
         server: https://127.0.0.1:{port}\n    insecure-skip-tls-verify: true\nusers:\n- name: u\n  \
         user:\n    token: {TOKEN}\ncontexts:\n- name: x\n  context:\n    cluster: c\n    user: u\n"
    );
    std::fs::write(&path, text)?;
    Ok(path)
}
