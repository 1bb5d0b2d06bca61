//! The index's budget of memory, at the size that users ask about.
//!
//! Alone in its process, so that the process's own memory can be read beside the index's account.

use engram_store as store;
use store::RowRevision;
use store::index::{At, KeyIndex};

const KEYS: u64 = 1_000_000;
const KEY_BYTES: u64 = 48;
/// What a key may cost, its own bytes included: 62 when this was written, since leaves share
/// prefixes. The design asked for no more than 110 beside the key.
const BYTES_PER_KEY_MAX: u64 = 80;

/// 48 bytes, in an order that is none.
fn key(number: u64) -> String {
    let scattered = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let namespace = scattered >> 57;
    format!("/registry/pods/namespace-{namespace:03}/p{:018}", scattered % 10_u64.pow(18))
}

/// *Units*: bytes. `None` where the system does not tell.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

#[test]
fn a_million_keys_stay_within_the_budget() {
    assert_eq!(key(1).len() as u64, KEY_BYTES);
    let before = resident_bytes();
    let mut index = KeyIndex::new();
    let mut published = index.clone();
    for number in 0..KEYS {
        let main = i64::try_from(number).expect("small") + 2;
        index.put(key(number).as_bytes(), RowRevision::new(main, 0));
        if number % 64 == 0 {
            published = index.clone();
        }
    }
    drop(published);
    assert_eq!(index.count(&[], None, At::Latest), KEYS);
    let counted = index.heap_bytes() as u64 / KEYS;
    let resident = before.zip(resident_bytes()).map(|(before, after)| (after - before) / KEYS);
    let told = format!("bytes per key: {counted} counted, {resident:?} resident");
    assert!(counted <= BYTES_PER_KEY_MAX, "{told}");
    // The allocator keeps pieces between the index's own: a quarter is granted to it.
    assert!(resident.is_none_or(|resident| resident <= BYTES_PER_KEY_MAX * 5 / 4), "{told}");
}
