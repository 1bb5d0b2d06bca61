//! The arithmetic of a rollout: how many replicas each ReplicaSet of a Deployment should have next.
//!
//! Invariants, for every input: no step takes away what is needed to keep `desired - unavailable`
//! replicas available; no step raises the sum over `desired + surge`; when all wanted replicas are
//! available, repeated steps end with all of them in the new set.
//!
//! Must not know: objects, the API, time. Sets go in by number, sizes come out by number.

use k8s_openapi::api::apps::v1::DeploymentSpec;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// How many replicas a Deployment wants, and how far it may stray on the way there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// `spec.replicas`.
    pub desired: i32,
    /// How many more than desired there may be.
    pub surge: i32,
    /// How many of the desired may be unavailable.
    pub unavailable: i32,
}

/// One ReplicaSet, as the arithmetic sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// `spec.replicas`.
    pub wanted: i32,
    /// `status.replicas`: more than wanted while the set has not acted yet.
    pub actual: i32,
    /// `status.availableReplicas`.
    pub available: i32,
    /// The most replicas the Deployment was allowed when this set was last sized; 0 if not known.
    pub allowed_before: i32,
}

impl Size {
    /// Available replicas that will stay: what is above `wanted` is as good as gone.
    fn staying(self) -> i32 {
        self.available.min(self.wanted)
    }

    /// The room that the set takes, or soon will.
    fn occupied(self) -> i32 {
        self.wanted.max(self.actual)
    }
}

impl Budget {
    /// The budget that a Deployment's spec gives; both numbers are 0 unless it rolls.
    pub fn of(spec: &DeploymentSpec) -> Self {
        let desired = spec.replicas.unwrap_or(1);
        let strategy = spec.strategy.clone().unwrap_or_default();
        if strategy.type_.as_deref() == Some("Recreate") {
            return Self { desired, surge: 0, unavailable: 0 };
        }
        let rolling = strategy.rolling_update.unwrap_or_default();
        let surge = resolve(rolling.max_surge.as_ref(), desired, true);
        let unavailable = resolve(rolling.max_unavailable.as_ref(), desired, false);
        // Both may round to zero, and then nothing could ever move.
        let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
        Self { desired, surge, unavailable: unavailable.min(desired) }
    }

    /// The most replicas there may be.
    pub fn most(self) -> i32 {
        self.desired.saturating_add(self.surge)
    }

    /// The fewest replicas that must stay available.
    pub fn fewest(self) -> i32 {
        self.desired - self.unavailable
    }
}

/// A number, or a percentage of `desired`. What does not parse is 0.
fn resolve(value: Option<&IntOrString>, desired: i32, up: bool) -> i32 {
    let scaled = match value {
        None => return 0,
        Some(IntOrString::Int(number)) => return (*number).max(0),
        Some(IntOrString::String(text)) => {
            let percent: i64 =
                text.strip_suffix('%').and_then(|p| p.parse().ok()).unwrap_or_default();
            percent.max(0).saturating_mul(i64::from(desired))
        }
    };
    let hundredths = if up { scaled.saturating_add(99) / 100 } else { scaled / 100 };
    i32::try_from(hundredths).unwrap_or(i32::MAX)
}

/// The size that a new set begins with beside `old` ones.
pub fn first_size(budget: Budget, old: &[Size]) -> i32 {
    let room = budget.most().saturating_sub(occupied(old));
    room.clamp(0, budget.desired)
}

/// The next step of a rolling update: the sizes of the new set and of the old ones (oldest first).
/// Equal to what went in when there is nothing to do for now.
pub fn roll(budget: Budget, new: Size, old: &[Size]) -> (i32, Vec<i32>) {
    let stay: Vec<i32> = old.iter().map(|set| set.wanted).collect();
    let room = budget.most().saturating_sub(new.occupied() + occupied(old)).max(0);
    let next = budget.desired.min(new.wanted.saturating_add(room));
    // Order: what is added is seen to be unavailable before anything else is taken away.
    if next != new.wanted {
        return (next, stay);
    }
    (new.wanted, shrink(budget, new, old))
}

/// The sizes of the old sets after taking away what the new one does not need: first replicas that
/// do not serve anyway, then those that can be spared.
fn shrink(budget: Budget, new: Size, old: &[Size]) -> Vec<i32> {
    let mut sizes: Vec<i32> = old.iter().map(|set| set.wanted).collect();
    // Every old replica counts as serving here: one that does not yet may do so in a moment.
    let mut slack = total(old) + new.staying() - budget.fewest();
    if slack <= 0 {
        return sizes;
    }
    for (size, set) in sizes.iter_mut().zip(old) {
        let idle = (set.wanted - set.available).clamp(0, slack);
        *size -= idle;
        slack -= idle;
    }
    let serving: i32 = old.iter().map(|set| set.staying()).sum();
    let mut spare = serving + new.staying() - budget.fewest();
    for size in &mut sizes {
        let taken = spare.clamp(0, *size);
        *size -= taken;
        spare -= taken;
    }
    sizes
}

/// The sizes after `desired` changed in the middle of a rollout: every set grows or shrinks in
/// proportion, and what rounding leaves over goes to the first. `sets` are in the order in which
/// they are served: largest first, of equal ones the newest first when growing and the oldest first
/// when shrinking.
pub fn in_proportion(budget: Budget, replicas_now: i32, sets: &[Size]) -> Vec<i32> {
    let allowed = if budget.desired > 0 { budget.most() } else { 0 };
    let change = allowed - total(sets);
    let mut sizes: Vec<i32> = sets.iter().map(|set| set.wanted).collect();
    let mut left = change;
    for (size, set) in sizes.iter_mut().zip(sets) {
        let share = share(budget, allowed, replicas_now, *set);
        let part = if change > 0 { share.min(left) } else { share.max(left) };
        *size += part;
        left -= part;
    }
    if let Some(first) = sizes.first_mut() {
        *first = (*first + left).max(0);
    }
    sizes
}

/// By how much one set changes when `allowed` is what all together may be.
fn share(budget: Budget, allowed: i32, replicas_now: i32, set: Size) -> i32 {
    if budget.desired == 0 {
        return -set.wanted;
    }
    let before = if set.allowed_before > 0 { set.allowed_before } else { replicas_now };
    if before <= 0 || set.wanted == 0 {
        return 0;
    }
    let (wanted, allowed, before) = (i64::from(set.wanted), i64::from(allowed), i64::from(before));
    let size = (2 * wanted * allowed + before) / (2 * before);
    i32::try_from(size).unwrap_or(i32::MAX) - set.wanted
}

fn occupied(sets: &[Size]) -> i32 {
    sets.iter().map(|set| set.occupied()).sum()
}

fn total(sets: &[Size]) -> i32 {
    sets.iter().map(|set| set.wanted).sum()
}

#[cfg(test)]
#[path = "arithmetic_tests.rs"]
mod tests;
