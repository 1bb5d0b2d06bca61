//! Whatever reads bytes from outside, given bytes that nobody meant.
//!
//! ```text
//!   target      what the bytes are                      what must hold besides "no panic"
//!   requests    commands, one after the other           two stores that apply them are equal
//!   bbolt       a database file of etcd                 no byte is read as two rows
//!   wal         files of etcd's Raft log                no byte is read as two entries
//!   log         segments of the Raft log                what is recovered is recovered again, and
//!                                                       what is appended then is there
//!   gateway     a JSON body                             -
//! ```
//!
//! What is behind a checksum is not reached by changing bytes: bbolt, wal and log take a first byte
//! that says whether the rest is read as it is, or with its checksums put right.
//!
//! The same targets are driven in two ways: by [`drive`], which changes sound inputs at random (in
//! `make test`), and by libFuzzer, which follows the code that an input reaches (`make fuzz`).
//!
//! Must not know: how the parts work; only what they promise about bytes.

mod bbolt_file;
mod drive;
#[cfg(feature = "gateway")]
mod gateway;
#[cfg(feature = "log")]
mod log;
mod requests;
mod wal;

use std::path::Path;

pub use drive::{Broken, drive};

/// One thing that reads bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Gives it bytes. A panic is a finding.
    pub read: fn(&[u8]),
    /// Sound inputs, to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "requests", read: requests::read, seeds: requests::seeds },
    Target { name: "bbolt", read: bbolt::fuzz_read, seeds: bbolt_file::seeds },
    Target { name: "wal", read: etcd_wal::fuzz_read, seeds: wal::seeds },
    #[cfg(feature = "log")]
    Target { name: "log", read: raft::log::fuzz_read, seeds: log::seeds },
    #[cfg(feature = "gateway")]
    Target { name: "gateway", read: gateway::read, seeds: gateway::seeds },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Writes each target's sound inputs into a folder of its own, for a fuzzer to begin with.
pub fn write_seeds(folder: &Path) -> std::io::Result<()> {
    for target in TARGETS {
        let folder = folder.join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::TARGETS;

    #[test]
    fn sound_inputs_and_no_input_are_read() {
        for target in TARGETS {
            (target.read)(&[]);
            let seeds = (target.seeds)();
            assert!(!seeds.is_empty(), "{}", target.name);
            seeds.iter().for_each(|seed| (target.read)(seed));
        }
    }
}
