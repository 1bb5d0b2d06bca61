//! Reads a database file that nobody writes meanwhile, whatever its bytes are.
//!
//! Invariants: a page is read at most once in a walk, so that cycles end it; a page is never longer
//! than [`PAGE_BYTES_MAX`] and a tree never deeper than [`DEPTH_MAX`], so that memory is bounded;
//! keys rise within a bucket, as bbolt's own check demands. What breaks one is an error that names
//! the page.

use crate::error::BboltError;
use crate::page::{
    self, BRANCH, BUCKET_BYTES, FREELIST, HEADER_BYTES, Header, LEAF, META_PAGE_BYTES, Meta,
    NO_FREELIST,
};
use crate::pages::Pages;
use crate::source::Source;

/// *Units*: bytes. The longest page, with all that overflows from it: a row is never longer.
pub const PAGE_BYTES_MAX: u64 = 256 << 20;
/// How deep a tree may be: 64 levels of two children each are more pages than there are.
pub const DEPTH_MAX: usize = 64;

/// *Units*: bytes; the places where the second meta page may begin when the first is not sound.
pub(crate) const SECOND_META: [u64; 8] = [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];

/// A bbolt file, opened for reading.
#[derive(Debug)]
pub struct Database<S> {
    source: S,
    pub(crate) meta: Meta,
}

/// A bucket: a tree of its own, or a page inside its parent's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket(Root);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Root {
    Page(u64),
    Inline(Vec<u8>),
}

/// What a key of a bucket leads to.
#[derive(Debug)]
pub enum Row<'a> {
    /// Bytes.
    Value(&'a [u8]),
    /// Another bucket.
    Bucket(Bucket),
}

