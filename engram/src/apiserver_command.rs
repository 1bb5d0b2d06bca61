//! `engram apiserver`: the Kubernetes API over any etcd v3, told what to do by kube-apiserver's
//! flags.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use apiserver::serve::{self, Options};
use apiserver::storage::{EtcdOptions, EtcdStorage};

use crate::apiserver_flags::{HONOURED, TABLES};
use crate::component::Component;
use crate::component_flags::{self, Given};
use crate::help;
use crate::signals::EndSignals;

/// The exit code of a wrong flag, as in kube-apiserver.
const WRONG_FLAG: u8 = 1;
const USAGE: &str = "Usage: engram apiserver --etcd-servers=http://127.0.0.1:2379 [flags]\n\n\
    Serves the Kubernetes API over any etcd v3; the same when called `kube-apiserver`.";

/// What is to be served, and over what.
#[derive(Debug)]
struct Told {
    options: Options,
    endpoints: Vec<String>,
    store: EtcdOptions,
    component: Component,
}

/// Runs until it is told to stop.
pub(crate) fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    for word in &words {
        match word.as_str() {
            "--help" | "-h" => return help::say(&component_flags::help(USAGE, &[HONOURED])),
            "--version" | "--version=true" => {
                return help::say(&format!("Kubernetes {}\n", apiserver::rest::KUBERNETES_VERSION));
            }
            _ => {}
        }
    }
    let told = match Told::read(&words) {
        Ok(told) => told,
        Err(error) => {
            help::complain(&error);
            return ExitCode::from(WRONG_FLAG);
        }
    };
    let Told { options, endpoints, store, component } = told;
    match component.live(serve_until_signal(options, endpoints, store)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the API server stopped");
            help::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

impl Told {
    fn read(words: &[String]) -> Result<Self, String> {
        let given = Given::read(words, &TABLES)?;
        let endpoints = given.list("etcd-servers");
        if endpoints.is_empty() {
            return Err("--etcd-servers must be specified".to_owned());
        }
        let ip: IpAddr = given.parsed("bind-address")?.unwrap_or_else(|| [0, 0, 0, 0].into());
        let port: u16 = given.parsed("secure-port")?.unwrap_or(6443);
        let cert_dir = PathBuf::from(given.last("cert-dir").unwrap_or("engram-apiserver"));
        let mut options = Options::new(SocketAddr::new(ip, port), cert_dir);
        options.kubeconfig = Some(options.cert_dir.join("admin.kubeconfig"));
        options.serving = match (given.last("tls-cert-file"), given.last("tls-private-key-file")) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) => None,
            _ => {
                let text = "--tls-cert-file and --tls-private-key-file belong together";
                return Err(text.to_owned());
            }
        };
        options.client_ca = given.last("client-ca-file").map(PathBuf::from);
        options.token_file = given.last("token-auth-file").map(PathBuf::from);
        if let Some(range) = given.last("service-cluster-ip-range") {
            options.service_cidr = range.to_owned();
        }
        options.reads_max = given.parsed("max-requests-inflight")?.unwrap_or(options.reads_max);
        let writes_max = given.parsed("max-mutating-requests-inflight")?;
        options.writes_max = writes_max.unwrap_or(options.writes_max);
        if let Some(text) = given.last("etcd-compaction-interval") {
            let interval = duration(text).ok_or_else(|| {
                format!("invalid argument {text:?} for --etcd-compaction-interval: no duration")
            })?;
            options.compaction_interval = Some(interval).filter(|interval| !interval.is_zero());
        }
        options.advertise = given.parsed("advertise-address")?;
        if options.advertise.is_none() && (ip.is_loopback() || ip.is_unspecified()) {
            options.advertise = host_address();
        }
        options.names = given.last("external-hostname").map(str::to_owned).into_iter().collect();
        let mut store = EtcdOptions::default();
        if let Some(prefix) = given.last("etcd-prefix") {
            store.prefix = prefix.to_owned();
        }
        Ok(Told { options, endpoints, store, component: Component::read("apiserver", given)? })
    }
}

/// The address of this machine that others see: of the interface with the default route.
///
/// Compat: kube-apiserver's choice when it is told no better one, also behind a loopback address.
fn host_address() -> Option<IpAddr> {
    // Nothing is sent: connecting a datagram socket only picks the route.
    let socket = std::net::UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    socket.connect(("192.0.2.1", 9)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

/// A duration as Go writes it: `5m0s`, `1h`, `90s`, `0`.
fn duration(text: &str) -> Option<Duration> {
    match text {
        "" => return None,
        "0" => return Some(Duration::ZERO),
        _ => {}
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit());
        let (unit, next) = rest[digits..].split_at(unit.unwrap_or(rest.len() - digits));
        let part = match unit {
            "h" => Duration::from_secs(number.checked_mul(3600)?),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "s" => Duration::from_secs(number),
            "ms" => Duration::from_millis(number),
            _ => return None,
        };
        total = total.checked_add(part)?;
        rest = next;
    }
    Some(total)
}

async fn serve_until_signal(
    options: Options,
    endpoints: Vec<String>,
    store: EtcdOptions,
) -> Result<()> {
    let began = Instant::now();
    let mut signals = EndSignals::new().context("cannot listen for signals")?;
    let storage = EtcdStorage::remote(&endpoints, store)
        .with_context(|| format!("--etcd-servers={}", endpoints.join(",")))?;
    let kubeconfig = options.kubeconfig.clone();
    let server = serve::serve(options, Arc::new(storage)).await?;
    tracing::info!(
        url = server.url(),
        kubeconfig = kubeconfig.map(|path| path.display().to_string()),
        "listening"
    );
    let signal = tokio::select! {
        () = server.ready() => {
            let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(took_ms, "ready to serve");
            signals.next().await
        }
        signal = signals.next() => signal,
    };
    tracing::info!(signal, "stopping");
    tokio::select! {
        () = server.stop() => {}
        _ = signals.again() => {}
    }
    tracing::info!("stopped");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> Result<Told, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Told::read(&words)
    }

    #[test]
    fn the_usual_flags_of_a_test_rig_are_taken() {
        let line = "--etcd-servers=http://127.0.0.1:1,http://127.0.0.1:2 --secure-port=7443 \
                    --bind-address 127.0.0.1 --cert-dir=/tmp/c --allow-privileged \
                    --authorization-mode=Node,RBAC --token-auth-file=/tmp/t \
                    --service-cluster-ip-range=10.1.0.0/16 --service-account-issuer=x --v=2";
        let told = told(line).expect("valid");
        assert_eq!(told.endpoints.len(), 2);
        assert_eq!(told.options.address.to_string(), "127.0.0.1:7443");
        assert_eq!(told.options.service_cidr, "10.1.0.0/16");
        assert_eq!(told.component.warnings.len(), 1, "{:?}", told.component);
    }

    #[test]
    fn durations_are_those_of_go() {
        let table = [
            ("5m0s", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("0", Some(0)),
            ("1500ms", Some(1500)),
            ("x", None),
            ("", None),
            ("5", None),
            ("-5m", None),
        ];
        for (text, wanted) in table {
            assert_eq!(duration(text).map(|d| d.as_millis()), wanted, "{text}");
        }
    }

    #[test]
    fn what_it_cannot_do_is_refused() {
        assert!(told("").is_err());
        let line = "--etcd-servers=a --encryption-provider-config=x";
        assert!(told(line).expect_err("refused").contains("objects are stored as they are"));
        assert!(told("--etcd-servers=a --tls-cert-file=x").is_err());
        assert!(told("--etcd-servers=a --secure-port=x").is_err());
    }
}
