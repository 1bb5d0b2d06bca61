//! A database file of etcd: the first byte says whether its meta pages are to be sealed.

use std::io::Cursor;

use bbolt::BboltError;
use bbolt::etcd::{self, Contents};

/// Files with a few pages, and with one.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let files = [0, 3, 60].map(file);
    [0, 1]
        .into_iter()
        .flat_map(|how| files.iter().map(move |file| [&[how], &file[..]].concat()))
        .collect()
}

fn file(revisions: i64) -> Vec<u8> {
    let written = etcd::write(Cursor::new(Vec::new()), |rows| {
        for main in 1..=revisions {
            let name = [&main.to_be_bytes()[..], b"_", &[0; 8]].concat();
            rows.row(&name, &vec![b'v'; if main == 7 { 6_000 } else { 40 }])?;
        }
        Ok::<_, BboltError>(Contents { term: 1, ..Contents::default() })
    });
    written.expect("written to memory").0.into_inner()
}
