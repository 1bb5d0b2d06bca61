//! The three layouts, each as the rows it writes and the way it reads.

use std::path::{Path, PathBuf};

use rocksdb::{
    BlockBasedOptions, BottommostLevelCompaction, Cache, ColumnFamily, ColumnFamilyDescriptor,
    CompactOptions, DB, DBCompressionType, FlushOptions, IteratorMode, Options,
    WaitForCompactOptions, WriteBatch, WriteOptions,
};
use store::{Revision, RowRevision};

use crate::Outcome;
use crate::workload::{Put, Superseded, Workload};

/// Families in the database; a layout uses as many as it needs.
const FAMILIES: [&str; 3] = ["one", "two", "three"];

/// A key with its value, or a row with the key of its version.
type Pair = (Box<[u8]>, Box<[u8]>);

/// What a layout must be able to do. `list` answers the bytes of the values read.
pub(crate) trait Layout: Sized {
    const NAME: &str;
    fn open(path: &Path, block_bytes: usize) -> Outcome<Self>;
    fn database(&self) -> &Database;
    fn write(&self, workload: &Workload, puts: &[Put]) -> Outcome<()>;
    fn list(&self, workload: &Workload, at: Revision, limit: usize) -> Outcome<usize>;
    fn get(&self, workload: &Workload, number: usize) -> Outcome<usize>;
    fn events(&self, workload: &Workload, from: Revision, limit: usize) -> Outcome<usize>;
    /// Every revision in the order of revisions.
    fn in_order(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Outcome<()>;
    fn compact(&self, workload: &Workload, rows: &[Superseded]) -> Outcome<()>;
}

/// A database with the engine's settings for the history of keys, in every family.
pub(crate) struct Database {
    db: DB,
    path: PathBuf,
    write_options: WriteOptions,
}

impl Database {
    fn open(path: &Path, block_bytes: usize) -> Outcome<Self> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_atomic_flush(true);
        options.set_db_write_buffer_size(64 << 20);
        options.set_max_background_jobs(2);
        let cache = Cache::new_lru_cache(64 << 20);
        let families = FAMILIES.map(|name| {
            let mut table = BlockBasedOptions::default();
            table.set_block_cache(&cache);
            table.set_block_size(block_bytes);
            table.set_cache_index_and_filter_blocks(true);
            table.set_pin_l0_filter_and_index_blocks_in_cache(true);
            let mut family = Options::default();
            family.set_write_buffer_size(64 << 20);
            family.set_compression_type(DBCompressionType::Lz4);
            family.set_block_based_table_factory(&table);
            ColumnFamilyDescriptor::new(name, family)
        });
        let db = DB::open_cf_descriptors(&options, path, families)?;
        let mut write_options = WriteOptions::default();
        write_options.disable_wal(true);
        Ok(Self { db, path: path.to_owned(), write_options })
    }

    fn family(&self, number: usize) -> &ColumnFamily {
        self.db.cf_handle(FAMILIES[number]).expect("the families are opened with the database")
    }

    fn write(&self, batch: WriteBatch) -> Outcome<()> {
        Ok(self.db.write_opt(batch, &self.write_options)?)
    }

    fn read(&self, family: usize, key: &[u8]) -> Outcome<usize> {
        let row = self.db.get_pinned_cf(self.family(family), key)?;
        Ok(row.ok_or("a row that must be there is not")?.len())
    }

    fn read_many<K: AsRef<[u8]>>(&self, family: usize, keys: &[K]) -> Outcome<Vec<Vec<u8>>> {
        let rows = self.db.batched_multi_get_cf(self.family(family), keys, false);
        rows.into_iter()
            .map(|row| Ok(row?.ok_or("a row that must be there is not")?.to_vec()))
            .collect()
    }

    fn read_lengths<K: AsRef<[u8]>>(&self, family: usize, keys: &[K]) -> Outcome<usize> {
        Ok(self.read_many(family, keys)?.iter().map(Vec::len).sum())
    }

