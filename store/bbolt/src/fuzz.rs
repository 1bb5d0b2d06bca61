//! The door of fuzzers: bytes in, nothing out, and no way to panic.
//!
//! An input's first byte says what the rest is: a file, or a file whose meta pages' checksums are
//! put right here, since no fuzzer guesses them.

use crate::etcd;
use crate::page::{META_PAGE_BYTES, Meta};
use crate::reader::{Database, SECOND_META};
use crate::trailer::check_trailer;

/// Does with the bytes whatever this room can do with a file.
pub fn fuzz_read(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else { return };
    let mut file = rest.to_vec();
    if how % 2 == 1 {
        seal(&mut file);
    }
    read(&file);
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
        Ok::<_, crate::BboltError>(())
    });
    assert!(rows <= data.len() as u64, "no byte is read as two rows");
}
