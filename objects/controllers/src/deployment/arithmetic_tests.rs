//! The promises of a rollout's arithmetic, over random Deployments and random orders of events.

use proptest::prelude::*;

use super::*;

fn size(wanted: i32, available: i32) -> Size {
    Size { wanted, actual: wanted, available, allowed_before: 0 }
}

fn spec(desired: i32, surge: &str, unavailable: &str) -> Budget {
    let value = |text: &str| match text.parse() {
        Ok(number) => IntOrString::Int(number),
        Err(_) => IntOrString::String(text.into()),
    };
    let rolling = k8s_openapi::api::apps::v1::RollingUpdateDeployment {
        max_surge: Some(value(surge)),
        max_unavailable: Some(value(unavailable)),
    };
    Budget::of(&DeploymentSpec {
        replicas: Some(desired),
        strategy: Some(k8s_openapi::api::apps::v1::DeploymentStrategy {
            type_: Some("RollingUpdate".into()),
            rolling_update: Some(rolling),
        }),
        ..DeploymentSpec::default()
    })
}

#[test]
fn percentages_round_up_for_surge_and_down_for_unavailable() {
    let budget = |desired, surge, unavailable| Budget { desired, surge, unavailable };
    assert_eq!(spec(3, "25%", "25%"), budget(3, 1, 0));
    assert_eq!(spec(10, "25%", "25%"), budget(10, 3, 2));
    assert_eq!(spec(1, "0%", "25%"), budget(1, 0, 1), "something must be able to move");
    assert_eq!(spec(4, "0", "0%"), budget(4, 0, 1));
    assert_eq!(spec(2, "5", "9"), budget(2, 5, 2));
    assert_eq!(spec(0, "25%", "25%"), budget(0, 0, 0));
}

#[test]
fn three_replicas_roll_one_by_one() {
    let budget = Budget { desired: 3, surge: 1, unavailable: 0 };
    assert_eq!(first_size(budget, &[size(3, 3)]), 1);
    assert_eq!(roll(budget, size(1, 0), &[size(3, 3)]), (1, vec![3]), "waits for the new one");
    assert_eq!(roll(budget, size(1, 1), &[size(3, 3)]), (1, vec![2]));
    assert_eq!(roll(budget, size(1, 1), &[size(2, 2)]), (2, vec![2]));
    assert_eq!(roll(budget, size(3, 3), &[size(1, 1)]), (3, vec![0]));
}

#[test]
fn replicas_that_do_not_serve_go_first() {
    let budget = Budget { desired: 10, surge: 2, unavailable: 2 };
    // Eight serve, four of them new; four of the old eight never came up.
    assert_eq!(roll(budget, size(4, 4), &[size(8, 4)]), (4, vec![4]));
    assert_eq!(roll(budget, size(4, 0), &[size(4, 0), size(4, 4)]), (4, vec![4, 4]));
}

#[test]
fn a_rollout_grows_and_shrinks_in_proportion() {
    let before = |wanted, allowed_before| Size { allowed_before, ..size(wanted, wanted) };
    let grown = Budget { desired: 20, surge: 4, unavailable: 2 };
    assert_eq!(in_proportion(grown, 12, &[before(8, 12), before(4, 12)]), [16, 8]);
    let shrunk = Budget { desired: 5, surge: 1, unavailable: 1 };
    assert_eq!(in_proportion(shrunk, 12, &[before(8, 12), before(4, 12)]), [4, 2]);
    let nothing = Budget { desired: 0, surge: 0, unavailable: 0 };
    assert_eq!(in_proportion(nothing, 12, &[before(8, 12), before(4, 12)]), [0, 0]);
}

/// A Deployment's world: what the sets want, and how many of their pods run and serve.
#[derive(Debug, Clone)]
struct World {
    budget: Budget,
    /// The new set is the last.
    sets: Vec<Set>,
}

#[derive(Debug, Clone, Copy)]
struct Set {
    wanted: i32,
    serving: i32,
    idle: i32,
}

/// One thing that happens next.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The Deployment is looked at.
    Roll,
    /// A set brings its pods to what is wanted and reports.
    Act(usize),
    /// One idle pod of a set begins to serve.
    Serve(usize),
}

impl World {
    fn serving(&self) -> i32 {
        self.sets.iter().map(|set| set.serving).sum()
    }

