//! The server: started, told apart from others, stopped.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::ServiceExt as _;

use super::authn::Authenticator;
use super::bootstrap::{self, Assumed};
use super::kubeconfig::Kubeconfig;
use super::pki::{self, Pair, Pki, PkiError};
use super::tokens::{Tokens, TokensError};
use super::user::User;
use crate::registry::{Cidr, Registry, RegistryOptions};
use crate::rest::{self, Discovery, Door, Health, Metrics, Ping, Seats, Step};
use crate::storage::{Compactor, GrpcService, ServiceError, Storage};

/// How often the store is asked whether it is there, and how long it may take.
const ASK_STORE: Duration = Duration::from_secs(2);

/// How a server is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens; port 0 for any.
    pub address: SocketAddr,
    /// The certificate folder.
    pub cert_dir: PathBuf,
    /// A certificate and key of one's own, in place of the generated ones.
    pub serving: Option<(PathBuf, PathBuf)>,
    /// The CA that signs clients' certificates, besides the generated one.
    pub client_ca: Option<PathBuf>,
    /// Bearer tokens.
    pub token_file: Option<PathBuf>,
    /// The range of service addresses.
    pub service_cidr: String,
    /// Where others reach the server, when that is not where it listens.
    pub advertise: Option<IpAddr>,
    /// Names and addresses that the serving certificate is valid for besides the usual ones.
    pub names: Vec<String>,
    /// Where the administrator's kubeconfig is written.
    pub kubeconfig: Option<PathBuf>,
    /// Reads and writes under way at most.
    pub reads_max: usize,
    /// See `reads_max`.
    pub writes_max: usize,
    /// How often this server takes its turn at forgetting the store's old history; none for never.
    pub compaction_interval: Option<Duration>,
}

/// Compat: kube-apiserver's default.
const COMPACTION_INTERVAL: Duration = Duration::from_secs(300);

