//! A set of pages: one bit for each page of a file.

/// See the module's page.
#[derive(Debug)]
pub(crate) struct Pages {
    bits: Vec<u64>,
    pages: u64,
}

impl Pages {
    /// None of `pages` pages, a number that the file's length was compared with.
    pub(crate) fn new(pages: u64) -> Self {
        let words = usize::try_from(pages.div_ceil(64)).expect("a file's pages are counted");
        Self { bits: vec![0; words], pages }
    }

    /// Adds a page. False: it was in the set, or is none of the file's.
    pub(crate) fn insert(&mut self, page: u64) -> bool {
        if page >= self.pages {
            return false;
        }
        let word = &mut self.bits[usize::try_from(page / 64).expect("below the file's pages")];
        let bit = 1 << (page % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// The first page that is not in the set.
    pub(crate) fn first_missing(&self) -> Option<u64> {
        let word = self.bits.iter().position(|word| *word != u64::MAX)?;
        let page = word as u64 * 64 + u64::from(self.bits[word].trailing_ones());
        (page < self.pages).then_some(page)
    }
}

#[cfg(test)]
mod tests {
    use super::Pages;

    #[test]
    fn a_page_is_added_once() {
        let mut pages = Pages::new(65);
        assert!(pages.insert(64));
        assert!(!pages.insert(64));
        assert!(!pages.insert(65));
        assert_eq!(pages.first_missing(), Some(0));
        for page in 0..64 {
            assert!(pages.insert(page));
        }
        assert_eq!(pages.first_missing(), None);
    }
}
