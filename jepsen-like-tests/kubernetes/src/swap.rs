//! Swap cells: each part of the control plane beside the real counterparts of the others.
//!
//! Invariant: a cell passes when the short walk does: a Deployment is created and gets ready, is
//! scaled, rolled, undone with kubectl, and leaves nothing behind when it is deleted.
//!
//! Must not know: how the parts work.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::process::Programs;
use crate::sides::{Api, Side, Store};
use crate::workload::Deployment;

/// How long each step of the walk may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who keeps what is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keepers {
    /// kube-controller-manager and kube-scheduler, with our simulated nodes.
    Real,
    /// Ours.
    Ours,
}

/// One combination.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    /// What it is, in words.
    pub name: &'static str,
    /// The API server.
    pub api: Api,
    /// The store under it.
    pub store: Store,
    /// Who keeps what is declared.
    pub keepers: Keepers,
}

/// All cells.
pub const CELLS: &[Cell] = &[
    Cell {
        name: "ours on our store, our controllers",
        api: Api::Ours,
        store: Store::Engram,
        keepers: Keepers::Ours,
    },
    Cell {
        name: "ours on the real etcd, our controllers",
        api: Api::Ours,
        store: Store::Etcd,
        keepers: Keepers::Ours,
    },
    Cell {
        name: "the real kube-apiserver on the real etcd, our controllers",
        api: Api::Real,
        store: Store::Etcd,
        keepers: Keepers::Ours,
    },
    Cell {
        name: "ours on our store, the real kube-controller-manager and kube-scheduler",
        api: Api::Ours,
        store: Store::Engram,
        keepers: Keepers::Real,
    },
    Cell {
        name: "the real kube-apiserver on our store, our controllers",
        api: Api::Real,
        store: Store::Engram,
        keepers: Keepers::Ours,
    },
];

/// Starts the keepers of a side, with that many simulated nodes.
pub fn start_keepers(
    side: &mut Side,
    programs: &Programs,
    keepers: Keepers,
    nodes: usize,
) -> Result<()> {
    let nodes = format!("--sim-nodes={nodes}");
    match keepers {
        Keepers::Ours => side.start_our_controllers(programs, &[&nodes]),
        Keepers::Real => {
            side.start_real_controllers(programs)?;
            side.start_our_controllers(programs, &["--controllers=simulated-nodes", &nodes])
        }
    }
}

/// Simulated nodes of a cell.
const NODES: usize = 3;

/// Runs one cell; gives what each step took.
pub async fn run(programs: &Programs, folder: &Path, cell: &Cell) -> Result<String> {
    let mut side = Side::start(programs, folder, "cell", cell.api, cell.store, &[]).await?;
    start_keepers(&mut side, programs, cell.keepers, NODES)?;
    let walked = walk(programs, &side).await;
    walked.with_context(|| side.logs())
}

async fn walk(programs: &Programs, side: &Side) -> Result<String> {
    let web = Deployment::new(&side.client, "web", PATIENCE);
    let mut steps = Vec::new();
    let mut began = Instant::now();
    let mut done = |name: &str| {
        steps.push(format!("{name} {} ms", began.elapsed().as_millis()));
        began = Instant::now();
    };
    web.create(3, "demo:1").await?;
    web.settled(3).await.context("create")?;
    done("create");
    web.scale(5).await?;
    web.settled(5).await.context("scale")?;
    done("scale");
    web.set_image("demo:2").await?;
    web.settled(5).await.context("set image")?;
    expect_image(&web, "demo:2").await?;
    done("roll");
    kubectl(programs, side, &["rollout", "undo", "deployment/web"]).await?;
    web.settled(5).await.context("undo")?;
    expect_image(&web, "demo:1").await?;
    done("undo");
    web.delete().await?;
    web.gone().await.context("delete")?;
    done("delete");
    Ok(steps.join(", "))
}

async fn expect_image(web: &Deployment<'_>, image: &str) -> Result<()> {
    for pod in web.pods().await? {
        let seen = &pod["spec"]["containers"][0]["image"];
        let leaves = pod["metadata"].get("deletionTimestamp").is_some();
        if seen != image && !leaves {
            bail!("{} runs {seen}, not {image}", pod["metadata"]["name"]);
        }
    }
    Ok(())
}

/// Runs a kubectl command line against a side.
///
/// *Errors*: it failed; what it said.
pub async fn kubectl(programs: &Programs, side: &Side, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(programs.peer("kubectl"));
    command.args(arguments).env("KUBECONFIG", &side.kubeconfig).env("HOME", &side.folder);
    let output = command.kill_on_drop(true).output().await.context("starting kubectl")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("kubectl {}: {said}", arguments.join(" "));
    }
    Ok(())
}