    fn rows_from(
        &self,
        family: usize,
        from: &[u8],
    ) -> impl Iterator<Item = Result<Pair, rocksdb::Error>> {
        let mode = IteratorMode::From(from, rocksdb::Direction::Forward);
        self.db.iterator_cf(self.family(family), mode)
    }

    pub(crate) fn flush(&self) -> Outcome<()> {
        let families = [0, 1, 2].map(|number| self.family(number));
        Ok(self.db.flush_cfs_opt(&families.each_ref(), &FlushOptions::default())?)
    }

    /// Waits until no compaction is left to do.
    pub(crate) fn settle(&self) -> Outcome<()> {
        Ok(self.db.wait_for_compact(&WaitForCompactOptions::default())?)
    }

    pub(crate) fn rewrite(&self) {
        let mut options = CompactOptions::default();
        options.set_bottommost_level_compaction(BottommostLevelCompaction::ForceOptimized);
        for number in 0..FAMILIES.len() {
            let all: Option<&[u8]> = None;
            self.db.compact_range_cf_opt(self.family(number), all, all, &options);
        }
    }

    pub(crate) fn disk_bytes(&self) -> Outcome<u64> {
        let mut bytes = 0;
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == "sst") {
                bytes += entry.metadata()?.len();
            }
        }
        Ok(bytes)
    }
}

/// `main` big-endian, `_`, `sub` big-endian: etcd's row key.
fn row_key(at: RowRevision) -> Vec<u8> {
    let mut key = Vec::with_capacity(17);
    key.extend_from_slice(&at.main.0.to_be_bytes());
    key.push(b'_');
    key.extend_from_slice(&i64::from(at.sub).to_be_bytes());
    key
}

/// The key, an end mark, the row. (A real one would have to escape zeros in keys.)
fn version_key(key: &[u8], at: RowRevision) -> Vec<u8> {
    [key, &[0], &row_key(at)].concat()
}

fn first_row(revision: Revision) -> Vec<u8> {
    row_key(RowRevision { main: revision, sub: 0 })
}

fn row_of(key: &[u8]) -> RowRevision {
    let main = key[..8].try_into().expect("a row key begins with eight bytes");
    let sub = key[13..17].try_into().expect("a row key ends with eight bytes");
    RowRevision::new(i64::from_be_bytes(main), u32::from_be_bytes(sub))
}

/// (a) `row → KeyValue`.
pub(crate) struct Revisions(Database);

impl Layout for Revisions {
    const NAME: &str = "a";

    fn open(path: &Path, block_bytes: usize) -> Outcome<Self> {
        Database::open(path, block_bytes).map(Self)
    }

    fn database(&self) -> &Database {
        &self.0
    }

    fn write(&self, _: &Workload, puts: &[Put]) -> Outcome<()> {
        let mut batch = WriteBatch::default();
        for put in puts {
            batch.put_cf(self.0.family(0), row_key(put.at), &put.encoded);
        }
        self.0.write(batch)
    }

    fn list(&self, workload: &Workload, at: Revision, limit: usize) -> Outcome<usize> {
        let page = workload.page(at, limit);
        let keys: Vec<Vec<u8>> = page.into_iter().map(|(_, at)| row_key(at)).collect();
        self.0.read_lengths(0, &keys)
    }

    fn get(&self, workload: &Workload, number: usize) -> Outcome<usize> {
        let rows = workload.index.history(&Workload::key(number));
        self.0.read(0, &row_key(rows.last().ok_or("unknown key")?.at))
    }

    fn events(&self, _: &Workload, from: Revision, limit: usize) -> Outcome<usize> {
        let from = first_row(from);
        let rows = self.0.rows_from(0, &from).take(limit);
        rows.map(|row| Ok(row?.1.len())).sum()
    }

