//! The members of a run: what outlives a process, the processes, and how they start, stop and die.
//!
//! Invariants: a dead process is cut off at once from links, disks, observers and clients, although
//! its tasks still wind up: it is a ghost. A member has one process at a time.
//!
//! Must not know: why somebody dies.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use raft::{
    Bootstrap, Consensus, InitialMember, MemberConfig, MembershipRules, Parts, Publisher,
    RuntimeChoice, StartError, Timing, static_member_id,
};
use store::{MemberId, Reader};
use watch::Hub;

use crate::canary::Canary;
use crate::disk;
use crate::durability::Disks;
use crate::network::Network;
use crate::observer::{Observer, ProcessName};
use crate::plan::Plan;
use crate::random::Dice;
use crate::state::ObservedEngines;
use crate::world::World;

/// A running process of a member.
pub(crate) struct Process {
    pub(crate) consensus: Consensus,
    pub(crate) reader: Reader,
    pub(crate) hub: Hub,
    pub(crate) observer: Arc<Observer>,
}

struct Slot {
    id: MemberId,
    config: MemberConfig,
    process: Mutex<Option<Arc<Process>>>,
    starts: AtomicU64,
}

/// See the module's page.
pub(crate) struct Cluster {
    pub(crate) world: Arc<World>,
    pub(crate) network: Network,
    pub(crate) disks: Arc<Disks>,
    slots: Vec<Slot>,
    plan: Plan,
    seeds: Mutex<Dice>,
}

/// The token in everybody's configuration.
const TOKEN: &str = "simulation";

impl Cluster {
    /// Members that never ran.
    pub(crate) fn new(world: &Arc<World>, plan: &Plan) -> Self {
        let initial: Vec<InitialMember> = (0..plan.members)
            .map(|member| InitialMember {
                name: format!("m{member}"),
                peer_urls: vec![format!("http://m{member}:2380")],
            })
            .collect();
        let slot = |member: &InitialMember| Slot {
            id: static_member_id(&member.peer_urls, TOKEN),
            config: config(member, &initial, plan),
            process: Mutex::default(),
            starts: AtomicU64::new(0),
        };
        let urls = initial.iter().flat_map(|member| member.peer_urls.clone()).collect();
        Self {
            world: Arc::clone(world),
            network: Network::new(world, urls),
            disks: Arc::new(Disks::new(plan.members)),
            slots: initial.iter().map(slot).collect(),
            plan: plan.clone(),
            seeds: Mutex::new(world.dice("seeds of members")),
        }
    }

    /// How many members there are.
    pub(crate) fn size(&self) -> usize {
        self.slots.len()
    }

    /// A member's id.
    pub(crate) fn id(&self, member: usize) -> MemberId {
        self.slots[member].id
    }

    /// The process that runs on a member now.
    pub(crate) fn process(&self, member: usize) -> Option<Arc<Process>> {
        self.slots[member].process.lock().clone()
    }

    /// The members with a process.
    pub(crate) fn running(&self) -> Vec<usize> {
        (0..self.size()).filter(|member| self.process(*member).is_some()).collect()
    }

    /// The members without one.
    pub(crate) fn down(&self) -> Vec<usize> {
        (0..self.size()).filter(|member| self.process(*member).is_none()).collect()
    }

    /// The member that leads, as far as it can prove it.
    pub(crate) fn leader(&self) -> Option<usize> {
        self.running().into_iter().find(|member| {
            let process = self.process(*member);
            process.is_some_and(|process| process.consensus.leadership().is_leader)
        })
    }

    /// Starts members together, each on what its disk holds. One that refuses is a finding.
    pub(crate) async fn start(&self, members: &[usize]) {
        let starts = members.iter().map(|member| self.start_one(*member));
        for (outcome, member) in futures::future::join_all(starts).await.into_iter().zip(members) {
            if let Err(error) = outcome {
                self.world.found(format_args!("m{member} does not start: {error}"));
            }
        }
    }