impl Options {
    /// The defaults, for an address and a certificate folder.
    pub fn new(address: SocketAddr, cert_dir: PathBuf) -> Self {
        Options {
            address,
            cert_dir,
            serving: None,
            client_ca: None,
            token_file: None,
            service_cidr: "10.0.0.0/24".to_owned(),
            advertise: None,
            names: Vec::new(),
            kubeconfig: None,
            reads_max: 400,
            writes_max: 200,
            compaction_interval: Some(COMPACTION_INTERVAL),
        }
    }
}

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The certificates.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The token file.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// The TLS configuration.
    #[error("cannot use the certificates: {0}")]
    Tls(#[from] rustls::Error),
    /// The port.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The kubeconfig.
    #[error("cannot write {path}: {source}")]
    Kubeconfig {
        /// Which file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// An option that cannot be.
    #[error("{0}")]
    Option(String),
}

/// A running API server. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    ca_certificate: String,
    controllers: Pair,
    health: Health,
    steps: [Arc<Step>; 3],
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

/// Starts a server on the current runtime. It answers from the return on; it is ready when the
/// store is reached, the caches are filled and the system objects are there.
///
/// *Errors*: certificates, files, the port. An unreachable store is none: the server waits for it.
pub async fn serve(options: Options, storage: Arc<dyn Storage>) -> Result<Server, ServeError> {
    let cidr = Cidr::parse(&options.service_cidr).map_err(ServeError::Option)?;
    // Order: the port first, so that a second server changes nothing.
    let listener = rest::listen(options.address)
        .map_err(|source| ServeError::Listen { address: options.address, source })?;
    let address = listener.local_addr().unwrap_or(options.address);
    let identity = Identity::make(&options, cidr, address)?;
    let provider = Arc::new(ring::default_provider());
    let authenticator = identity.authenticator(&options, &provider)?;
    let tls = identity.tls(&authenticator, provider)?;
    let rows = RegistryOptions { service_cidr: cidr.to_string(), ..RegistryOptions::default() };
    let registry = Registry::new(Arc::clone(&storage), rows).map_err(ServeError::Option)?;
    let interval = options.compaction_interval;
    let forgetting = forget(Arc::clone(&registry), Arc::clone(&storage), interval);
    let started = Step::new("poststarthook/start-system-namespaces-controller", "not yet");
    let caches = Step::new("informer-sync", "caches are being filled");
    let store = Step::vital("etcd", "not reached yet");
    let health = Health::new(vec![Arc::new(Ping), store.clone(), caches.clone(), started.clone()]);
    let shutdown = CancellationToken::new();
    let door = Arc::new(Door {
        discovery: Discovery::new(registry.schema().resources()),
        authenticator,
        health: health.clone(),
        metrics: Metrics::new(),
        seats: Seats::new(options.reads_max, options.writes_max),
        address: advertised(options.advertise, address),
        shutdown: shutdown.clone(),
        registry: Arc::clone(&registry),
    });
    let assumed = Assumed {
        service_cidr: cidr.to_string(),
        service_ip: cidr.first().to_string(),
        port: address.port(),
        published: published(options.advertise, address),
        client_ca: identity.ca_certificate.clone(),
    };
    let steps = [store.clone(), caches.clone(), started.clone()];
    let background = background(registry, assumed, caches, started);
    let serving = rest::serve(listener, TlsAcceptor::from(tls), door, shutdown.clone());
    let over = shutdown.clone();
    let serving = tokio::spawn(async move {
        let store = ask_store(storage, store);
        let beside = async { tokio::join!(background, store, forgetting) };
        tokio::join!(serving, over.run_until_cancelled(beside));
    });
    let Identity { ca_certificate, controllers, .. } = identity;
    Ok(Server { address, ca_certificate, controllers, health, steps, shutdown, serving })
}

/// Takes turns with other API servers at compacting the store, and tells the caches of it.
async fn forget(registry: Arc<Registry>, storage: Arc<dyn Storage>, interval: Option<Duration>) {
    let Some(interval) = interval else { return };
    let compactor = Compactor::start(storage, interval);
    let mut compacted = compactor.compacted();
    while compacted.changed().await.is_ok() {
        registry.compacted(*compacted.borrow_and_update());
    }
}

/// What goes on while the server answers.
async fn background(
    registry: Arc<Registry>,
    assumed: Assumed,
    caches: Arc<Step>,
    started: Arc<Step>,
) {
    registry.ready().await;
    caches.done();
    bootstrap::keep(registry, assumed, started).await;
}

/// Asks the store now and then whether it is there.
async fn ask_store(storage: Arc<dyn Storage>, step: Arc<Step>) {
    let mut pulse = tokio::time::interval(ASK_STORE);
    loop {
        pulse.tick().await;
        match tokio::time::timeout(ASK_STORE, storage.current_revision()).await {
            Ok(Ok(_)) => step.done(),
            Ok(Err(error)) => step.undone(&error.to_string()),
            Err(_) => step.undone("the store does not answer"),
        }
    }
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// As `https://127.0.0.1:6443`; of all addresses, the loopback one.
    pub fn url(&self) -> String {
        url_of(self.address)
    }

    /// What signed the serving certificate, as PEM.
    pub fn ca_certificate(&self) -> &str {
        &self.ca_certificate
    }

    /// The certificate of the controllers.
    pub fn controllers(&self) -> &Pair {
        &self.controllers
    }

    /// Waits until it is ready.
    pub async fn ready(&self) {
        for step in &self.steps {
            step.wait_done().await;
        }
    }

    /// What keeps it from being ready.
    pub fn faults(&self) -> Vec<String> {
        self.health.faults()
    }

    /// Ends it: no new connections, watches end, open requests get a moment.
    pub async fn stop(self) {
        self.shutdown.cancel();
        // A panic of the serving task has been logged; there is nothing more to wait for.
        drop(self.serving.await);
    }
}

/// Where discovery says that the server is.
fn advertised(advertise: Option<IpAddr>, address: SocketAddr) -> String {
    SocketAddr::new(advertise.unwrap_or(address.ip()), address.port()).to_string()
}

/// Compat: an address of this machine alone can be no endpoint.
fn published(advertise: Option<IpAddr>, address: SocketAddr) -> Option<Ipv4Addr> {
    match advertise.unwrap_or(address.ip()) {
        IpAddr::V4(ip) if !ip.is_loopback() && !ip.is_unspecified() => Some(ip),
        _ => None,
    }
}

fn url_of(address: SocketAddr) -> String {
    let loopback = SocketAddr::from(([127, 0, 0, 1], address.port()));
    let shown = if address.ip().is_unspecified() { loopback } else { address };
    format!("https://{shown}")
}

/// Who the server is, and who its first clients are.
struct Identity {
    ca_certificate: String,
    serving: Pair,
    serving_path: String,
    controllers: Pair,
}

impl Identity {
    fn make(options: &Options, cidr: Cidr, address: SocketAddr) -> Result<Self, ServeError> {
        let pki = Pki::open(&options.cert_dir)?;
        let (serving, serving_path) = match &options.serving {
            Some((certificate, key)) => {
                let pair = Pair { certificate: pki::read(certificate)?, key: pki::read(key)? };
                (pair, certificate.display().to_string())
            }
            None => (pki.server(&names(options, cidr, address))?, "apiserver.crt".to_owned()),
        };
        let user = |name: &str, group: &str| User {
            name: name.to_owned(),
            uid: String::new(),
            groups: vec![group.to_owned()],
        };
        let admin = pki.client("admin", &user("engram-admin", "system:masters"))?;
        let controllers = user("system:kube-controller-manager", "system:masters");
        let controllers = pki.client("controllers", &controllers)?;
        let ca_certificate = pki.ca_certificate().to_owned();
        if let Some(path) = &options.kubeconfig {
            let kubeconfig = Kubeconfig {
                name: "engram".to_owned(),
                server: url_of(address),
                ca_certificate: ca_certificate.clone(),
                client: admin,
            };
            kubeconfig.write(path).map_err(|source| ServeError::Kubeconfig {
                path: path.display().to_string(),
                source,
            })?;
        }
        Ok(Identity { ca_certificate, serving, serving_path, controllers })
    }

    fn authenticator(
        &self,
        options: &Options,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Authenticator, ServeError> {
        let tokens = match &options.token_file {
            Some(path) => Tokens::read(path)?,
            None => Tokens::default(),
        };
        let mut cas = pki::certificates(&self.ca_certificate, "ca.crt")?;
        if let Some(path) = &options.client_ca {
            let shown = path.display().to_string();
            cas.extend(pki::certificates(&pki::read(path)?, &shown)?);
        }
        Ok(Authenticator::new(tokens, cas, provider)?)
    }

    fn tls(
        &self,
        authenticator: &Authenticator,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<ServerConfig>, ServeError> {
        let chain = pki::certificates(&self.serving.certificate, &self.serving_path)?;
        let key = pki::private_key(&self.serving.key, &self.serving_path)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(authenticator.handshake_verifier())
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn names(options: &Options, cidr: Cidr, address: SocketAddr) -> Vec<String> {
    let mut names: Vec<String> = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "127.0.0.1",
        "::1",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push(cidr.first().to_string());
    if !address.ip().is_unspecified() {
        names.push(address.ip().to_string());
    }
    names.extend(options.advertise.map(|ip| ip.to_string()));
    names.extend(options.names.iter().cloned());
    names.sort();
    names.dedup();
    names
}

/// The gRPC services of a store in this process, as the storage takes them.
pub fn in_process<S>(service: S) -> GrpcService
where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    GrpcService::new(service.map_err(|never: Infallible| -> ServiceError { match never {} }))
}
