//! `engram controllers`: the controllers, the scheduler and simulated nodes, as clients of any
//! Kubernetes API server, told what to do by kube-controller-manager's flags.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use controllers::{Options, connect};
use tokio_util::sync::CancellationToken;

use crate::component::Component;
use crate::component_flags::{self, Flag, Given, ignored, works};
use crate::help;
use crate::signals::EndSignals;

const WRONG_FLAG: u8 = 1;
/// How long work under way may hold the end up.
const END_WITHIN: Duration = Duration::from_secs(2);
const USAGE: &str = "Usage: engram controllers --kubeconfig=FILE [flags]\n\n\
    Runs the controllers, the scheduler and simulated nodes against a Kubernetes API server.\n\
    Called by the name `kube-controller-manager`, it is the same, without nodes and scheduler\n\
    unless they are asked for.";

const TUNES: &str = "it tunes a part that works otherwise here";
const SERVES: &str = "it serves no pages yet";
const SIGNS: &str = "certificates and tokens are not signed yet";

const HONOURED: &[Flag] = &[
    works("kubeconfig", "how to reach the API server, and as whom"),
    works("master", "its address, in place of the one in the kubeconfig"),
    works("controllers", "which ones run: *, name, -name (separated by commas)"),
    works("sim-nodes", "how many simulated nodes there are (3)"),
    works("leader-elect", "whether only the holder of a lease works").switch(),
    works("root-ca-file", "a CA that every namespace gets as kube-root-ca.crt"),
    works("logging-format", "text or json"),
    works("v", "4 and more: debug messages"),
];

const IGNORED: &[Flag] = &[
    ignored("allocate-node-cidrs", TUNES).switch(),
    ignored("authentication-kubeconfig", SERVES),
    ignored("authentication-skip-lookup", SERVES).switch(),
    ignored("authentication-tolerate-lookup-failure", SERVES).switch(),
    ignored("authorization-always-allow-paths", SERVES),
    ignored("authorization-kubeconfig", SERVES),
    ignored("bind-address", SERVES),
    ignored("cert-dir", SERVES),
    ignored("client-ca-file", SERVES),
    ignored("cluster-cidr", TUNES),
    ignored("cluster-name", TUNES),
    ignored("cluster-signing-cert-file", SIGNS),
    ignored("cluster-signing-duration", SIGNS),
    ignored("cluster-signing-key-file", SIGNS),
    ignored("concurrent-deployment-syncs", TUNES),
    ignored("concurrent-gc-syncs", TUNES),
    ignored("concurrent-job-syncs", TUNES),
    ignored("concurrent-namespace-syncs", TUNES),
    ignored("concurrent-replicaset-syncs", TUNES),
    ignored("feature-gates", TUNES),
    ignored("kube-api-burst", TUNES),
    ignored("kube-api-content-type", TUNES),
    ignored("kube-api-qps", TUNES),
    ignored("leader-elect-lease-duration", TUNES),
    ignored("leader-elect-renew-deadline", TUNES),
    ignored("leader-elect-resource-lock", TUNES),
    ignored("leader-elect-retry-period", TUNES),
    ignored("min-resync-period", TUNES),
    ignored("node-monitor-grace-period", TUNES),
    ignored("node-monitor-period", TUNES),
    ignored("profiling", SERVES).switch(),
    ignored("requestheader-client-ca-file", SERVES),
    ignored("secure-port", SERVES),
    ignored("service-account-private-key-file", SIGNS),
    ignored("service-cluster-ip-range", TUNES),
    ignored("terminated-pod-gc-threshold", TUNES),
    ignored("tls-cert-file", SERVES),
    ignored("tls-private-key-file", SERVES),
    ignored("use-service-account-credentials", "all of them are one user").switch(),
];

/// All of it.
pub(crate) const TABLES: [&[Flag]; 2] = [HONOURED, IGNORED];

/// By which name the program was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CalledAs {
    /// `engram controllers`
    Engram,
    /// `kube-controller-manager`
    ControllerManager,
}

#[derive(Debug)]
struct Told {
    options: Options,
    kubeconfig: Option<String>,
    master: Option<String>,
    component: Component,
}