    fn in_order(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Outcome<()> {
        for row in self.0.rows_from(0, &[]) {
            let (key, value) = row?;
            visit(&key, &value);
        }
        Ok(())
    }

    fn compact(&self, _: &Workload, rows: &[Superseded]) -> Outcome<()> {
        let mut batch = WriteBatch::default();
        for row in rows {
            batch.delete_cf(self.0.family(0), row_key(row.at));
        }
        self.0.write(batch)
    }
}

/// (b) `key, row → KeyValue` and `row → key`.
pub(crate) struct Versions(Database);

impl Versions {
    /// The version keys of rows of the second family.
    fn version_keys(&self, from: &[u8], limit: usize) -> Outcome<Vec<Pair>> {
        let rows = self.0.rows_from(1, from).take(limit);
        rows.map(|row| {
            let (row, key) = row?;
            let version = [&key, &[0][..], &row].concat().into_boxed_slice();
            Ok((row, version))
        })
        .collect()
    }
}

impl Layout for Versions {
    const NAME: &str = "b";

    fn open(path: &Path, block_bytes: usize) -> Outcome<Self> {
        Database::open(path, block_bytes).map(Self)
    }

    fn database(&self) -> &Database {
        &self.0
    }

    fn write(&self, _: &Workload, puts: &[Put]) -> Outcome<()> {
        let mut batch = WriteBatch::default();
        for put in puts {
            batch.put_cf(self.0.family(0), version_key(&put.key, put.at), &put.encoded);
            batch.put_cf(self.0.family(1), row_key(put.at), &put.key);
        }
        self.0.write(batch)
    }

    /// Reads on through the versions: each is met, the wanted one of each key is taken.
    fn list(&self, workload: &Workload, at: Revision, limit: usize) -> Outcome<usize> {
        let page = workload.page(at, limit);
        let Some((first, _)) = page.first() else { return Ok(0) };
        let mut rows = self.0.rows_from(0, first);
        let mut bytes = 0;
        for (key, at) in &page {
            let wanted = version_key(key, *at);
            loop {
                let (key, value) = rows.next().ok_or("a row that must be there is not")??;
                if *key == *wanted {
                    bytes += value.len();
                    break;
                }
            }
        }
        Ok(bytes)
    }

    fn get(&self, workload: &Workload, number: usize) -> Outcome<usize> {
        let key = Workload::key(number);
        let rows = workload.index.history(&key);
        self.0.read(0, &version_key(&key, rows.last().ok_or("unknown key")?.at))
    }

    fn events(&self, _: &Workload, from: Revision, limit: usize) -> Outcome<usize> {
        let keys = self.version_keys(&first_row(from), limit)?;
        let keys: Vec<Box<[u8]>> = keys.into_iter().map(|(_, version)| version).collect();
        self.0.read_lengths(0, &keys)
    }

    fn in_order(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Outcome<()> {
        let mut from = Vec::new();
        loop {
            let keys = self.version_keys(&from, 1000)?;
            let Some((last, _)) = keys.last() else { return Ok(()) };
            from = [last, &[0][..]].concat();
            let (rows, keys): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
            let values = self.0.read_many(0, &keys)?;
            rows.iter().zip(&values).for_each(|(row, value)| visit(row, value));
        }
    }

    fn compact(&self, _: &Workload, rows: &[Superseded]) -> Outcome<()> {
        let mut batch = WriteBatch::default();
        for row in rows {
            batch.delete_cf(self.0.family(0), version_key(&row.key, row.at));
            batch.delete_cf(self.0.family(1), row_key(row.at));
        }
        self.0.write(batch)
    }
}

/// (c) `key → newest KeyValue`, `key, row → older KeyValue`, `row → key`.
pub(crate) struct Current(Database);

impl Current {
    /// Reads rows wherever they are by now.
    fn read_rows(
        &self,
        workload: &Workload,
        rows: &[(Vec<u8>, RowRevision)],
    ) -> Outcome<Vec<Vec<u8>>> {
        let is_newest = |row: &&(Vec<u8>, RowRevision)| workload.is_newest(&row.0, row.1);
        let (newest, older): (Vec<_>, Vec<_>) = rows.iter().partition(is_newest);
        let newest: Vec<Vec<u8>> = newest.into_iter().map(|(key, _)| key.clone()).collect();
        let older: Vec<Vec<u8>> =
            older.into_iter().map(|(key, at)| version_key(key, *at)).collect();
        let mut values = self.0.read_many(0, &newest)?;
        values.extend(self.0.read_many(1, &older)?);
        Ok(values)
    }

