//! Reading a log back: what was synced is there or the log is refused; a torn tail is cut off.
//!
//! The rule: the first group that is not sound ends the log. If any later group says that this one
//! had been synced, the log is damaged. Otherwise the group was under way when the process died;
//! nobody was told that it is durable, and it is dropped.
//!
//! Invariants: reads only; any bytes are met with a result; equal bytes give an equal result.
//!
//! Must not know: how the log is written from then on.

use std::io;

use bytes::Bytes;

use super::entry::LogEntry;
use super::error::LogError;
use super::files::{LogFile, LogFiles};
use super::format::{
    ALIGNMENT_BYTES, BadSegment, FORMAT, GROUP_HEADER_BYTES, GroupHeader, NUMBER_MAX, Owner,
    RECORD_HEADER_BYTES, Record, RecordKind, SegmentHeader, position_of, records, segment_name,
    segment_number,
};
use super::state::{Place, Position, State};

/// Where writing goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    /// The sequence of the next group.
    pub(crate) sequence: u64,
    pub(crate) chain: u32,
}

/// What was dropped at the end of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The segment's file name.
    pub file: String,
    /// Where the first dropped group begins, in bytes.
    pub offset: u64,
}

/// A log that was read back.
#[derive(Debug)]
pub(crate) struct Recovered<E> {
    pub(crate) state: State<E>,
    /// `None` when there is no segment yet.
    pub(crate) end: Option<End>,
    pub(crate) torn: Option<TornTail>,
    /// Where in the last segment the first group begins whose sync no group tells of; the end if
    /// there is none.
    pub(crate) unproven_from: u64,
    /// Segments before the end, oldest first.
    pub(crate) segments: Vec<u64>,
    /// Segments beyond the end: made ahead and never begun, or cut off with the tail.
    pub(crate) beyond: Vec<u64>,
}

/// Hears about each sound record, with its segment's file name and its offset there.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(&str, u64, &Record);

/// Reads the whole log. `owner`: whose it must be; `None` takes anyone's.
pub(crate) fn recover<E: LogEntry>(
    files: &dyn LogFiles,
    owner: Option<Owner>,
    cached_bytes_max: usize,
    visit: Visit<'_>,
) -> Result<Recovered<E>, LogError> {
    let mut numbers: Vec<u64> =
        files.list()?.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    let state = State::new(cached_bytes_max);
    let mut reading = Reading { files, owner, state, visit, groups: Vec::new(), told: 0 };
    let mut cursor: Option<End> = None;
    let mut begun = Vec::new();
    for (at, number) in numbers.iter().copied().enumerate() {
        match reading.segment(number, cursor)? {
            Some(end) => {
                cursor = Some(end);
                begun.push(number);
            }
            // Not a segment that follows: the log ends in the one before, unless a later group
            // disagrees.
            None => return reading.end(cursor, begun, &numbers[at..]),
        }
    }
    reading.end(cursor, begun, &[])
}

struct Reading<'a, E> {
    files: &'a dyn LogFiles,
    owner: Option<Owner>,
    state: State<E>,
    visit: Visit<'a>,
    /// Sequence and offset of each sound group of the segment read last.
    groups: Vec<(u64, u64)>,
    /// The highest synced sequence that a sound group tells of.
    told: u64,
}

