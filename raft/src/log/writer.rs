//! Writes groups into segments: one write and one sync for everything that waited.
//!
//! Invariants: the head of each segment repeats the vote and the marks, so that every suffix of the
//! segments stands alone; a group is written only after the one before it; no sync is repeated
//! after an error; a segment is given up only after the record of the purge that freed it is
//! synced. What a crash left unproven or torn is written again or erased before anything follows
//! it.
//!
//! Must not know: who waits, nor who drives it.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;

use super::entry::LogEntry;
use super::files::{LogFile, LogFiles};
use super::format::{
    ALIGNMENT_BYTES, GroupBuilder, Owner, RECORD_HEADER_BYTES, RecordKind, SegmentHeader,
    position_bytes, segment_name,
};
use super::recover::{End, Recovered};
use super::state::{Place, Position};

/// A record that waits to be written.
#[derive(Debug)]
pub(crate) enum Pending<E> {
    Entry(E),
    Vote(Bytes),
    Committed(Position),
    /// How many indexes stay: one past the last.
    Truncate(u64),
    Purge(Position),
}

impl<E> Pending<E> {
    /// Whether somebody relies on it being durable; the committed mark is only a hint.
    pub(crate) fn needs_sync(&self) -> bool {
        !matches!(self, Self::Committed(_))
    }
}

/// Where the entries of a write went.
pub(crate) type Placed = Vec<(Position, Place)>;

/// The segment being written.
#[derive(Debug)]
struct Active {
    number: u64,
    file: Box<dyn LogFile>,
    offset: u64,
    length_bytes: u64,
}

/// What the head of the next segment repeats.
#[derive(Debug, Default)]
struct Head {
    vote: Option<Bytes>,
    committed: Option<Position>,
    purged: Option<Position>,
}

/// The only writer of a log directory.
#[derive(Debug)]
pub(crate) struct Writer {
    files: Arc<dyn LogFiles>,
    owner: Owner,
    segment_bytes: u64,
    active: Active,
    head: Head,
    sequence: u64,
    chain: u32,
    synced_sequence: u64,
    /// The highest synced sequence that a written group tells of.
    told_sequence: u64,
    /// Segments before the active one, oldest first.
    older: VecDeque<u64>,
    /// Files of the usual length that can be begun again.
    spares: Vec<String>,
    next_spare: u64,
    /// A spare that a thread of its own makes: 64 MiB of zeros take longer than an election may.
    making: Option<JoinHandle<io::Result<String>>>,
}

/// Spare segments kept; more are removed.
const SPARES_MAX: usize = 2;

const SPARE_PREFIX: &str = "spare-";

/// Zeros written at a time when a torn tail is erased.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

impl Writer {
    /// Takes up a log where [`super::recover::recover`] found its end; begins it when it is new.
    ///
    /// *Durability*: what was recovered is durable on return, whatever the process before met:
    /// after a failed sync the system may show bytes as clean that never reached the disk, so what
    /// no later group proves is written again. A torn tail is erased, files beyond the end are
    /// removed.
    pub(crate) fn open<E: LogEntry>(
        files: Arc<dyn LogFiles>,
        owner: Owner,
        segment_bytes: u64,
        recovered: &Recovered<E>,
    ) -> io::Result<Self> {
        let mut spares = Vec::new();
        for name in files.list()?.into_iter().filter(|name| name.starts_with(SPARE_PREFIX)) {
            files.remove(&name)?;
        }
        for number in &recovered.beyond {
            files.remove(&segment_name(*number))?;
        }
        let state = &recovered.state;
        let head =
            Head { vote: state.vote.clone(), committed: state.committed, purged: state.purged };
        let (active, end) = match recovered.end {
            Some(end) => (Active::reopen(&*files, end, recovered)?, end),
            None => {
                let end = End { segment: 1, offset: 0, sequence: 1, chain: 0 };
                (Active::begin(&*files, &mut spares, end, owner, segment_bytes)?, end)
            }
        };
        files.sync_directory()?;
        let mut older: VecDeque<u64> = recovered.segments.iter().copied().collect();
        older.retain(|number| *number != active.number);
        let mut writer = Self {
            files,
            owner,
            segment_bytes,
            active,
            head,
            sequence: end.sequence,
            chain: end.chain,
            synced_sequence: 0,
            told_sequence: 0,
            older,
            spares,
            next_spare: 0,
            making: None,
        };
        // A crash may have left a segment without its head; what the head repeats would go with the
        // segments before.
        if recovered.end.is_some() && writer.active.offset == ALIGNMENT_BYTES as u64 {
            writer.put_head()?;
        }
        writer.sync()?;
        Ok(writer)
    }

