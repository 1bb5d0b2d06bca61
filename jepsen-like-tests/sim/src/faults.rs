//! What goes wrong in a run, and when.
//!
//! Invariants: faults overlap; each ends by itself or at the latest in [`Nemesis::heal`]; a member
//! that stops although nothing was done to it is a finding.
//!
//! Must not know: what clients do.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::clock;
use crate::cluster::Cluster;
use crate::network::Weather;
use crate::plan::Plan;
use crate::random::Dice;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// What one member says to another does not arrive.
    OneWay,
    /// Two members do not hear each other.
    TwoWay,
    /// A member is cut off from all others.
    Isolated,
    /// Messages take long, get lost and come twice.
    Storm,
    /// A member loses power.
    Crash,
    /// All members lose power.
    CrashAll,
    /// A member is stopped cleanly and started again.
    Restart,
    /// The leader is asked to hand its office over.
    Transfer,
    /// A member's disk fails; it must stop by itself, and comes back on what was synced.
    DiskError,
}

impl Fault {
    /// Every kind.
    pub(crate) const ALL: [Fault; 9] = [
        Fault::OneWay,
        Fault::TwoWay,
        Fault::Isolated,
        Fault::Storm,
        Fault::Crash,
        Fault::CrashAll,
        Fault::Restart,
        Fault::Transfer,
        Fault::DiskError,
    ];
}

/// Who makes the faults.
pub(crate) struct Nemesis {
    cluster: Arc<Cluster>,
    plan: Plan,
    dice: Dice,
    /// Members on their way back, and links on theirs.
    under_way: Vec<JoinHandle<()>>,
}

/// How long a failing disk may go unnoticed: there may be nothing to write.
const NOTICED_WITHIN: Duration = Duration::from_secs(4);

impl Nemesis {
    pub(crate) fn new(cluster: &Arc<Cluster>, plan: &Plan) -> Self {
        let dice = cluster.world.dice("nemesis");
        Self { cluster: Arc::clone(cluster), plan: plan.clone(), dice, under_way: Vec::new() }
    }

    /// Makes faults until the time is over.
    pub(crate) async fn rage(&mut self) {
        self.cluster.network.set_weather(self.plan.weather);
        let end = Instant::now() + self.plan.chaos;
        let (low, high) = self.plan.between_faults_ms;
        while Instant::now() < end {
            clock::pass(self.dice.millis(low, high)).await;
            self.notice_the_dead();
            if !self.plan.faults.is_empty() {
                let fault = *self.dice.pick(&self.plan.faults);
                self.make(fault).await;
            }
        }
    }

    /// Ends all faults: quiet links, and every member runs.
    pub(crate) async fn heal(&mut self) {
        self.cluster.world.note(format_args!("healing"));
        for back in self.under_way.drain(..) {
            // A panic on the way back has been heard as such.
            drop(back.await);
        }
        self.cluster.network.set_weather(Weather::CALM);
        self.cluster.network.mend_all();
        self.notice_the_dead();
        let down = self.cluster.down();
        self.cluster.start(&down).await;
    }

    fn notice_the_dead(&self) {
        for member in self.cluster.running() {
            let process = self.cluster.process(member);
            if process.is_some_and(|process| !process.consensus().metrics().is_running) {
                self.cluster.world.found(format_args!("m{member} stopped by itself"));
            }
        }
    }

    async fn make(&mut self, fault: Fault) {
        match fault {
            Fault::OneWay => {
                let (one, other) = self.two();
                self.cut(vec![(one, other)]);
            }
            Fault::TwoWay => {
                let (one, other) = self.two();
                self.cut(vec![(one, other), (other, one)]);
            }
            Fault::Isolated => {
                let one = self.dice.below(self.cluster.size());
                let others = (0..self.cluster.size()).filter(|other| *other != one);
                self.cut(others.flat_map(|other| [(one, other), (other, one)]).collect());
            }
            Fault::Storm => self.storm(),
            Fault::Crash => self.crash_one().await,
            Fault::CrashAll => {
                for member in self.cluster.running() {
                    self.cluster.crash(member, &mut self.dice).await;
                    self.bring_back(member);
                }
            }
            Fault::Restart => {
                if let Some(member) = self.one_running() {
                    self.cluster.stop(member).await;
                    self.bring_back(member);
                }
            }
            Fault::Transfer => self.transfer(),
            Fault::DiskError => self.disk_error().await,
        }
    }

    fn two(&mut self) -> (usize, usize) {
        let one = self.dice.below(self.cluster.size());
        let step = 1 + self.dice.below(self.cluster.size() - 1);
        (one, (one + step) % self.cluster.size())
    }

    fn one_running(&mut self) -> Option<usize> {
        let running = self.cluster.running();
        (!running.is_empty()).then(|| *self.dice.pick(&running))
    }

    fn cut(&mut self, links: Vec<(usize, usize)>) {
        for (from, to) in &links {
            self.cluster.network.set_cut(*from, *to, true);
        }
        let span = self.dice.millis(100, 6_000);
        let network = self.cluster.network.clone();
        self.under_way.push(tokio::spawn(async move {
            clock::pass(span).await;
            for (from, to) in links {
                network.set_cut(from, to, false);
            }
        }));
    }

    fn storm(&mut self) {
        let weather = Weather {
            latency_ms: (1, self.dice.between(50, 400)),
            lost: self.dice.between(0, 300) as u32,
            repeated: 100,
            reset: self.dice.between(0, 50) as u32,
        };
        self.cluster.network.set_weather(weather);
        let (span, usual) = (self.dice.millis(200, 4_000), self.plan.weather);
        let network = self.cluster.network.clone();
        self.under_way.push(tokio::spawn(async move {
            clock::pass(span).await;
            network.set_weather(usual);
        }));
    }

    async fn crash_one(&mut self) {
        let leader = self.cluster.leader().filter(|_| self.dice.chance(500));
        let Some(member) = leader.or_else(|| self.one_running()) else { return };
        self.cluster.crash(member, &mut self.dice).await;
        self.bring_back(member);
    }

    /// Starts a member again, after a while.
    fn bring_back(&mut self, member: usize) {
        let longest = *self.dice.pick(&[100, 3_000, 8_000]);
        let span = self.dice.millis(1, longest);
        let cluster = Arc::clone(&self.cluster);
        self.under_way.push(tokio::spawn(async move {
            clock::pass(span).await;
            cluster.start(&[member]).await;
        }));
    }

    fn transfer(&mut self) {
        let Some(process) = self.cluster.leader().and_then(|leader| self.cluster.process(leader))
        else {
            return;
        };
        let to = self.dice.below(self.cluster.size());
        let to = self.dice.chance(700).then(|| self.cluster.id(to));
        let world = Arc::clone(&self.cluster.world);
        self.under_way.push(tokio::spawn(async move {
            let outcome = process.consensus().transfer_leader(to).await;
            world.note(format_args!("{} handed over: {outcome:?}", process.observer.process));
        }));
    }

    async fn disk_error(&mut self) {
        let Some(member) = self.one_running() else { return };
        self.cluster.break_disk(member, &mut self.dice);
        let stopped = self.cluster.stopped_by_itself(member, NOTICED_WITHIN).await;
        self.cluster.world.note(format_args!("m{member} noticed: {stopped}"));
        self.cluster.crash(member, &mut self.dice).await;
        self.bring_back(member);
    }
}
