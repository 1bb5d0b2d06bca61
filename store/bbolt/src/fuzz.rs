//! The door of fuzzers: bytes in, nothing out, and no way to panic.
//!
//! An input's first byte says what the rest is: a file; a file whose meta pages' checksums are put
//! right here, since no fuzzer guesses them; or rows that are laid out here in a file, since no
//! fuzzer keeps pages sound while it changes what lies in them.
//!
//! ```text
//! rows  bucket u8, key's length u8, value's length u16, key, value; again and again
//! ```

use std::collections::BTreeMap;
use std::io::Cursor;

use crate::error::BboltError;
use crate::etcd::{self, names};
use crate::page::{META_PAGE_BYTES, Meta};
use crate::reader::{Database, SECOND_META};
use crate::trailer::check_trailer;
use crate::writer::Writer;

/// The buckets that rows are laid out in, by number.
pub const FUZZ_BUCKETS: [&str; 11] = [
    names::KEY,
    names::META,
    names::LEASE,
    names::ALARM,
    names::AUTH,
    names::AUTH_USERS,
    names::AUTH_ROLES,
    names::MEMBERS,
    names::MEMBERS_REMOVED,
    names::CLUSTER,
    "of somebody else",
];

/// Does with the bytes whatever this room can do with a file.
pub fn fuzz_read(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else { return };
    match how % 3 {
        0 => read(rest),
        1 => {
            let mut file = rest.to_vec();
            seal(&mut file);
            read(&file);
        }
        _ => {
            let Ok(file) = laid_out(rest) else { return };
            Database::open(&file[..])
                .and_then(|file| file.check())
                .expect("what is written is sound");
            read(&file);
        }
    }
}

/// A file of these rows; of two with one key the later one counts.
fn laid_out(mut rest: &[u8]) -> Result<Vec<u8>, BboltError> {
    let mut buckets: BTreeMap<&str, BTreeMap<&[u8], &[u8]>> = BTreeMap::new();
    while let [bucket, key, low, high, more @ ..] = rest {
        let (key, more) = more.split_at(usize::from(*key).min(more.len()));
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        let (value, after) = more.split_at(length.min(more.len()));
        let bucket = FUZZ_BUCKETS[usize::from(*bucket) % FUZZ_BUCKETS.len()];
        buckets.entry(bucket).or_default().insert(key, value);
        rest = after;
    }
    let mut writer = Writer::new(Cursor::new(Vec::new()))?;
    for (name, rows) in buckets {
        writer.whole_bucket(name.as_bytes(), rows)?;
    }
    Ok(writer.finish()?.0.into_inner())
}

/// Puts every meta page right: at the beginning, and wherever the second one may be.
fn seal(file: &mut [u8]) {
    for offset in [0].into_iter().chain(SECOND_META) {
        let page = usize::try_from(offset).ok().and_then(|offset| file.get_mut(offset..));
        if let Some(page) = page.and_then(|page| page.first_chunk_mut::<META_PAGE_BYTES>())
            && Meta::is_one(page)
        {
            Meta::seal(page);
        }
    }
}

fn read(data: &[u8]) {
    let _ = check_trailer(&data);
    let Ok(database) = Database::open(data) else { return };
    let _ = database.check();
    let _ = etcd::contents(&database);
    let _ = etcd::summary(&database);
    let mut rows = 0_u64;
    let _ = etcd::each_change(&database, &mut |change| {
        rows += change.value.len() as u64;
        Ok::<_, BboltError>(())
    });
    assert!(rows <= data.len() as u64, "no byte is read as two rows");
}
