//! The target `wal` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    (engram_fuzz::target("wal").expect("a target of this name").read)(data);
});
