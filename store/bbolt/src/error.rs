//! What can be wrong with a database file, and where.

/// Why a file is not read, or not written.
#[derive(Debug, thiserror::Error)]
pub enum BboltError {
    /// Reading or writing the file failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file is no bbolt database: too short, or neither of its two meta pages is sound.
    #[error("not a bbolt database: {0}")]
    NotADatabase(String),
    /// A page contradicts itself or another one. A retry never helps.
    #[error("page {page}: {what}")]
    Damaged {
        /// The page's number.
        page: u64,
        /// What is wrong with it.
        what: String,
    },
    /// Rows that are not etcd's.
    #[error("bucket {bucket}: {what}")]
    Row {
        /// The bucket's name.
        bucket: &'static str,
        /// What is wrong with the row.
        what: String,
    },
    /// The checksum at the end of a snapshot is missing or differs.
    #[error("{0}")]
    Checksum(String),
    /// The caller gave rows that are not in order, or are too large.
    #[error("cannot write: {0}")]
    Unwritable(String),
}

impl BboltError {
    pub(crate) fn damaged(page: u64, what: impl Into<String>) -> Self {
        Self::Damaged { page, what: what.into() }
    }

    pub(crate) fn row(bucket: &'static str, what: impl Into<String>) -> Self {
        Self::Row { bucket, what: what.into() }
    }
}
