//! The whole file at once: what `bbolt check` looks at.
//!
//! Invariants checked: every page in use belongs to exactly one bucket, to the list of free pages
//! or to the two meta pages, and is not free as well; every free page is listed once, where the
//! file keeps a list; keys rise.

use crate::error::BboltError;
use crate::pages::Pages;
use crate::reader::{Bucket, Database, Row};
use crate::source::Source;

/// How deep buckets may lie in buckets. etcd's lie in the root.
const NESTED_MAX: usize = 16;

impl<S: Source> Database<S> {
    /// Reads every page and checks how they hang together.
    ///
    /// *Errors*: the first thing that is wrong. *Units*: it takes a bit of memory for each page.
    pub fn check(&self) -> Result<(), BboltError> {
        let mut seen = Pages::new(self.meta.pages);
        for meta in 0..2 {
            seen.insert(meta);
        }
        let free = self.freelist(&mut seen)?;
        for page in free.iter().flatten() {
            if !seen.insert(*page) {
                return Err(BboltError::damaged(*page, "is listed as free, and is not"));
            }
        }
        self.check_bucket(&self.root(), &mut seen, 0)?;
        match seen.first_missing() {
            Some(page) if free.is_some() => {
                Err(BboltError::damaged(page, "is neither used nor free"))
            }
            _ => Ok(()),
        }
    }

    fn check_bucket(
        &self,
        bucket: &Bucket,
        seen: &mut Pages,
        depth: usize,
    ) -> Result<(), BboltError> {
        if depth > NESTED_MAX {
            return Err(BboltError::NotADatabase("its buckets are nested too deep".to_owned()));
        }
        let mut inner = Vec::new();
        self.rows_once(bucket, seen, &mut |_, row| {
            if let Row::Bucket(bucket) = row {
                inner.push(bucket);
            }
            Ok::<_, BboltError>(())
        })?;
        inner.iter().try_for_each(|bucket| self.check_bucket(bucket, seen, depth + 1))
    }
}