/// Takes a bucket's rows, in the order of keys, or refuses one.
pub type VisitRow<'a, E> = &'a mut dyn FnMut(&[u8], Row<'_>) -> Result<(), E>;

impl<S: Source> Database<S> {
    /// Finds the newer of the two meta pages that is sound.
    ///
    /// *Errors*: neither is, or the file is shorter than it says.
    pub fn open(source: S) -> Result<Self, BboltError> {
        let length = source.length()?;
        let first = meta_at(&source, 0, length)?;
        let second = match &first {
            Ok(meta) => meta_at(&source, u64::from(meta.page_bytes), length)?,
            Err(_) => second_meta(&source, length)?,
        };
        let meta = match (first, second) {
            (Ok(first), Ok(second)) if second.transaction > first.transaction => second,
            (Ok(meta), _) | (Err(_), Ok(meta)) => meta,
            (Err(why), Err(_)) => return Err(BboltError::NotADatabase(why)),
        };
        let needed = u128::from(meta.pages) * u128::from(meta.page_bytes);
        if needed > u128::from(length) {
            return Err(BboltError::NotADatabase(format!(
                "it is cut off: {length} bytes instead of {needed}"
            )));
        }
        Ok(Self { source, meta })
    }

    /// *Units*: bytes of all pages in use, which a copy of the file needs.
    pub fn bytes(&self) -> u64 {
        self.meta.pages.saturating_mul(u64::from(self.meta.page_bytes))
    }

    /// The bucket that holds all others.
    pub fn root(&self) -> Bucket {
        Bucket(Root::Page(self.meta.root))
    }

    /// The bucket of a name among the outermost ones.
    pub fn bucket(&self, name: &[u8]) -> Result<Option<Bucket>, BboltError> {
        let mut found = None;
        self.rows(&self.root(), &mut |key, row| {
            if let (true, Row::Bucket(bucket)) = (key == name, row) {
                found = Some(bucket);
            }
            Ok::<_, BboltError>(())
        })?;
        Ok(found)
    }

    /// Visits the rows of a bucket in the order of keys.
    ///
    /// *Errors*: damage, after the rows before it were visited; and the visitor's.
    pub fn rows<E: From<BboltError>>(
        &self,
        bucket: &Bucket,
        visit: VisitRow<'_, E>,
    ) -> Result<(), E> {
        self.rows_once(bucket, &mut Pages::new(self.meta.pages), visit)
    }

    /// As [`Database::rows`], for walks of several buckets that share no page.
    pub(crate) fn rows_once<E: From<BboltError>>(
        &self,
        bucket: &Bucket,
        seen: &mut Pages,
        visit: VisitRow<'_, E>,
    ) -> Result<(), E> {
        match &bucket.0 {
            Root::Page(id) => {
                let mut walk = Walk { database: self, seen, last: None, visit };
                walk.subtree(*id, &[], None, 0)
            }
            Root::Inline(page) => {
                let header = inline_header(page).ok_or_else(|| {
                    BboltError::damaged(0, "a bucket inside a row is no leaf page")
                })?;
                let mut walk = Walk { database: self, seen, last: None, visit };
                walk.leaf(0, page, header.count, &[], None)
            }
        }
    }

    /// The pages that the file lists as free; `None` when it does not say.
    pub(crate) fn freelist(&self, seen: &mut Pages) -> Result<Option<Vec<u64>>, BboltError> {
        let id = self.meta.freelist;
        if id == NO_FREELIST {
            return Ok(None);
        }
        let (header, page) = self.page(id, seen)?;
        if header.flags != FREELIST {
            return Err(BboltError::damaged(id, "is no list of free pages"));
        }
        // Compat: a count of 65,535 means that the true one is the first number.
        let long = header.count == u16::MAX;
        let mut numbers = page[HEADER_BYTES..].chunks_exact(8).map(|n| page::u64_at(n, 0));
        let count = match long {
            true => numbers.next(),
            false => Some(u64::from(header.count)),
        };
        match count.and_then(|count| usize::try_from(count).ok()) {
            Some(count) if count <= numbers.len() => Ok(Some(numbers.take(count).collect())),
            _ => Err(BboltError::damaged(id, "lists more free pages than it has room for")),
        }
    }

    /// Reads a page with all that overflows from it, once.
    fn page(&self, id: u64, seen: &mut Pages) -> Result<(Header, Vec<u8>), BboltError> {
        if id < 2 || id >= self.meta.pages {
            let what = format!("is named, but the pages are 2..{}", self.meta.pages);
            return Err(BboltError::damaged(id, what));
        }
        let page_bytes = u64::from(self.meta.page_bytes);
        let mut start = [0; HEADER_BYTES];
        self.source.read_at(id * page_bytes, &mut start)?;
        let header = Header::decode(&start);
        if header.id != id {
            return Err(BboltError::damaged(id, format!("calls itself page {}", header.id)));
        }
        let pages = u64::from(header.overflow) + 1;
        let bytes = pages * page_bytes;
        if pages > self.meta.pages - id || bytes > PAGE_BYTES_MAX {
            return Err(BboltError::damaged(id, format!("claims to be {bytes} bytes long")));
        }
        for part in id..id + pages {
            if !seen.insert(part) {
                return Err(BboltError::damaged(part, "is referred to twice"));
            }
        }
        let mut page = vec![0; usize::try_from(bytes).expect("a page is at most 256 MiB")];
        self.source.read_at(id * page_bytes, &mut page)?;
        Ok((header, page))
    }
}

fn meta_at(
    source: &impl Source,
    offset: u64,
    length: u64,
) -> Result<Result<Meta, String>, BboltError> {
    if length.saturating_sub(offset) < META_PAGE_BYTES as u64 {
        return Ok(Err(format!("it has {length} bytes")));
    }
    let mut page = [0; META_PAGE_BYTES];
    source.read_at(offset, &mut page)?;
    Ok(Meta::decode(&page))
}

/// The second meta page, when the first cannot tell where it is.
fn second_meta(source: &impl Source, length: u64) -> Result<Result<Meta, String>, BboltError> {
    for offset in SECOND_META {
        if let Ok(meta) = meta_at(source, offset, length)?
            && u64::from(meta.page_bytes) == offset
        {
            return Ok(Ok(meta));
        }
    }
    Ok(Err("neither meta page is sound".to_owned()))
}

fn inline_header(page: &[u8]) -> Option<Header> {
    let header = Header::decode(page.first_chunk()?);
    (header.flags == LEAF && header.overflow == 0).then_some(header)
}

/// One walk through one bucket.
struct Walk<'a, S, E> {
    database: &'a Database<S>,
    seen: &'a mut Pages,
    /// The key before.
    last: Option<Vec<u8>>,
    visit: VisitRow<'a, E>,
}