impl<E: LogEntry> Reading<'_, E> {
    /// Reads a segment up to its first group that is not sound; `None` when it does not follow.
    fn segment(&mut self, number: u64, before: Option<End>) -> Result<Option<End>, LogError> {
        let name = segment_name(number);
        let bytes = self.read_whole(&name)?;
        let header = match SegmentHeader::decode(&bytes) {
            Ok(header) => header,
            Err(BadSegment::Format(found)) => {
                let directory = self.files.describe();
                return Err(LogError::Format { directory, found, known: FORMAT });
            }
            Err(BadSegment::Blank) => return Ok(None),
            // A header is one sector: a crash leaves what was there before, or all of it.
            Err(BadSegment::Damaged) => {
                let what = "the segment's header is not sound".to_owned();
                return Err(self.damaged(&name, 0, what));
            }
        };
        self.check_owner(header.owner)?;
        let follows = before.is_none_or(|end| {
            let place = (end.segment + 1, end.sequence, end.chain);
            place == (header.number, header.first_sequence, header.chain)
        });
        if header.number != number || !follows {
            return Ok(None);
        }
        let mut end = End {
            segment: number,
            offset: ALIGNMENT_BYTES as u64,
            sequence: header.first_sequence,
            chain: header.chain,
        };
        self.groups.clear();
        while let Some((group, body)) = sound_group(&bytes, end) {
            // What has its checksums is not torn: a later release wrote it, and cutting it would be
            // a guess.
            let found = records(&body).ok_or_else(|| {
                self.damaged(&name, end.offset, "a sound group of an unknown record".to_owned())
            })?;
            self.groups.push((end.sequence, end.offset));
            self.told = self.told.max(group.synced_sequence);
            for record in &found {
                let offset = end.offset + (GROUP_HEADER_BYTES + record.at) as u64;
                self.record(&name, number, offset, record)?;
            }
            end.offset += group.stride_bytes();
            end.sequence += 1;
            end.chain = group.crc;
        }
        Ok(Some(end))
    }

    fn read_whole(&self, name: &str) -> Result<Bytes, LogError> {
        let file = self.files.open(name)?;
        Ok(read_from(&*file, 0)?)
    }

    fn check_owner(&self, found: Owner) -> Result<(), LogError> {
        match self.owner {
            Some(owner) if owner != found => Err(LogError::Foreign {
                directory: self.files.describe(),
                found_cluster: found.cluster_id,
                found_member: found.member_id,
                cluster: owner.cluster_id,
                member: owner.member_id,
            }),
            _ => Ok(()),
        }
    }

    fn record(
        &mut self,
        name: &str,
        segment: u64,
        offset: u64,
        record: &Record,
    ) -> Result<(), LogError> {
        (self.visit)(name, offset, record);
        let wrong = |what: String| self.damaged(name, offset, what);
        let position = position_of(&record.payload).map(|(term, index)| Position { term, index });
        let position = match position {
            Some(position) if position.index > NUMBER_MAX => Err("an index that no log comes to"),
            position => position.ok_or("a payload that is too short"),
        };
        match record.kind {
            RecordKind::Vote => self.state.vote = Some(record.payload.clone()),
            RecordKind::Committed => {
                self.state.committed = Some(position.map_err(|what| wrong(what.to_owned()))?);
            }
            RecordKind::Purge => {
                let upto = position.map_err(|what| wrong(what.to_owned()))?;
                self.state.purge(upto);
            }
            RecordKind::Truncate => {
                let last = record.payload.as_ref().try_into().map(u64::from_le_bytes);
                let last = last.map_err(|_| wrong("a payload that is too short".to_owned()))?;
                // The stored number is the count of indexes that stay: 0 keeps none.
                self.state.truncate_after(last.checked_sub(1));
            }
            RecordKind::Entry => {
                let position = position.map_err(|what| wrong(what.to_owned()))?;
                self.entry(name, segment, offset, position, record)?;
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        name: &str,
        segment: u64,
        offset: u64,
        position: Position,
        record: &Record,
    ) -> Result<(), LogError> {
        if self.state.purged.is_some_and(|purged| position.index <= purged.index) {
            return Ok(());
        }
        // With no entry yet, older segments may be gone whose purge is recorded further on.
        let empty = self.state.first_index() == self.state.end_index();
        if !empty && self.state.next_index() != Some(position.index) {
            let what = format!("entry {} follows {}", position.index, self.state.end_index());
            return Err(self.damaged(name, offset, what));
        }
        let payload_bytes = u32::try_from(record.payload.len()).unwrap_or(u32::MAX);
        self.state.push_placed(position, Place { segment, offset, payload_bytes });
        Ok(())
    }

    /// Ends the log, or finds that it may not end there.
    fn end(
        self,
        cursor: Option<End>,
        segments: Vec<u64>,
        beyond: &[u64],
    ) -> Result<Recovered<E>, LogError> {
        let Some(end) = cursor else {
            return self.nothing_begun(beyond);
        };
        let mut torn = false;
        for (number, from) in std::iter::once((end.segment, end.offset))
            .chain(beyond.iter().map(|number| (*number, 0)))
        {
            let evidence = self.evidence(number, from, end.sequence)?;
            torn |= evidence.is_some();
            if evidence.is_some_and(|synced| synced >= end.sequence) {
                let what = "a group that had been synced is not sound".to_owned();
                return Err(self.damaged(&segment_name(end.segment), end.offset, what));
            }
        }
        self.check_first_index(end)?;
        self.check_first_segment(&segments)?;
        let unproven = self.groups.iter().find(|(sequence, _)| *sequence > self.told);
        let unproven_from = unproven.map_or(end.offset, |(_, offset)| *offset);
        let torn = torn.then(|| TornTail { file: segment_name(end.segment), offset: end.offset });
        let (state, beyond) = (self.state, beyond.to_vec());
        Ok(Recovered { state, end: Some(end), torn, unproven_from, segments, beyond })
    }

    /// No segment was begun: fine for a new log, damage if a group says that there was something.
    fn nothing_begun(self, beyond: &[u64]) -> Result<Recovered<E>, LogError> {
        for number in beyond {
            if self.evidence(*number, 0, 1)?.is_some_and(|synced| synced > 0) {
                let what = "the segment's header is not sound".to_owned();
                return Err(self.damaged(&segment_name(*number), 0, what));
            }
        }
        let (state, beyond) = (self.state, beyond.to_vec());
        let segments = Vec::new();
        Ok(Recovered { state, end: None, torn: None, unproven_from: 0, segments, beyond })
    }

    /// The highest synced sequence told by headers of this segment from an offset on, among those
    /// of a sequence at or beyond the one wanted; `None` when there is no such header.
    fn evidence(&self, segment: u64, from: u64, sequence: u64) -> Result<Option<u64>, LogError> {
        let file = self.files.open(&segment_name(segment))?;
        let bytes = read_from(&*file, from)?;
        let headers = bytes.chunks(ALIGNMENT_BYTES).filter_map(GroupHeader::decode);
        Ok(headers
            .filter(|header| header.segment == segment && header.sequence >= sequence)
            .map(|header| header.synced_sequence)
            .max())
    }

    fn check_first_index(&self, end: End) -> Result<(), LogError> {
        let (first, purged) = (self.state.first_index(), self.state.purged);
        let empty = first == self.state.end_index();
        if let Some(purged) = purged.filter(|purged| !empty && first != purged.index + 1) {
            let what = format!("the first entry is {first}, after purged {}", purged.index);
            return Err(self.damaged(&segment_name(end.segment), end.offset, what));
        }
        Ok(())
    }

    /// Segments go only after a purge, and every later segment's head tells of it.
    fn check_first_segment(&self, segments: &[u64]) -> Result<(), LogError> {
        match segments.first() {
            Some(first) if *first > 1 && self.state.purged.is_none() => {
                let what = "the segments before it are missing and nothing was purged".to_owned();
                Err(self.damaged(&segment_name(*first), 0, what))
            }
            _ => Ok(()),
        }
    }

    fn damaged(&self, file: &str, offset: u64, what: String) -> LogError {
        LogError::Damaged { directory: self.files.describe(), file: file.to_owned(), offset, what }
    }
}

/// The header and body of the group at the end, if it is sound and follows.
fn sound_group(bytes: &Bytes, end: End) -> Option<(GroupHeader, Bytes)> {
    let at = usize::try_from(end.offset).ok()?;
    let header = GroupHeader::decode(bytes.get(at..)?)?;
    let follows = header.segment == end.segment
        && header.sequence == end.sequence
        && header.chain == end.chain;
    let start = at + GROUP_HEADER_BYTES;
    let length = usize::try_from(header.body_bytes).ok()?;
    let stop = start.checked_add(length).filter(|stop| *stop <= bytes.len())?;
    let body = bytes.slice(start..stop);
    (follows && header.owns(&body)).then_some((header, body))
}

fn read_from(file: &dyn LogFile, offset: u64) -> io::Result<Bytes> {
    let length = file.length_bytes()?.saturating_sub(offset);
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_at(&mut bytes, offset)?;
    Ok(Bytes::from(bytes))
}

/// Reads one entry's record back and checks it.
///
/// *Errors*: `InvalidData` when the bytes are not the record that was written there.
pub(crate) fn read_entry<E: LogEntry>(
    file: &dyn LogFile,
    place: Place,
    index: u64,
) -> io::Result<E> {
    let length = RECORD_HEADER_BYTES + place.payload_bytes as usize;
    let mut bytes = vec![0; length];
    file.read_at(&mut bytes, place.offset)?;
    let record = super::format::record_at(&Bytes::from(bytes), 0)
        .filter(|record| record.kind == RecordKind::Entry && record.payload.len() >= 16);
    let entry = record.and_then(|record| {
        // The record and the entry in it both say which one it is; Raft goes by the entry.
        let (term, at) = position_of(&record.payload)?;
        let entry = E::decode(record.payload.slice(16..))?;
        (at == index && (entry.term(), entry.index()) == (term, index)).then_some(entry)
    });
    entry.ok_or_else(|| {
        let Place { segment, offset, .. } = place;
        let what = format!("entry {index} in {} at {offset} is not sound", segment_name(segment));
        io::Error::new(io::ErrorKind::InvalidData, what)
    })
}
