//! The bytes of bbolt's pages. All numbers are little endian, as on the machines that write them.
//!
//! ```text
//! page     id u64 | flags u16 | count u16 | overflow u32 | elements | keys and values
//! branch   pos u32 | key bytes u32 | page u64                            per child
//! leaf     flags u32 | pos u32 | key bytes u32 | value bytes u32         per row
//! bucket   root page u64 | sequence u64 | the page itself when root is 0 the row's value, flag 1
//! meta     magic u32 | version u32 | page bytes u32 | flags u32 | root page u64 | sequence u64 |
//!          freelist page u64 | pages u64 | transaction u64 | FNV-1a of all before it u64
//! ```
//!
//! Invariant: every place is checked against the page's end before it is read. `pos` counts from
//! the element's own first byte.

use std::ops::Range;

/// *Units*: bytes of a page's header, and of each kind of element.
pub(crate) const HEADER_BYTES: usize = 16;
pub(crate) const ELEMENT_BYTES: usize = 16;
pub(crate) const BUCKET_BYTES: usize = 16;
const META_BYTES: usize = 64;
/// A meta page's beginning: all that is read of one before its page size is known.
pub(crate) const META_PAGE_BYTES: usize = HEADER_BYTES + META_BYTES;

pub(crate) const BRANCH: u16 = 0x01;
pub(crate) const LEAF: u16 = 0x02;
pub(crate) const META: u16 = 0x04;
pub(crate) const FREELIST: u16 = 0x10;

/// A leaf row that is a bucket.
pub(crate) const BUCKET_ROW: u32 = 0x01;

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
/// In the place of the freelist's page: none is kept.
pub(crate) const NO_FREELIST: u64 = u64::MAX;

/// *Units*: bytes; what an operating system may call a page.
const PAGE_BYTES: std::ops::RangeInclusive<u32> = 512..=65_536;

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("the range has two bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("the range has four bytes"))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("the range has eight bytes"))
}

/// A page's first sixteen bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) id: u64,
    pub(crate) flags: u16,
    pub(crate) count: u16,
    /// How many pages more belong to this one.
    pub(crate) overflow: u32,
}

impl Header {
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Self {
        Self {
            id: u64_at(bytes, 0),
            flags: u16_at(bytes, 8),
            count: u16_at(bytes, 10),
            overflow: u32_at(bytes, 12),
        }
    }

    pub(crate) fn encode(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&self.id.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.flags.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.count.to_le_bytes());
        bytes[12..].copy_from_slice(&self.overflow.to_le_bytes());
        bytes
    }
}

/// What a meta page says of the whole file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) page_bytes: u32,
    pub(crate) root: u64,
    pub(crate) freelist: u64,
    /// How many pages are in use: those at and above this number are not.
    pub(crate) pages: u64,
    pub(crate) transaction: u64,
}

impl Meta {
    /// Reads a meta page's beginning. *Errors*: in words, why it is none.
    pub(crate) fn decode(page: &[u8; META_PAGE_BYTES]) -> Result<Self, String> {
        let meta = &page[HEADER_BYTES..];
        if !Self::is_one(page) {
            return Err("the magic number is missing".to_owned());
        }
        if u32_at(meta, 4) != VERSION {
            return Err(format!("file format {} instead of {VERSION}", u32_at(meta, 4)));
        }
        if u64_at(meta, 56) != fnv1a(&meta[..56]) {
            return Err("the meta page's checksum differs".to_owned());
        }
        let page_bytes = u32_at(meta, 8);
        if !PAGE_BYTES.contains(&page_bytes) || !page_bytes.is_power_of_two() {
            return Err(format!("pages of {page_bytes} bytes"));
        }
        let [root, freelist, pages] = [u64_at(meta, 16), u64_at(meta, 32), u64_at(meta, 40)];
        Ok(Self { page_bytes, root, freelist, pages, transaction: u64_at(meta, 48) })
    }

    /// Whether the page begins as a meta page does.
    pub(crate) fn is_one(page: &[u8; META_PAGE_BYTES]) -> bool {
        u32_at(page, HEADER_BYTES) == MAGIC
    }

    /// Puts a meta page's checksum right, whatever else it says: for fuzzers, which cannot guess
    /// it.
    pub(crate) fn seal(page: &mut [u8; META_PAGE_BYTES]) {
        let meta = &mut page[HEADER_BYTES..];
        let checksum = fnv1a(&meta[..56]);
        meta[56..].copy_from_slice(&checksum.to_le_bytes());
    }

