//! Writes a database file from rows that come in order, in one pass and in bounded memory.
//!
//! ```text
//! page 0, 1   meta pages, written last: both say the same, the second is the newer
//! page 2      the list of free pages: none
//! page 3 …    each bucket's leaves as they fill, a branch whenever one is full, its root last;
//!             then the root bucket, whose rows name the others
//! ```
//!
//! Invariants: keys of a bucket rise; a branch has two children at least, as bbolt splits them; all
//! that is held is one page of each level of the tree. The file is whole once
//! [`Writer::finish`] returns; before, its meta pages are zeros, which no reader takes for a
//! database.

use std::io::{Seek, SeekFrom, Write};

use crate::error::BboltError;
use crate::page::{
    BRANCH, BUCKET_BYTES, BUCKET_ROW, ELEMENT_BYTES, FREELIST, HEADER_BYTES, Header, LEAF, Meta,
};

/// *Units*: bytes. etcd's machines have such pages; the file says so, and any machine reads it.
const PAGE_BYTES: usize = 4096;
/// bbolt's own bound of a key. *Units*: bytes.
const KEY_BYTES_MAX: usize = 32_768;
/// *Units*: bytes; a row that does not fit into what the reader takes is not written either.
const VALUE_BYTES_MAX: usize = (crate::reader::PAGE_BYTES_MAX as usize) / 2;
/// A branch keeps so many children back when it is written, so that the next one has two as well.
const KEPT_BACK: usize = 2;

const FREELIST_PAGE: u64 = 2;
const FIRST_PAGE: u64 = 3;

/// A database file in the making.
#[derive(Debug)]
pub struct Writer<W> {
    file: W,
    next_page: u64,
    /// The finished buckets: name and root page.
    buckets: Vec<(Vec<u8>, u64)>,
}

impl<W: Write + Seek> Writer<W> {
    /// Begins a file, at the start of `file`.
    pub fn new(mut file: W) -> Result<Self, BboltError> {
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&[0; PAGE_BYTES * FREELIST_PAGE as usize])?;
        let freelist = Header { id: FREELIST_PAGE, flags: FREELIST, count: 0, overflow: 0 };
        let mut page = freelist.encode().to_vec();
        page.resize(PAGE_BYTES, 0);
        file.write_all(&page)?;
        Ok(Self { file, next_page: FIRST_PAGE, buckets: Vec::new() })
    }

    /// Begins a bucket. Buckets may come in any order, each name once.
    pub fn bucket(&mut self, name: &[u8]) -> Result<BucketWriter<'_, W>, BboltError> {
        if self.buckets.iter().any(|(other, _)| other == name) {
            return Err(BboltError::Unwritable(format!("bucket {:?} twice", name.escape_ascii())));
        }
        Ok(BucketWriter { name: name.to_vec(), tree: Tree::default(), writer: self })
    }

    /// A bucket with all its rows, which must be sorted by key.
    pub fn whole_bucket<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        name: &[u8],
        rows: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), BboltError> {
        let mut bucket = self.bucket(name)?;
        for (key, value) in rows {
            bucket.row(key.as_ref(), value.as_ref())?;
        }
        bucket.finish()
    }

    /// Writes the root bucket and the meta pages. Returns the file and its length in bytes.
    ///
    /// *Durability*: none; the caller syncs.
    pub fn finish(mut self) -> Result<(W, u64), BboltError> {
        let mut buckets = std::mem::take(&mut self.buckets);
        buckets.sort();
        let mut tree = Tree::default();
        for (name, root) in buckets {
            let mut value = [0; BUCKET_BYTES];
            value[..8].copy_from_slice(&root.to_le_bytes());
            tree.row(&mut self, BUCKET_ROW, &name, &value)?;
        }
        let root = tree.finish(&mut self)?;
        for id in 0..2 {
            let meta = Meta {
                page_bytes: PAGE_BYTES as u32,
                root,
                freelist: FREELIST_PAGE,
                pages: self.next_page,
                transaction: id,
            };
            self.file.seek(SeekFrom::Start(id * PAGE_BYTES as u64))?;
            self.file.write_all(&meta.encode(id))?;
        }
        self.file.flush()?;
        Ok((self.file, self.next_page * PAGE_BYTES as u64))
    }

    /// Appends a page, as many pages long as it takes. Returns its number.
    fn page(&mut self, flags: u16, items: &[Item]) -> Result<u64, BboltError> {
        let bytes = items.iter().map(Item::bytes).sum::<usize>() + HEADER_BYTES;
        let pages = bytes.div_ceil(PAGE_BYTES);
        let unwritable = |_| BboltError::Unwritable("a page is too long".to_owned());
        let header = Header {
            id: self.next_page,
            flags,
            count: u16::try_from(items.len()).map_err(unwritable)?,
            overflow: u32::try_from(pages - 1).map_err(unwritable)?,
        };
        let mut page = Vec::with_capacity(pages * PAGE_BYTES);
        page.extend_from_slice(&header.encode());
        let mut at = items.len() * ELEMENT_BYTES;
        for item in items {
            let position = u32::try_from(at).map_err(unwritable)?;
            item.element(position, &mut page);
            // The next element begins later, its bytes after these.
            at = at + item.key.len() + item.value.len() - ELEMENT_BYTES;
        }
        for item in items {
            page.extend_from_slice(&item.key);
            page.extend_from_slice(&item.value);
        }
        page.resize(pages * PAGE_BYTES, 0);
        self.file.write_all(&page)?;
        self.next_page += pages as u64;
        Ok(header.id)
    }
}