    /// Writes all records in order; returns where the entries are. Durable after [`Self::sync`].
    pub(crate) fn write<E: LogEntry>(&mut self, records: &[Pending<E>]) -> io::Result<Placed> {
        let mut placed = Vec::with_capacity(records.len());
        let mut group = GroupBuilder::new();
        for record in records {
            let entry = match record {
                Pending::Entry(entry) => Some((entry, entry.encode())),
                _ => None,
            };
            let payload_bytes = entry.as_ref().map_or(64, |(_, message)| message.len() + 16);
            if self.active.offset + group.stride_with(payload_bytes) > self.active.length_bytes {
                self.close_group(std::mem::replace(&mut group, GroupBuilder::new()))?;
                self.roll(payload_bytes)?;
            }
            match (record, entry) {
                (_, Some((entry, message))) => {
                    placed.push(self.push_entry(&mut group, entry, &message));
                }
                (other, None) => self.push_mark(&mut group, other),
            }
        }
        self.close_group(group)?;
        Ok(placed)
    }

    /// Makes everything written so far durable.
    ///
    /// *Errors*: final; the caller must not call again.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.active.file.sync()?;
        self.synced_sequence = self.sequence - 1;
        Ok(())
    }

    /// Whether the last sync is told by no group yet.
    pub(crate) fn owes_mark(&self) -> bool {
        self.told_sequence < self.synced_sequence
    }

    /// Writes an empty group that tells of the last sync; not synced itself.
    pub(crate) fn mark(&mut self) -> io::Result<()> {
        if !self.owes_mark() {
            return Ok(());
        }
        let group = GroupBuilder::new();
        if self.active.offset + group.stride_with(0) > self.active.length_bytes {
            return self.roll(0);
        }
        self.put_group(group)
    }

    /// Gives up the segments before `first_live` (`None`: before the active one), whose purge is
    /// synced.
    pub(crate) fn recycle(&mut self, first_live: Option<u64>) -> io::Result<()> {
        let keep_from = first_live.unwrap_or(self.active.number).min(self.active.number);
        let mut changed = false;
        while let Some(number) = self.older.front().copied().filter(|number| *number < keep_from) {
            let name = segment_name(number);
            let usual = self.files.open(&name)?.length_bytes()? == self.segment_bytes;
            if usual && self.spares.len() < SPARES_MAX {
                let spare = self.spare_name();
                self.files.rename(&name, &spare)?;
                self.spares.push(spare);
            } else {
                self.files.remove(&name)?;
            }
            self.older.pop_front();
            changed = true;
        }
        if changed {
            self.files.sync_directory()?;
        }
        Ok(())
    }

    /// Makes a spare segment ahead of need, at once.
    pub(crate) fn prepare_spare(&mut self) -> io::Result<()> {
        if self.spares.is_empty() && self.making.is_none() {
            let spare = self.spare_name();
            self.files.create(&spare, self.segment_bytes)?;
            self.spares.push(spare);
        }
        Ok(())
    }

    /// Lets a thread make a spare segment ahead of need; takes it over when it is there.
    pub(crate) fn prepare_spare_aside(&mut self) -> io::Result<()> {
        if self.making.as_ref().is_some_and(JoinHandle::is_finished) {
            self.take_made()?;
        }
        if self.spares.is_empty() && self.making.is_none() {
            let (files, spare, length) =
                (Arc::clone(&self.files), self.spare_name(), self.segment_bytes);
            let work = move || files.create(&spare, length).map(|_| spare);
            let thread = std::thread::Builder::new().name("engram-log-spare".to_owned());
            self.making = Some(thread.spawn(work)?);
        }
        Ok(())
    }

    /// Waits for the spare that is being made, if one is.
    pub(crate) fn take_made(&mut self) -> io::Result<()> {
        let Some(making) = self.making.take() else { return Ok(()) };
        let made = making.join().map_err(|_| io::Error::other("making a segment panicked"))?;
        self.spares.push(made?);
        Ok(())
    }

    fn spare_name(&mut self) -> String {
        let name = format!("{SPARE_PREFIX}{}", self.next_spare);
        self.next_spare += 1;
        name
    }

    fn push_entry<E: LogEntry>(
        &self,
        group: &mut GroupBuilder,
        entry: &E,
        message: &[u8],
    ) -> (Position, Place) {
        let position = Position { term: entry.term(), index: entry.index() };
        let payload_bytes = u32::try_from(message.len() + 16).expect("bounded by the batch limit");
        let prefix = position_bytes(position.term, position.index);
        let at = group.push_parts(RecordKind::Entry, &prefix, message);
        let offset = self.active.offset + at;
        (position, Place { segment: self.active.number, offset, payload_bytes })
    }

    fn push_mark<E>(&mut self, group: &mut GroupBuilder, record: &Pending<E>) {
        match record {
            Pending::Entry(_) => {}
            Pending::Vote(vote) => {
                self.head.vote = Some(vote.clone());
                group.push(RecordKind::Vote, vote);
            }
            Pending::Committed(at) => {
                self.head.committed = Some(*at);
                group.push(RecordKind::Committed, &position_bytes(at.term, at.index));
            }
            Pending::Truncate(keep) => {
                group.push(RecordKind::Truncate, &keep.to_le_bytes());
            }
            Pending::Purge(upto) => {
                self.head.purged = Some(*upto);
                group.push(RecordKind::Purge, &position_bytes(upto.term, upto.index));
            }
        }
    }

    fn close_group(&mut self, group: GroupBuilder) -> io::Result<()> {
        if group.is_empty() { Ok(()) } else { self.put_group(group) }
    }

    fn put_group(&mut self, group: GroupBuilder) -> io::Result<()> {
        let (bytes, crc) =
            group.finish(self.active.number, self.sequence, self.synced_sequence, self.chain);
        self.active.file.write_at(&bytes, self.active.offset)?;
        self.active.offset += bytes.len() as u64;
        self.sequence += 1;
        self.chain = crc;
        self.told_sequence = self.synced_sequence;
        Ok(())
    }

    /// Syncs the active segment and begins the next one, long enough for a record of this size.
    fn roll(&mut self, payload_bytes: usize) -> io::Result<()> {
        self.sync()?;
        let head_bytes = 8 * ALIGNMENT_BYTES + self.head.vote.as_ref().map_or(0, Bytes::len);
        let needed = (payload_bytes + RECORD_HEADER_BYTES + head_bytes)
            .next_multiple_of(ALIGNMENT_BYTES) as u64;
        let end = End {
            segment: self.active.number + 1,
            offset: 0,
            sequence: self.sequence,
            chain: self.chain,
        };
        let length = self.segment_bytes.max(needed);
        if self.spares.is_empty() {
            self.take_made()?;
        }
        let spares = &mut self.spares;
        let next = Active::begin(&*self.files, spares, end, self.owner, length)?;
        self.files.sync_directory()?;
        self.older.push_back(self.active.number);
        self.active = next;
        self.put_head()
    }

    /// Begins the active segment with what every suffix of the segments must tell.
    fn put_head(&mut self) -> io::Result<()> {
        let mut group = GroupBuilder::new();
        let head = std::mem::take(&mut self.head);
        let vote = head.vote.map(Pending::<Nothing>::Vote);
        let purged = head.purged.map(Pending::Purge);
        let committed = head.committed.map(Pending::Committed);
        for mark in [vote, purged, committed].into_iter().flatten() {
            self.push_mark(&mut group, &mark);
        }
        // Also when there is nothing to repeat: the first group tells of the sync before it.
        self.put_group(group)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The directory is not given up while a thread still writes in it.
        drop(self.take_made());
    }
}

