//! The door of fuzzers: bytes in, nothing out, and no way to panic.

use crate::etcd;
use crate::reader::Database;
use crate::trailer::check_trailer;

/// Does with the bytes whatever this room can do with a file.
pub fn fuzz_read(data: &[u8]) {
    let _ = check_trailer(&data);
    let Ok(database) = Database::open(data) else { return };
    let _ = database.check();
    let _ = etcd::contents(&database);
    let mut rows = 0_u64;
    let _ = etcd::each_change(&database, &mut |change| {
        rows += change.value.len() as u64;
        Ok::<_, crate::BboltError>(())
    });
    assert!(rows <= data.len() as u64, "no byte is read as two rows");
}