    async fn start_one(&self, member: usize) -> Result<(), StartError> {
        let slot = &self.slots[member];
        let start = slot.starts.fetch_add(1, Ordering::Relaxed) + 1;
        let process = ProcessName { member, start };
        self.world.note(format_args!("{process} starts"));
        let observer = Observer::new(&self.world, &self.disks, process);
        let config = MemberConfig { seed: self.seeds.lock().seed(), ..slot.config.clone() };
        let (consensus, reader) = Consensus::start(config, self.parts(&observer)).await?;
        let hub = Hub::new(Arc::new(reader.clone()), self.plan.watch_limits.clone());
        observer.open(&reader, &hub);
        self.network.attach(consensus.peer_handler(), &observer);
        self.world.note(format_args!("{process} runs, revision {}", reader.revision()));
        let process = Process { consensus, reader, hub, observer };
        *slot.process.lock() = Some(Arc::new(process));
        Ok(())
    }

    fn parts(&self, observer: &Arc<Observer>) -> Parts {
        let member = observer.process.member;
        let disk = &self.disks.0[member];
        let files = disk.files.lock().clone();
        let sync_takes = Duration::from_millis(*self.seeds.lock().pick(&[1, 1, 1, 5, 30, 200]));
        let careless = self.world.plants(Canary::LostRow) && member == 0;
        let careless = careless.then(|| self.world.dice(&format!("lost row {}", observer.process)));
        Parts {
            engines: Arc::new(ObservedEngines::new(disk.engines.clone(), observer, careless)),
            log_files: disk::seen(files, self.world.plants(Canary::LostSync)),
            transport: self.network.transport(observer),
            publisher: Arc::clone(observer) as Arc<dyn Publisher>,
            snapshot_dir: PathBuf::new(),
            runtime: RuntimeChoice::Caller { sync_takes },
        }
    }

    /// A member loses power: of what was not synced each sector stays or goes by the dice, of what
    /// was not flushed everything goes.
    pub(crate) async fn crash(&self, member: usize, dice: &mut Dice) {
        let Some(process) = self.take(member, "crashes") else { return };
        process.observer.die();
        let disk = &self.disks.0[member];
        let kept_per_mille = *dice.pick(&[0, 500, 900, 1000]);
        let left = disk.files.lock().fork(|| dice.chance(kept_per_mille));
        *disk.files.lock() = left;
        disk.engines.crash();
        // The ghost winds up beside the others, as long as it takes.
        let consensus = process.consensus.clone();
        tokio::spawn(async move { consensus.kill().await });
    }

    /// A member ends cleanly.
    pub(crate) async fn stop(&self, member: usize) {
        let Some(process) = self.process(member) else { return };
        self.world.note(format_args!("{} stops", process.observer.process));
        process.consensus.shutdown().await;
        drop(self.take(member, "stopped"));
        process.observer.die();
    }

    /// The next flush, write or log call of a member fails: it must stop by itself.
    pub(crate) fn break_disk(&self, member: usize, dice: &mut Dice) {
        let disk = &self.disks.0[member];
        let after = dice.between(0, 20);
        self.world.note(format_args!("disk of m{member} fails after {after}"));
        match dice.below(3) {
            0 => disk.files.lock().fail_after(after),
            1 => disk.engines.current().set_faults(faults(after + 1, 0)),
            _ => disk.engines.current().set_faults(faults(0, after / 10 + 1)),
        }
    }

    /// Waits until a member's consensus has stopped; false when it has not by then.
    pub(crate) async fn stopped_by_itself(&self, member: usize, within: Duration) -> bool {
        let Some(process) = self.process(member) else { return true };
        tokio::time::timeout(within, process.consensus.stopped()).await.is_ok()
    }

    fn take(&self, member: usize, why: &str) -> Option<Arc<Process>> {
        let process = self.slots[member].process.lock().take()?;
        self.world.note(format_args!("{} {why}", process.observer.process));
        self.network.detach(member);
        Some(process)
    }
}

fn faults(write: u64, flush: u64) -> store::engine::Faults {
    store::engine::Faults { write, flush }
}

fn config(member: &InitialMember, initial: &[InitialMember], plan: &Plan) -> MemberConfig {
    MemberConfig {
        name: member.name.clone(),
        cluster_token: TOKEN.to_owned(),
        initial_cluster: initial.to_vec(),
        bootstrap: Bootstrap::New,
        rules: MembershipRules::default(),
        force_new_cluster: false,
        timing: Timing::default(),
        retention: plan.retention,
        log_limits: plan.log_limits,
        bootstrap_timeout: Duration::from_secs(1),
        seed: 0,
    }
}