/// A bucket in the making. One that is not finished leaves a file that nobody can read.
#[derive(Debug)]
pub struct BucketWriter<'a, W> {
    name: Vec<u8>,
    tree: Tree,
    writer: &'a mut Writer<W>,
}

impl<W: Write + Seek> BucketWriter<'_, W> {
    /// Adds a row. *Errors*: its key is not above the last one, or key or value are too long.
    pub fn row(&mut self, key: &[u8], value: &[u8]) -> Result<(), BboltError> {
        self.tree.row(self.writer, 0, key, value)
    }

    /// Writes what is left of the bucket.
    pub fn finish(self) -> Result<(), BboltError> {
        let root = self.tree.finish(self.writer)?;
        self.writer.buckets.push((self.name, root));
        Ok(())
    }
}

/// An element of a page with its bytes.
#[derive(Debug)]
struct Item {
    kind: Kind,
    key: Vec<u8>,
    /// Empty for a child.
    value: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Row { flags: u32 },
    Child { page: u64 },
}

impl Item {
    /// *Units*: bytes it takes in a page.
    fn bytes(&self) -> usize {
        ELEMENT_BYTES + self.key.len() + self.value.len()
    }

    fn element(&self, position: u32, page: &mut Vec<u8>) {
        let length = |bytes: &[u8]| (bytes.len() as u32).to_le_bytes();
        match self.kind {
            Kind::Row { flags } => {
                page.extend_from_slice(&flags.to_le_bytes());
                page.extend_from_slice(&position.to_le_bytes());
                page.extend_from_slice(&length(&self.key));
                page.extend_from_slice(&length(&self.value));
            }
            Kind::Child { page: child } => {
                page.extend_from_slice(&position.to_le_bytes());
                page.extend_from_slice(&length(&self.key));
                page.extend_from_slice(&child.to_le_bytes());
            }
        }
    }
}

/// A page in the making.
#[derive(Debug, Default)]
struct Level {
    items: Vec<Item>,
    bytes: usize,
}

impl Level {
    fn push(&mut self, item: Item) {
        self.bytes += item.bytes();
        self.items.push(item);
    }

    /// Takes a page's worth out, if there is more than one page's: all but the last item or, where
    /// `kept_back` are to stay, all but those.
    fn full_page(&mut self, kept_back: usize) -> Option<Vec<Item>> {
        let enough = self.bytes + HEADER_BYTES > PAGE_BYTES && self.items.len() >= 2 * kept_back;
        if !enough {
            return None;
        }
        let rest = self.items.split_off(self.items.len() - kept_back);
        let page = std::mem::replace(&mut self.items, rest);
        self.bytes = self.items.iter().map(Item::bytes).sum();
        Some(page)
    }
}

/// The leaves and branches of one bucket.
#[derive(Debug, Default)]
struct Tree {
    leaf: Level,
    branches: Vec<Level>,
    last: Option<Vec<u8>>,
}

impl Tree {
    fn row<W: Write + Seek>(
        &mut self,
        writer: &mut Writer<W>,
        flags: u32,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), BboltError> {
        let refused = |what: &str| {
            let shown: String = key.escape_ascii().to_string().chars().take(64).collect();
            Err(BboltError::Unwritable(format!("row {shown:?} {what}")))
        };
        if key.is_empty() || key.len() > KEY_BYTES_MAX || value.len() > VALUE_BYTES_MAX {
            return refused("has an empty or too long key, or too long a value");
        }
        if self.last.as_deref().is_some_and(|last| key <= last) {
            return refused("is out of order");
        }
        self.last = Some(key.to_vec());
        let kind = Kind::Row { flags };
        self.leaf.push(Item { kind, key: key.to_vec(), value: value.to_vec() });
        if let Some(page) = self.leaf.full_page(1) {
            let id = writer.page(LEAF, &page)?;
            self.child(writer, 0, &page[0].key, id)?;
        }
        Ok(())
    }

    /// Names a finished page in the branches above it.
    fn child<W: Write + Seek>(
        &mut self,
        writer: &mut Writer<W>,
        level: usize,
        key: &[u8],
        page: u64,
    ) -> Result<(), BboltError> {
        if level == self.branches.len() {
            self.branches.push(Level::default());
        }
        let branch = &mut self.branches[level];
        branch.push(Item { kind: Kind::Child { page }, key: key.to_vec(), value: Vec::new() });
        if let Some(full) = branch.full_page(KEPT_BACK) {
            let id = writer.page(BRANCH, &full)?;
            self.child(writer, level + 1, &full[0].key, id)?;
        }
        Ok(())
    }

    /// Writes what is held, from the leaf up. Returns the root's page.
    fn finish<W: Write + Seek>(mut self, writer: &mut Writer<W>) -> Result<u64, BboltError> {
        let mut last = writer.page(LEAF, &self.leaf.items)?;
        let mut key = self.leaf.items.first().map(|item| item.key.clone()).unwrap_or_default();
        let mut level = 0;
        while level < self.branches.len() {
            self.child(writer, level, &key, last)?;
            let items = &self.branches[level].items;
            key.clone_from(&items[0].key);
            last = writer.page(BRANCH, items)?;
            level += 1;
        }
        Ok(last)
    }
}
