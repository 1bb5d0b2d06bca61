//! Changes sound inputs at random, as long as there is time.
//!
//! Invariant: the inputs follow from the seed; the one that breaks a target is given back.

use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::Target;

/// Longest input. *Units*: bytes.
const BYTES_MAX: usize = 256 * 1024;
/// Numbers at which code likes to break.
const EDGES: &[u64] = &[0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX];

/// An input that a target did not stand.
#[derive(Debug)]
pub struct Broken {
    /// The input.
    pub input: Vec<u8>,
    /// What the panic said.
    pub said: String,
}

/// Gives a target changed inputs for a while; how many it read.
///
/// # Errors
/// The first input that it did not stand.
pub fn drive(target: &Target, seed: u64, time: Duration) -> Result<u64, Broken> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut corpus = (target.seeds)();
    let end = Instant::now() + time;
    let mut count = 0;
    while Instant::now() < end {
        let at = dice.random_range(0..corpus.len());
        let mut input = corpus[at].clone();
        for _ in 0..dice.random_range(1..6) {
            let other = dice.random_range(0..corpus.len());
            change(&mut input, &corpus[other].clone(), &mut dice);
        }
        input.truncate(BYTES_MAX);
        read(target, &input)?;
        count += 1;
        // Some changed inputs go on: changes add up.
        if dice.random_range(0..50) == 0 {
            match corpus.len() < 500 {
                true => corpus.push(input),
                false => corpus[at] = input,
            }
        }
    }
    Ok(count)
}

fn read(target: &Target, input: &[u8]) -> Result<(), Broken> {
    panic::catch_unwind(AssertUnwindSafe(|| (target.read)(input))).map_err(|payload| {
        let said = payload.downcast_ref::<String>().cloned();
        let said = said.or_else(|| payload.downcast_ref::<&str>().map(|&text| text.to_owned()));
        Broken { input: input.to_vec(), said: said.unwrap_or_default() }
    })
}

/// One change.
fn change(input: &mut Vec<u8>, other: &[u8], dice: &mut ChaCha8Rng) {
    let at = dice.random_range(0..=input.len());
    let rest = input.len() - at;
    match dice.random_range(0..7) {
        0 if rest > 0 => input[at] ^= 1 << dice.random_range(0..8),
        1 if rest > 0 => input[at] = dice.random(),
        2 => input.truncate(at),
        3 => {
            let length = dice.random_range(0..=rest.min(64));
            input.drain(at..at + length);
        }
        4 => {
            let from = dice.random_range(0..=other.len());
            let to = dice.random_range(from..=other.len().min(from + 512));
            input.splice(at..at, other[from..to].iter().copied());
        }
        _ => {
            let edge = EDGES[dice.random_range(0..EDGES.len())].to_le_bytes();
            let width = [1, 2, 4, 8][dice.random_range(0..4)].min(rest);
            input[at..at + width].copy_from_slice(&edge[..width]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_breaks_is_found_with_its_input() {
        fn fragile(data: &[u8]) {
            assert!(data.first() != Some(&0xff), "the first byte is {}", data[0]);
        }
        let target =
            Target { name: "fragile", read: fragile, seeds: || vec![b"a sound input".to_vec()] };
        let broken = drive(&target, 1, Duration::from_secs(60)).expect_err("found");
        assert_eq!((broken.input[0], broken.said.as_str()), (0xff, "the first byte is 255"));
    }
}