    /// The whole beginning of meta page `id`.
    pub(crate) fn encode(&self, id: u64) -> [u8; META_PAGE_BYTES] {
        let mut page = [0; META_PAGE_BYTES];
        let header = Header { id, flags: META, count: 0, overflow: 0 };
        page[..HEADER_BYTES].copy_from_slice(&header.encode());
        let meta = &mut page[HEADER_BYTES..];
        meta[..4].copy_from_slice(&MAGIC.to_le_bytes());
        meta[4..8].copy_from_slice(&VERSION.to_le_bytes());
        meta[8..12].copy_from_slice(&self.page_bytes.to_le_bytes());
        meta[16..24].copy_from_slice(&self.root.to_le_bytes());
        meta[32..40].copy_from_slice(&self.freelist.to_le_bytes());
        meta[40..48].copy_from_slice(&self.pages.to_le_bytes());
        meta[48..56].copy_from_slice(&self.transaction.to_le_bytes());
        Self::seal(&mut page);
        page
    }
}

/// FNV-1a with 64 bits (Fowler, Noll, Vo): bbolt's checksum of a meta page.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A row of a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeafRow<'a> {
    pub(crate) is_bucket: bool,
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
    /// Where key and value lie in the page.
    pub(crate) place: Range<usize>,
}

/// A child of a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BranchChild<'a> {
    /// The smallest key below.
    pub(crate) key: &'a [u8],
    pub(crate) page: u64,
    /// Where the key lies in the page.
    pub(crate) place: Range<usize>,
}

/// Where the keys and values of a page with `count` elements may begin.
pub(crate) fn elements_end(count: usize) -> usize {
    HEADER_BYTES + count * ELEMENT_BYTES
}

/// Row `index` of a leaf page; `None` when it reaches over the page's end.
pub(crate) fn leaf_row(page: &[u8], index: usize) -> Option<LeafRow<'_>> {
    let at = element_at(page, index)?;
    let key_from = at.checked_add(u32_at(page, at + 4) as usize)?;
    let key_to = key_from.checked_add(u32_at(page, at + 8) as usize)?;
    let value_to = key_to.checked_add(u32_at(page, at + 12) as usize)?;
    Some(LeafRow {
        is_bucket: u32_at(page, at) & BUCKET_ROW != 0,
        key: page.get(key_from..key_to)?,
        value: page.get(key_to..value_to)?,
        place: key_from..value_to,
    })
}

/// Child `index` of a branch page; `None` when it reaches over the page's end.
pub(crate) fn branch_child(page: &[u8], index: usize) -> Option<BranchChild<'_>> {
    let at = element_at(page, index)?;
    let key_from = at.checked_add(u32_at(page, at) as usize)?;
    let key_to = key_from.checked_add(u32_at(page, at + 4) as usize)?;
    let key = page.get(key_from..key_to)?;
    Some(BranchChild { key, page: u64_at(page, at + 8), place: key_from..key_to })
}

/// Where an element begins, if the page holds all of it.
fn element_at(page: &[u8], index: usize) -> Option<usize> {
    let at = index.checked_mul(ELEMENT_BYTES)?.checked_add(HEADER_BYTES)?;
    (at.checked_add(ELEMENT_BYTES)? <= page.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meta_page_is_golden() {
        let meta = Meta { page_bytes: 4096, root: 3, freelist: 2, pages: 4, transaction: 1 };
        let page = meta.encode(1);
        // The first meta page of a database that bbolt just made, but for its number.
        let golden = [
            1, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0xed, 0xda, 0x0c, 0xed, 2, 0, 0, 0, 0,
            0x10, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(page[..40], golden);
        assert_eq!(Meta::decode(&page), Ok(meta));
        let mut altered = page;
        altered[40] ^= 1;
        assert!(Meta::decode(&altered).is_err_and(|why| why.contains("checksum")));
        Meta::seal(&mut altered);
        assert_eq!(Meta::decode(&altered), Ok(meta), "the sequence is not looked at");
    }

    #[test]
    fn fnv1a_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn elements_that_reach_over_the_end_are_none() {
        let mut page = vec![0; 64];
        page[16 + 4..16 + 8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(leaf_row(&page, 0), None);
        assert_eq!(leaf_row(&page, 3), None);
        assert_eq!(leaf_row(&page, usize::MAX), None);
        assert_eq!(branch_child(&page, usize::MAX / 16), None);
    }
}