/// Runs until it is told to stop.
pub(crate) fn run(words: impl Iterator<Item = OsString>, called: CalledAs) -> ExitCode {
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        return help::say(&component_flags::help(USAGE, &[HONOURED]));
    }
    let told = match Told::read(&words, called) {
        Ok(told) => told,
        Err(error) => {
            help::complain(&error);
            return ExitCode::from(WRONG_FLAG);
        }
    };
    let Told { options, kubeconfig, master, component } = told;
    match component.live(run_until_signal(options, kubeconfig, master)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            help::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

impl Told {
    fn read(words: &[String], called: CalledAs) -> Result<Self, String> {
        let given = Given::read(words, &TABLES)?;
        let mut options = Options::default();
        let mut selected = given.list("controllers");
        if called == CalledAs::ControllerManager {
            // Compat: these are other programs there.
            if selected.is_empty() {
                selected.push("*".to_owned());
            }
            for other in ["scheduler", "simulated-nodes"] {
                if !selected.iter().any(|name| name == other) {
                    selected.push(format!("-{other}"));
                }
            }
        }
        if !selected.is_empty() {
            options.select(&selected).map_err(|error| format!("--controllers: {error}"))?;
        }
        options.sim_nodes = given.parsed("sim-nodes")?.unwrap_or(options.sim_nodes);
        options.leader_elect = given.is_on("leader-elect", true);
        let read = |path: &str| {
            std::fs::read_to_string(Path::new(path))
                .map_err(|error| format!("cannot read {path}: {error}"))
        };
        options.root_ca_pem = given.last("root-ca-file").map(read).transpose()?;
        let kubeconfig = given.last("kubeconfig").map(read).transpose()?;
        let master = given.last("master").map(str::to_owned);
        if kubeconfig.is_none() && master.is_none() {
            return Err("--kubeconfig or --master must be specified".to_owned());
        }
        Ok(Told { options, kubeconfig, master, component: Component::read("controllers", given)? })
    }
}

async fn run_until_signal(
    options: Options,
    kubeconfig: Option<String>,
    master: Option<String>,
) -> Result<()> {
    let mut signals = EndSignals::new().context("cannot listen for signals")?;
    let client = match &kubeconfig {
        Some(text) => connect::connect(text, master.as_deref()).await?,
        None => connect::connect_plainly(master.as_deref().unwrap_or_default())?,
    };
    let names: Vec<_> = options.controllers.iter().map(|one| one.name()).collect();
    tracing::info!(controllers = names.join(","), nodes = options.sim_nodes, "starting");
    let shutdown = CancellationToken::new();
    let mut running = std::pin::pin!(controllers::run(client, options, shutdown.clone()));
    let signal = tokio::select! {
        () = &mut running => anyhow::bail!("the leadership was lost"),
        signal = signals.next() => signal,
    };
    tracing::info!(signal, "stopping");
    shutdown.cancel();
    // Work that does not end in time is done again by whoever comes next.
    drop(tokio::time::timeout(END_WITHIN, running).await);
    tracing::info!("stopped");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str, called: CalledAs) -> Result<Told, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Told::read(&words, called)
    }

    #[test]
    fn under_the_other_name_there_are_no_nodes_and_no_scheduler() {
        let line = "--master=http://127.0.0.1:1";
        let ours = told(line, CalledAs::Engram).expect("valid");
        let theirs = told(line, CalledAs::ControllerManager).expect("valid");
        assert_eq!(ours.options.controllers.len(), theirs.options.controllers.len() + 2);
        let line = "--master=http://127.0.0.1:1 --controllers=*,scheduler,-job-controller";
        let some = told(line, CalledAs::ControllerManager).expect("valid");
        assert!(some.options.controllers.contains(&controllers::Controller::Scheduler));
        assert!(!some.options.controllers.contains(&controllers::Controller::Job));
    }

    #[test]
    fn a_wrong_flag_is_told() {
        assert!(told("", CalledAs::Engram).is_err());
        assert!(told("--master=http://a:1 --controllers=nonsense", CalledAs::Engram).is_err());
        assert!(told("--master=http://a:1 --sim-nodes=x", CalledAs::Engram).is_err());
    }
}
