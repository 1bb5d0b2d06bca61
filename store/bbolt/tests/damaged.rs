//! Files that nobody should have written: an error each, never a panic, never endless.

use std::io::Cursor;

use engram_bbolt::etcd::{self, Contents};
use engram_bbolt::{BboltError, Database, Row, Writer, check_trailer, fuzz_read};
use proptest::prelude::*;

const PAGE: usize = 4096;

/// A database of a few pages: branches, an overflowing row, etcd's buckets.
fn sound() -> Vec<u8> {
    let (file, _) = etcd::write(Cursor::new(Vec::new()), |rows| {
        for main in 1..400_i64 {
            let name = [&main.to_be_bytes()[..], b"_", &[0; 8]].concat();
            rows.row(&name, &vec![b'v'; if main == 200 { 10_000 } else { 40 }])?;
        }
        Ok::<_, BboltError>(Contents { term: 1, ..Contents::default() })
    })
    .expect("written");
    file.into_inner()
}

fn why(file: &[u8]) -> String {
    let checked = Database::open(file).and_then(|database| database.check());
    checked.expect_err("the file is damaged").to_string()
}

/// The first page of a kind, by its flags.
fn page_of_kind(file: &[u8], kind: u8) -> usize {
    let at = (2 * PAGE..file.len()).step_by(PAGE).find(|at| file[at + 8] == kind);
    at.expect("the sample has one")
}

#[test]
fn the_sample_is_sound() {
    Database::open(sound().as_slice()).and_then(|file| file.check()).expect("sound");
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let file = sound();
    for length in (0..file.len()).step_by(512) {
        let why = why(&file[..length]);
        assert!(why.contains("cut off") || why.contains("not a bbolt database"), "{length}: {why}");
    }
}

#[test]
fn one_sound_meta_page_is_enough() {
    let mut file = sound();
    file[20] ^= 1;
    Database::open(file.as_slice()).and_then(|file| file.check()).expect("the second is sound");
    file[PAGE + 16] ^= 1;
    assert!(why(&file).contains("not a bbolt database"), "{}", why(&file));
}

#[test]
fn a_branch_that_names_itself_ends_the_walk() {
    let mut file = sound();
    let branch = page_of_kind(&file, 1);
    let own = (branch / PAGE) as u64;
    file[branch + 16 + 8..branch + 16 + 16].copy_from_slice(&own.to_le_bytes());
    assert!(why(&file).contains("is referred to twice"), "{}", why(&file));
}

#[test]
fn pages_out_of_the_file_are_refused() {
    for page in [0_u64, 1, 1 << 40, u64::MAX] {
        let mut file = sound();
        let branch = page_of_kind(&file, 1);
        file[branch + 16 + 8..branch + 16 + 16].copy_from_slice(&page.to_le_bytes());
        assert!(why(&file).contains("is named, but the pages are"), "{}", why(&file));
    }
}

#[test]
fn a_page_that_claims_too_much_is_refused() {
    let mut file = sound();
    let leaf = page_of_kind(&file, 2);
    file[leaf + 12..leaf + 16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(why(&file).contains("claims to be"), "{}", why(&file));
    let mut file = sound();
    file[leaf + 10..leaf + 12].copy_from_slice(&u16::MAX.to_le_bytes());
    assert!(why(&file).contains("row"), "{}", why(&file));
}

#[test]
fn rows_that_share_bytes_are_refused() {
    let mut file = sound();
    let leaf = page_of_kind(&file, 2);
    // The second row's value reaches back over the first one's bytes.
    let (first, second) = (leaf + 16, leaf + 32);
    let position = u32::from_le_bytes(file[first + 4..first + 8].try_into().expect("four"));
    file[second + 4..second + 8].copy_from_slice(&(position - 16).to_le_bytes());
    let why = why(&file);
    assert!(why.contains("overlaps") || why.contains("out of order"), "{why}");
}

#[test]
fn a_wrong_list_of_free_pages_is_refused() {
    let mut file = sound();
    let list = 2 * PAGE;
    file[list + 10] = 1;
    file[list + 16] = 3;
    assert!(why(&file).contains("page 3"), "{}", why(&file));
    file[list + 10..list + 12].copy_from_slice(&u16::MAX.to_le_bytes());
    file[list + 16..list + 24].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(why(&file).contains("more free pages than"), "{}", why(&file));
}

#[test]
fn a_nested_bucket_and_one_inside_a_row_are_read() {
    // bbolt keeps small buckets inside their parent's row; this is one by hand.
    let mut inline = vec![0; 16];
    inline.extend([0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 0, 0, 0, 0]);
    inline.extend([0, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]);
    inline.extend(b"kvv");
    let mut writer = Writer::new(Cursor::new(Vec::new())).expect("memory takes it");
    writer.whole_bucket(b"small", [(b"x", &inline)]).expect("sorted");
    let mut file = writer.finish().expect("written").0.into_inner();
    // Row `x` becomes a bucket.
    let leaf = page_of_kind(&file, 2);
    file[leaf + 16] = 1;
    let database = Database::open(file.as_slice()).expect("sound");
    database.check().expect("sound");
    let outer = database.bucket(b"small").expect("sound").expect("it is there");
    let mut read = Vec::new();
    database
        .rows(&outer, &mut |_, row| {
            let Row::Bucket(inner) = row else { panic!("x is a bucket") };
            database.rows(&inner, &mut |key, row| {
                let Row::Value(value) = row else { panic!("k is a value") };
                read.push((key.to_vec(), value.to_vec()));
                Ok::<_, BboltError>(())
            })
        })
        .expect("sound");
    assert_eq!(read, [(b"k".to_vec(), b"vv".to_vec())]);
}

#[test]
fn a_snapshots_checksum_is_looked_at() {
    use sha2::Digest as _;
    let mut file = sound();
    let missing = check_trailer(&file.as_slice()).expect_err("there is none");
    assert_eq!(missing.to_string(), "snapshot missing hash but --skip-hash-check=false");
    let hash = sha2::Sha256::digest(&file);
    file.extend_from_slice(&hash);
    check_trailer(&file.as_slice()).expect("it fits");
    file[9000] ^= 1;
    let differs = check_trailer(&file.as_slice()).expect_err("a bit differs").to_string();
    assert!(differs.starts_with("expected sha256 ["), "{differs}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn altered_bytes_never_panic(
        changes in prop::collection::vec((0..12_usize, 0..512_usize, any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let mut file = sound();
        for (page, at, byte) in changes {
            let at = page * PAGE + at;
            if at < file.len() {
                file[at] = byte;
            }
        }
        if !whole {
            file.truncate(cut.index(file.len()));
        }
        for how in 0..3 {
            fuzz_read(&[&[how][..], &file].concat());
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
        fuzz_read(&bytes);
    }
}