    fn pods(&self) -> i32 {
        self.sets.iter().map(|set| set.serving + set.idle).sum()
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Roll => {
                let sizes: Vec<_> = self.sets.iter().map(|set| set.seen()).collect();
                let (new, old) = sizes.split_last().expect("there is a new set");
                let (next, others) = roll(self.budget, *new, old);
                let all = others.into_iter().chain([next]);
                self.sets.iter_mut().zip(all).for_each(|(set, wanted)| set.wanted = wanted);
            }
            Step::Act(at) => {
                let index = at % self.sets.len();
                self.sets[index].act();
            }
            Step::Serve(at) => {
                let index = at % self.sets.len();
                let set = &mut self.sets[index];
                // One that its set is about to delete comes too late to count.
                if set.idle > 0 && set.serving < set.wanted {
                    set.idle -= 1;
                    set.serving += 1;
                }
            }
        }
    }

    fn is_done(&self) -> bool {
        let (new, old) = self.sets.split_last().expect("there is a new set");
        new.serving == self.budget.desired && old.iter().all(|set| set.serving + set.idle == 0)
    }
}

impl Set {
    fn seen(self) -> Size {
        let actual = self.serving + self.idle;
        Size { wanted: self.wanted, actual, available: self.serving, allowed_before: 0 }
    }

    fn act(&mut self) {
        let excess = (self.serving + self.idle - self.wanted).max(0);
        let idle_gone = excess.min(self.idle);
        self.idle -= idle_gone;
        self.serving -= excess - idle_gone;
        self.idle += (self.wanted - self.serving - self.idle).max(0);
    }
}

fn worlds() -> impl Strategy<Value = World> {
    let sets = prop::collection::vec((0..12i32, 0..=100i32), 1..4);
    (1..30i32, 0..8i32, 0..8i32, sets).prop_map(|(desired, surge, unavailable, mut parts)| {
        let unavailable = if surge == 0 { unavailable.max(1) } else { unavailable };
        let budget = Budget { desired, surge, unavailable: unavailable.min(desired) };
        // The old sets together are what was allowed before.
        let mut left = budget.most();
        let mut sets: Vec<Set> = Vec::new();
        for (wanted, percent) in parts.drain(..) {
            let wanted = wanted.min(left);
            left -= wanted;
            let serving = wanted * percent / 100;
            sets.push(Set { wanted, serving, idle: wanted - serving });
        }
        sets.push(Set { wanted: 0, serving: 0, idle: 0 });
        World { budget, sets }
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        Just(Step::Roll),
        (0..8usize).prop_map(Step::Act),
        (0..8usize).prop_map(Step::Serve),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn no_step_takes_what_is_needed_or_adds_what_is_not_allowed(
        mut world in worlds(),
        steps in steps(),
    ) {
        for step in steps {
            let (serving, pods) = (world.serving(), world.pods());
            world.take(step);
            let fewest = world.budget.fewest();
            prop_assert!(
                world.serving() >= serving.min(fewest),
                "{step:?} took serving pods below {fewest}: {world:?}"
            );
            prop_assert!(world.pods() <= pods.max(world.budget.most()), "{step:?}: {world:?}");
        }
    }

    #[test]
    fn a_rollout_comes_to_its_end_when_pods_come_up(mut world in worlds(), steps in steps()) {
        for step in steps {
            world.take(step);
        }
        for _ in 0..400 {
            world.take(Step::Roll);
            for at in 0..world.sets.len() {
                world.take(Step::Act(at));
                while world.sets[at].idle > 0 {
                    world.take(Step::Serve(at));
                }
            }
        }
        prop_assert!(world.is_done(), "stuck: {world:?}");
    }

    #[test]
    fn proportions_add_up_to_what_is_allowed(
        desired in 0..200i32,
        surge in 0..20i32,
        sizes in prop::collection::vec(1..100i32, 1..6),
    ) {
        let budget = Budget { desired, surge, unavailable: 0 };
        let sum: i32 = sizes.iter().sum();
        let mut sets: Vec<_> = sizes
            .iter()
            .map(|wanted| Size { allowed_before: sum, ..size(*wanted, *wanted) })
            .collect();
        sets.sort_by_key(|set| std::cmp::Reverse(set.wanted));
        let after: i32 = in_proportion(budget, sum, &sets).iter().sum();
        prop_assert_eq!(after, if desired == 0 { 0 } else { budget.most() });
    }
}
