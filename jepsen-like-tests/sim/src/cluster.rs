//! The members of a run: what outlives a process, the processes, and how they start, stop and die.
//!
//! Invariants: a dead process is cut off at once from links, disks, observers and clients, although
//! its tasks still wind up: it is a ghost. A member has one process at a time.
//!
//! Must not know: why somebody dies.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use raft::{Consensus, RuntimeChoice, StartError, static_member_id};
use server::config::{self, ServerConfig};
use server::{ClientService, Member, MemberParts, Tuning};
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::lease_client::LeaseClient;
use services::etcdserverpb::watch_client::WatchClient;
use store::{MemberId, Reader};

use crate::canary::Canary;
use crate::clock;
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
    pub(crate) member: Arc<Member>,
    /// What its client port would serve.
    service: ClientService,
    pub(crate) observer: Arc<Observer>,
}

impl Process {
    /// An answer, unless the process dies before it or the patience ends.
    pub(crate) async fn answered<T>(
        &self,
        patience: Duration,
        answer: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::select! {
            biased;
            () = self.observer.died() => None,
            answer = answer => Some(answer),
            () = clock::pass(patience) => None,
        }
    }

    pub(crate) fn consensus(&self) -> &Consensus {
        self.member.consensus()
    }

    pub(crate) fn reader(&self) -> &Reader {
        self.member.reader()
    }

    pub(crate) fn kv(&self) -> KvClient<ClientService> {
        KvClient::new(self.service.clone()).max_decoding_message_size(usize::MAX)
    }

    pub(crate) fn leases(&self) -> LeaseClient<ClientService> {
        LeaseClient::new(self.service.clone())
    }

    pub(crate) fn watches(&self) -> WatchClient<ClientService> {
        WatchClient::new(self.service.clone()).max_decoding_message_size(usize::MAX)
    }
}

struct Slot {
    id: MemberId,
    config: ServerConfig,
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
        let slot = |member: usize| Slot {
            id: static_member_id(&[peer_url(member)], TOKEN),
            config: config(member, plan),
            process: Mutex::default(),
            starts: AtomicU64::new(0),
        };
        let urls = (0..plan.members).map(peer_url).collect();
        Self {
            world: Arc::clone(world),
            network: Network::new(world, urls),
            disks: Arc::new(Disks::new(plan.members)),
            slots: (0..plan.members).map(slot).collect(),
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
            process.is_some_and(|process| process.member.leadership().is_leader)
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
        let member = Member::start(slot.config.clone(), self.parts(&observer)).await?;
        observer.open(member.reader());
        self.network.attach(member.peer_handler(), &observer);
        self.world.note(format_args!("{process} runs, revision {}", member.reader().revision()));
        let (world, readying) = (Arc::clone(&self.world), Arc::clone(&member));
        tokio::spawn(async move {
            let outcome = readying.ready().await;
            world.note(format_args!("{process} is ready: {outcome:?}"));
        });
        let service = server::client_service(&member);
        *slot.process.lock() = Some(Arc::new(Process { member, service, observer }));
        Ok(())
    }

    fn parts(&self, observer: &Arc<Observer>) -> MemberParts {
        let member = observer.process.member;
        let disk = &self.disks.0[member];
        let files = disk.files.lock().clone();
        let sync_takes = Duration::from_millis(*self.seeds.lock().pick(&[1, 1, 1, 5, 30, 200]));
        let careless = self.world.plants(Canary::LostRow) && member == 0;
        let careless = careless.then(|| self.world.dice(&format!("lost row {}", observer.process)));
        let origin = self.seeds.lock().millis(0, 1_000_000_000);
        let onlooker = Arc::clone(observer);
        MemberParts {
            engines: Arc::new(ObservedEngines::new(disk.engines.clone(), observer, careless)),
            log_files: disk::seen(files, self.world.plants(Canary::LostSync)),
            transport: self.network.transport(observer),
            snapshot_dir: PathBuf::new(),
            runtime: RuntimeChoice::Caller { sync_takes },
            clock: clock::of_process(origin, self.world.plants(Canary::FastClock)),
            seed: self.seeds.lock().seed(),
            tuning: Tuning {
                retention: self.plan.retention,
                log_limits: self.plan.log_limits,
                watch_limits: self.plan.watch_limits.clone(),
                lease_checkpoint_interval: self.plan.lease_checkpoint_interval,
            },
            onlooker: Some(Box::new(move |told| onlooker.stand_before(told))),
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
        tokio::spawn(async move { process.member.kill().await });
    }

    /// A member ends cleanly.
    pub(crate) async fn stop(&self, member: usize) {
        let Some(process) = self.process(member) else { return };
        self.world.note(format_args!("{} stops", process.observer.process));
        process.member.stop().await;
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
        tokio::time::timeout(within, process.consensus().stopped()).await.is_ok()
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

fn peer_url(member: usize) -> String {
    format!("http://m{member}:2380")
}

/// What a member's flags would say.
fn config(member: usize, plan: &Plan) -> ServerConfig {
    let founders: Vec<_> = (0..plan.members).map(|n| format!("m{n}={}", peer_url(n))).collect();
    let line = format!(
        "--name m{member} --initial-advertise-peer-urls {} --initial-cluster {} \
         --initial-cluster-token {TOKEN} --snapshot-count {} \
         --watch-progress-notify-interval {}ms",
        peer_url(member),
        founders.join(","),
        plan.retention.keep_entries,
        plan.progress_interval.as_millis(),
    );
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    config::read(&words, &BTreeMap::new()).expect("these flags are valid").config
}
