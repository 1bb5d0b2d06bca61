//! The target `requests` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    (engram_fuzz::target("requests").expect("a target of this name").read)(data);
});
