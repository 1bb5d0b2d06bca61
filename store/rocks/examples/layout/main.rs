//! Measures three layouts of the key history on RocksDB, for `docs/adr/0002-storage-layout.md`.
//!
//! `cargo run --release -p engram-store-rocks --example layout -- [keys] [value bytes] [block
//! bytes]`
//!
//! Every layout lives through the same history: all keys put in scattered order, all overwritten in
//! another order, then read, compacted and rewritten. The key index in memory is the same for all
//! three.
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock and its arguments")]

mod layouts;
mod workload;

use std::error::Error;
use std::io::{Write, stdout};
use std::path::Path;
use std::time::Instant;

use layouts::{Current, Layout, Revisions, Versions};
use workload::Workload;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Puts in one write batch: what one log entry carries under load.
const BATCH_PUTS: usize = 64;

/// One line of the table: what was measured, the number with its unit, per layout.
struct Measured(Vec<(&'static str, f64)>);

impl Measured {
    /// Runs something and notes the time per item. *Units*: microseconds.
    fn time<T>(
        &mut self,
        what: &'static str,
        items: usize,
        run: impl FnOnce() -> Outcome<T>,
    ) -> Outcome<T> {
        let start = Instant::now();
        let result = run()?;
        let micros = start.elapsed().as_secs_f64() * 1e6;
        self.0.push((what, micros / items as f64));
        Ok(result)
    }

    /// Runs something three times and notes the best, for reads of a moment.
    fn best<T>(
        &mut self,
        what: &'static str,
        items: usize,
        mut run: impl FnMut() -> Outcome<T>,
    ) -> Outcome<()> {
        let mut best = f64::MAX;
        for _ in 0..3 {
            let start = Instant::now();
            run()?;
            best = best.min(start.elapsed().as_secs_f64() * 1e6);
        }
        self.0.push((what, best / items as f64));
        Ok(())
    }
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let keys = arguments.next().transpose()?.unwrap_or(200_000);
    let value_bytes = arguments.next().transpose()?.unwrap_or(256);
    let block_bytes = arguments.next().transpose()?.unwrap_or(4096);
    let scratch = tempfile::tempdir_in(".")?;
    let columns = [
        measure::<Revisions>(scratch.path(), keys, value_bytes, block_bytes)?,
        measure::<Versions>(scratch.path(), keys, value_bytes, block_bytes)?,
        measure::<Current>(scratch.path(), keys, value_bytes, block_bytes)?,
    ];
    let mut out = stdout().lock();
    writeln!(
        out,
        "{keys} keys of 48 bytes, values of {value_bytes} bytes, blocks of {block_bytes} bytes"
    )?;
    writeln!(out, "{:<48} {:>10} {:>10} {:>10}", "", "(a)", "(b)", "(c)")?;
    for (line, (what, _)) in columns[0].0.iter().enumerate() {
        let numbers = columns.each_ref().map(|column| column.0[line].1);
        writeln!(out, "{what:<48} {:>10.3} {:>10.3} {:>10.3}", numbers[0], numbers[1], numbers[2])?;
    }
    Ok(())
}

fn measure<L: Layout>(
    scratch: &Path,
    keys: usize,
    value_bytes: usize,
    block_bytes: usize,
) -> Outcome<Measured> {
    let mut measured = Measured(Vec::new());
    let mut workload = Workload::new(keys, value_bytes);
    let path = scratch.join(L::NAME);
    let layout = L::open(&path, block_bytes)?;
    write_all(&layout, &mut workload, &mut measured)?;
    read_all(&layout, &workload, &mut measured)?;
    compact(&layout, &mut workload, &mut measured)?;
    let rows = workload.rows_in_order();
    measured.best("rebuild of the key index, us/key", keys, || Ok(Workload::rebuild(&rows)))?;
    let index_bytes = workload.index.heap_bytes() as f64 / keys as f64;
    measured.0.push(("RAM of the key index, bytes per key", index_bytes));
    Ok(measured)
}

fn write_all<L: Layout>(
    layout: &L,
    workload: &mut Workload,
    measured: &mut Measured,
) -> Outcome<()> {
    let keys = workload.keys;
    let before = written_bytes();
    let puts = workload.puts(0);
    measured.time("put of a new key, us", keys, || {
        for batch in puts.chunks(BATCH_PUTS) {
            layout.write(workload, batch)?;
        }
        layout.database().flush()
    })?;
    let puts = workload.puts(1);
    measured.time("overwrite, us", keys, || {
        for batch in puts.chunks(BATCH_PUTS) {
            layout.write(workload, batch)?;
        }
        layout.database().flush()
    })?;
    layout.database().settle()?;
    let written = (written_bytes() - before) as f64 / (2 * keys) as f64;
    measured.0.push(("bytes written to disk per put, compactions too", written));
    let disk = layout.database().disk_bytes()? as f64 / (2 * keys) as f64;
    measured.0.push(("bytes on disk per revision, history uncompacted", disk));
    Ok(())
}

fn read_all<L: Layout>(layout: &L, workload: &Workload, measured: &mut Measured) -> Outcome<()> {
    let keys = workload.keys;
    let listed = (keys / 4).min(10_000);
    measured.best("list of 10 k keys at the latest revision, us/key", listed, || {
        layout.list(workload, workload.newest(), listed)
    })?;
    measured.best("page of 500 at an old revision, us/key", 500, || {
        layout.list(workload, workload.middle(), 500)
    })?;
    measured.best("get of one key, us", 2000, || {
        (0..2000).try_for_each(|number| layout.get(workload, number * 31 % keys).map(drop))
    })?;
    measured.best("watch catch-up over 10 k revisions, us/event", listed, || {
        layout.events(workload, workload.middle(), listed)
    })?;
    measured.best("HashKV, us/revision", 2 * keys, || {
        let mut hash = 0;
        layout.in_order(&mut |key, value| {
            hash = crc32c::crc32c_append(crc32c::crc32c_append(hash, key), value);
        })?;
        Ok(hash)
    })?;
    measured.best("export in revision order, us/revision", 2 * keys, || {
        let mut copy = Vec::with_capacity(1 << 20);
        layout.in_order(&mut |key, value| {
            if copy.len() + value.len() > 1 << 20 {
                copy.clear();
            }
            copy.extend_from_slice(key);
            copy.extend_from_slice(value);
        })?;
        Ok(copy)
    })
}

fn compact<L: Layout>(layout: &L, workload: &mut Workload, measured: &mut Measured) -> Outcome<()> {
    let superseded = workload.superseded();
    measured.time("compaction, us per superseded revision", superseded.len(), || {
        for batch in superseded.chunks(1000) {
            layout.compact(workload, batch)?;
        }
        layout.database().flush()
    })?;
    measured.time("reclaim (defragment), us per live key", workload.keys, || {
        layout.database().rewrite();
        Ok(())
    })?;
    layout.database().settle()?;
    let disk = layout.database().disk_bytes()? as f64 / workload.keys as f64;
    measured.0.push(("bytes on disk per live key, compacted", disk));
    Ok(())
}

/// What this process caused to be written. *Units*: bytes; 0 where the system does not tell.
fn written_bytes() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}