impl<S: Source, E: From<BboltError>> Walk<'_, S, E> {
    /// Visits what is below a page: all of it at or above `from`, and below `to`.
    fn subtree(&mut self, id: u64, from: &[u8], to: Option<&[u8]>, depth: usize) -> Result<(), E> {
        if depth >= DEPTH_MAX {
            return Err(BboltError::damaged(id, "lies too deep").into());
        }
        let (header, page) = self.database.page(id, self.seen)?;
        match header.flags {
            LEAF => self.leaf(id, &page, header.count, from, to),
            BRANCH => self.branch(id, &page, header.count, (from, to), depth),
            flags => {
                let what = format!("is of kind {flags:#x}, neither branch nor leaf");
                Err(BboltError::damaged(id, what).into())
            }
        }
    }

    fn branch(
        &mut self,
        id: u64,
        page: &[u8],
        count: u16,
        (from, to): (&[u8], Option<&[u8]>),
        depth: usize,
    ) -> Result<(), E> {
        let child = |index: usize| {
            let what = || BboltError::damaged(id, format!("child {index} reaches over its end"));
            page::branch_child(page, index).ok_or_else(what)
        };
        let count = usize::from(count);
        if count == 0 {
            return Err(BboltError::damaged(id, "is a branch without children").into());
        }
        let mut taken = page::elements_end(count);
        for index in 0..count {
            let this = child(index)?;
            let end = match index + 1 < count {
                true => Some(child(index + 1)?.key),
                false => to,
            };
            if this.key < from || end.is_some_and(|end| end <= this.key) {
                let what = format!("child {index} is out of order");
                return Err(BboltError::damaged(id, what).into());
            }
            if this.place.start < taken {
                let what = format!("child {index} overlaps another");
                return Err(BboltError::damaged(id, what).into());
            }
            taken = this.place.end;
            self.subtree(this.page, this.key, end, depth + 1)?;
        }
        Ok(())
    }

    fn leaf(
        &mut self,
        id: u64,
        page: &[u8],
        count: u16,
        from: &[u8],
        to: Option<&[u8]>,
    ) -> Result<(), E> {
        let mut taken = page::elements_end(usize::from(count));
        for index in 0..usize::from(count) {
            let damaged = |what: &str| BboltError::damaged(id, format!("row {index} {what}"));
            let row = page::leaf_row(page, index);
            let row = row.ok_or_else(|| damaged("reaches over its end"))?;
            let rises = self.last.as_ref().is_none_or(|last| last.as_slice() < row.key);
            if !rises || row.key < from || to.is_some_and(|to| to <= row.key) {
                return Err(damaged("is out of order").into());
            }
            // Rows that share bytes would make a small page into any amount of rows.
            if row.place.start < taken {
                return Err(damaged("overlaps another").into());
            }
            taken = row.place.end;
            let last = self.last.get_or_insert_default();
            last.clear();
            last.extend_from_slice(row.key);
            match row.is_bucket {
                false => (self.visit)(row.key, Row::Value(row.value))?,
                true => {
                    let bucket = bucket(row.value).ok_or_else(|| damaged("is no bucket"))?;
                    (self.visit)(row.key, Row::Bucket(bucket))?;
                }
            }
        }
        Ok(())
    }
}

fn bucket(value: &[u8]) -> Option<Bucket> {
    let (head, page) = value.split_first_chunk::<BUCKET_BYTES>()?;
    Some(Bucket(match page::u64_at(head, 0) {
        0 => Root::Inline(page.to_vec()),
        id => Root::Page(id),
    }))
}