/// The entry type of marks, which carry no entry.
enum Nothing {}

impl Active {
    /// Takes up the last segment: what is not proven synced is written again, a torn tail is
    /// erased.
    fn reopen<E>(files: &dyn LogFiles, end: End, recovered: &Recovered<E>) -> io::Result<Self> {
        let file = files.open(&segment_name(end.segment))?;
        let length_bytes = file.length_bytes()?;
        let unproven = end.offset.saturating_sub(recovered.unproven_from);
        let mut bytes = vec![0; usize::try_from(unproven).map_err(io::Error::other)?];
        file.read_at(&mut bytes, recovered.unproven_from)?;
        file.write_at(&bytes, recovered.unproven_from)?;
        let mut erased = if recovered.torn.is_some() { end.offset } else { length_bytes };
        while erased < length_bytes {
            let part = (length_bytes - erased).min(ZEROS.len() as u64);
            file.write_at(&ZEROS[..usize::try_from(part).map_err(io::Error::other)?], erased)?;
            erased += part;
        }
        Ok(Self { number: end.segment, file, offset: end.offset, length_bytes })
    }

    /// Begins a segment: in a spare file if one is long enough, else in a new one.
    fn begin(
        files: &dyn LogFiles,
        spares: &mut Vec<String>,
        end: End,
        owner: Owner,
        length_bytes: u64,
    ) -> io::Result<Self> {
        let name = segment_name(end.segment);
        let mut file = None;
        if let Some(spare) = spares.pop() {
            files.rename(&spare, &name)?;
            let reused = files.open(&name)?;
            file = (reused.length_bytes()? >= length_bytes).then_some(reused);
        }
        let file = match file {
            Some(file) => file,
            None => files.create(&name, length_bytes)?,
        };
        let header = SegmentHeader {
            owner,
            number: end.segment,
            first_sequence: end.sequence,
            chain: end.chain,
        };
        file.write_at(&header.encode(), 0)?;
        let length_bytes = file.length_bytes()?;
        Ok(Self { number: end.segment, file, offset: ALIGNMENT_BYTES as u64, length_bytes })
    }
}
