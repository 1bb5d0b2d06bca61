//! RocksDB's settings, with the reason for each that is not its default.
//!
//! Not here, and not to be added: `enable_pipelined_write` (RocksDB refuses it beside atomic
//! flush), `unordered_write` (a scan would not see one moment), several flush paths (see
//! `database.rs`).

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, LogLevel, Options,
};
use store::engine::Space;

/// The bounds of an engine's memory, files and threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RocksOptions {
    /// *Units*: bytes of decompressed blocks kept, indexes and filters included.
    pub block_cache_bytes: usize,
    /// *Units*: bytes of writes held in memory, all spaces together, before a flush begins by
    /// itself.
    pub write_buffer_bytes: usize,
    /// Table files kept open. RocksDB's bookkeeping of each costs memory too.
    pub open_files_max: i32,
    /// Threads for flushes and compactions.
    pub background_jobs: i32,
}

impl Default for RocksOptions {
    fn default() -> Self {
        Self {
            block_cache_bytes: 64 << 20,
            write_buffer_bytes: 64 << 20,
            open_files_max: 1024,
            background_jobs: 2,
        }
    }
}

/// Whether opening may bring a database into being.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existence {
    /// It must be there: a missing one is damage, never a fresh start.
    Required,
    /// It is created when missing.
    Created,
    /// It must be there, and is not written: for tools that look at a stopped member.
    ReadOnly,
}

/// The settings of the whole database.
pub(crate) fn database_options(options: &RocksOptions, existence: Existence) -> Options {
    let mut database = Options::default();
    database.create_if_missing(existence == Existence::Created);
    database.create_missing_column_families(existence == Existence::Created);
    // Without it a flush that RocksDB starts by itself would put one space ahead of another.
    database.set_atomic_flush(true);
    database.set_db_write_buffer_size(options.write_buffer_bytes);
    database.set_max_open_files(options.open_files_max);
    database.set_max_background_jobs(options.background_jobs);
    // Written pages go to the disk as they come, so that the Raft log's sync does not wait behind a
    // burst.
    database.set_bytes_per_sync(1 << 20);
    database.set_max_manifest_file_size(16 << 20);
    // Deleting files is left to background threads: a reader that drops the last snapshot does not
    // wait.
    database.set_avoid_unnecessary_blocking_io(true);
    database.set_log_level(LogLevel::Warn);
    database.set_max_log_file_size(4 << 20);
    database.set_keep_log_file_num(2);
    database.set_stats_dump_period_sec(0);
    database.set_stats_persist_period_sec(0);
    database
}

/// The column families with their settings; RocksDB's unused `default` first.
pub(crate) fn families(options: &RocksOptions) -> Vec<ColumnFamilyDescriptor> {
    let cache = Cache::new_lru_cache(options.block_cache_bytes);
    let spaces = Space::ALL.iter().map(|space| {
        ColumnFamilyDescriptor::new(space.name(), family_options(options, *space, &cache))
    });
    let unused = family_options(options, Space::Meta, &cache);
    std::iter::once(ColumnFamilyDescriptor::new(rocksdb::DEFAULT_COLUMN_FAMILY_NAME, unused))
        .chain(spaces)
        .collect()
}

fn family_options(options: &RocksOptions, space: Space, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    // Indexes count against the cache's budget; those of the newest files stay in it.
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_format_version(6);
    // A list reads rows that lie far apart: small blocks are read 40 % faster there, and cost a
    // scan a quarter and the disk 8 % (docs/adr/0002-storage-layout.md).
    table.set_block_size(4 << 10);
    let mut family = Options::default();
    match space {
        Space::KeyValues => {
            // The key index knows which rows exist, and rows are written in key order, so that
            // files do not overlap: a bloom filter would answer "maybe" every time.
            family.set_write_buffer_size(options.write_buffer_bytes);
            // A compaction deletes most rows of a range: read over them once, not at every scan.
            family.add_compact_on_deletion_collector_factory(8192, 4096, 0.5);
        }
        _ => {
            table.set_bloom_filter(10.0, false);
            family.set_write_buffer_size(options.write_buffer_bytes / 8);
        }
    }
    family.set_max_write_buffer_number(4);
    family.set_compression_type(DBCompressionType::Lz4);
    family.set_bottommost_compression_type(DBCompressionType::Lz4);
    family.set_block_based_table_factory(&table);
    family
}