    fn changes(&self, from: &[u8], limit: usize) -> Outcome<Vec<(Vec<u8>, RowRevision)>> {
        let rows = self.0.rows_from(2, from).take(limit);
        rows.map(|row| row.map(|(row, key)| (key.to_vec(), row_of(&row))).map_err(Into::into))
            .collect()
    }
}

impl Layout for Current {
    const NAME: &str = "c";

    fn open(path: &Path, block_bytes: usize) -> Outcome<Self> {
        Database::open(path, block_bytes).map(Self)
    }

    fn database(&self) -> &Database {
        &self.0
    }

    /// An overwrite reads the value that it moves to the history.
    fn write(&self, _: &Workload, puts: &[Put]) -> Outcome<()> {
        let mut batch = WriteBatch::default();
        for put in puts {
            if let Some(before) = put.before {
                let old = self.0.db.get_pinned_cf(self.0.family(0), &put.key)?;
                let old = old.ok_or("a row that must be there is not")?;
                batch.put_cf(self.0.family(1), version_key(&put.key, before), old);
            }
            batch.put_cf(self.0.family(0), &put.key, &put.encoded);
            batch.put_cf(self.0.family(2), row_key(put.at), &put.key);
        }
        self.0.write(batch)
    }

    fn list(&self, workload: &Workload, at: Revision, limit: usize) -> Outcome<usize> {
        let page = workload.page(at, limit);
        if at != workload.newest() {
            return Ok(self.read_rows(workload, &page)?.iter().map(Vec::len).sum());
        }
        let Some((first, _)) = page.first() else { return Ok(0) };
        let rows = self.0.rows_from(0, first).take(limit);
        rows.map(|row| Ok(row?.1.len())).sum()
    }

    fn get(&self, _: &Workload, number: usize) -> Outcome<usize> {
        self.0.read(0, &Workload::key(number))
    }

    fn events(&self, workload: &Workload, from: Revision, limit: usize) -> Outcome<usize> {
        let rows = self.changes(&first_row(from), limit)?;
        Ok(self.read_rows(workload, &rows)?.iter().map(Vec::len).sum())
    }

    fn in_order(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Outcome<()> {
        let mut from = Vec::new();
        loop {
            let rows = self.changes(&from, 1000)?;
            let Some((_, last)) = rows.last() else { return Ok(()) };
            from = [&row_key(*last), &[0][..]].concat();
            let wanted: Vec<Vec<u8>> = rows.iter().map(|(key, at)| version_key(key, *at)).collect();
            // An older value is tried first: the newest ones are fetched where that finds nothing.
            let older = self.0.db.batched_multi_get_cf(self.0.family(1), &wanted, false);
            for ((key, at), older) in rows.iter().zip(older) {
                match older? {
                    Some(value) => visit(&row_key(*at), &value),
                    None => {
                        let value = self.0.db.get_pinned_cf(self.0.family(0), key)?;
                        visit(&row_key(*at), &value.ok_or("a row that must be there is not")?);
                    }
                }
            }
        }
    }

    fn compact(&self, _: &Workload, rows: &[Superseded]) -> Outcome<()> {
        let mut batch = WriteBatch::default();
        for row in rows {
            batch.delete_cf(self.0.family(1), version_key(&row.key, row.at));
            batch.delete_cf(self.0.family(2), row_key(row.at));
        }
        self.0.write(batch)
    }
}
