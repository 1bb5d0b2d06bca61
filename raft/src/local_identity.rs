//! This member's identity in use: what it signs its calls with, and whom it accepts calls from.
//!
//! Invariants: a call is accepted only for this cluster and this member; the data directory under
//! which a peer was first seen is kept for ever, so that a wiped peer that computes the same id is
//! refused instead of voting a second time.
//! Must not know: how a call arrives.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use proto::peer::{HelloResponse, PeerHeader};
use store::MemberId;

use crate::errors::{PeerError, StartError};
use crate::identity::{DataMark, Identity};
use crate::limits;
use crate::log::LogFiles;

/// Name of the file with the marks of peers, inside the log directory.
const KNOWN_PEERS_FILE: &str = "known-peers";

const KNOWN_PEERS_MAGIC: [u8; 4] = *b"EGKP";
const KNOWN_PEERS_VERSION: u8 = 1;
/// Member id, then mark.
const KNOWN_PEER_BYTES: usize = 24;

/// The data directories under which peers were seen, kept in a file.
pub(crate) struct KnownPeers {
    marks: BTreeMap<u64, DataMark>,
    files: Arc<dyn LogFiles>,
}

impl KnownPeers {
    /// Reads the file; without one nobody was seen yet.
    pub(crate) fn load(files: &Arc<dyn LogFiles>) -> Result<Self, StartError> {
        let marks = match files.read_file(KNOWN_PEERS_FILE)? {
            None => BTreeMap::new(),
            Some(bytes) => decode_marks(&bytes).ok_or_else(|| {
                StartError::Identity(format!("file {KNOWN_PEERS_FILE:?} is damaged"))
            })?,
        };
        Ok(Self { marks, files: Arc::clone(files) })
    }

    fn insert(&mut self, member: u64, mark: DataMark) -> std::io::Result<()> {
        self.marks.insert(member, mark);
        // Durable before the first vote: a forgotten mark would let a wiped member in.
        let saved = self.files.write_file(KNOWN_PEERS_FILE, &encode_marks(&self.marks));
        if saved.is_err() {
            self.marks.remove(&member);
        }
        saved
    }
}

/// `EGKP`, version, then per member its id (big endian) and mark, then CRC-32C (little endian).
fn encode_marks(marks: &BTreeMap<u64, DataMark>) -> Vec<u8> {
    let mut bytes = KNOWN_PEERS_MAGIC.to_vec();
    bytes.push(KNOWN_PEERS_VERSION);
    for (member, mark) in marks {
        bytes.extend(member.to_be_bytes());
        bytes.extend(mark.0);
    }
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

fn decode_marks(bytes: &[u8]) -> Option<BTreeMap<u64, DataMark>> {
    let (content, checksum) = bytes.split_last_chunk::<4>()?;
    if crc32c::crc32c(content).to_le_bytes() != *checksum {
        return None;
    }
    let rows = content.strip_prefix(&KNOWN_PEERS_MAGIC)?.strip_prefix(&[KNOWN_PEERS_VERSION])?;
    let chunks = rows.chunks_exact(KNOWN_PEER_BYTES);
    if !chunks.remainder().is_empty() {
        return None;
    }
    let row = |row: &[u8]| {
        let (member, mark) = row.split_first_chunk::<8>()?;
        Some((u64::from_be_bytes(*member), DataMark(mark.try_into().ok()?)))
    };
    chunks.map(row).collect()
}

/// This member, and what it knows of its peers' data directories.
pub(crate) struct LocalIdentity {
    identity: Identity,
    known: Mutex<KnownPeers>,
}

impl LocalIdentity {
    pub(crate) fn new(identity: Identity, known: KnownPeers) -> Self {
        Self { identity, known: Mutex::new(known) }
    }

    pub(crate) fn member_id(&self) -> MemberId {
        self.identity.member_id
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The mark under which `member` was seen.
    pub(crate) fn known_mark(&self, member: MemberId) -> Option<DataMark> {
        self.known.lock().marks.get(&member.0).copied()
    }

    /// The header of a call to `member`. It names the data directory that is meant, if that is
    /// known: a wiped member must not take part under its old id, neither when it calls nor when
    /// called.
    pub(crate) fn header_to(&self, member: MemberId) -> PeerHeader {
        let to = self.known_mark(member);
        PeerHeader {
            cluster_id: self.identity.cluster_id.0,
            from_member_id: self.identity.member_id.0,
            to_member_id: member.0,
            from_identity: Bytes::copy_from_slice(&self.identity.data_mark.0),
            to_identity: to.map_or(Bytes::new(), |mark| Bytes::copy_from_slice(&mark.0)),
        }
    }

    /// Takes in what a peer said about itself when it was asked for the first time.
    ///
    /// *Errors*: it is somebody else than `expected`, or comes with another data directory.
    pub(crate) fn learn(
        &self,
        expected: MemberId,
        answer: &HelloResponse,
    ) -> Result<(), PeerError> {
        if answer.cluster_id != self.identity.cluster_id.0 {
            let text = format!(
                "member of cluster {:x} answers for cluster {}",
                answer.cluster_id, self.identity.cluster_id
            );
            return Err(PeerError::Identity(text));
        }
        if answer.member_id != expected.0 {
            return Err(PeerError::wrong_member(MemberId(answer.member_id), expected));
        }
        self.check_mark(expected, mark_of(expected, &answer.identity)?)
    }

    /// Checks the header of a call that was received, and remembers a sender seen for the first
    /// time.
    ///
    /// *Errors*: [`PeerError::Identity`]: the call must not be handled.
    pub(crate) fn check(&self, header: Option<&PeerHeader>) -> Result<MemberId, PeerError> {
        let header = header.ok_or_else(|| PeerError::Identity("no header".to_owned()))?;
        if header.cluster_id != self.identity.cluster_id.0 {
            let text = format!(
                "call for cluster {:x} reached cluster {}",
                header.cluster_id, self.identity.cluster_id
            );
            return Err(PeerError::Identity(text));
        }
        if header.to_member_id != self.identity.member_id.0 {
            return Err(PeerError::wrong_member(
                self.identity.member_id,
                MemberId(header.to_member_id),
            ));
        }
        let from = MemberId(header.from_member_id);
        if from == self.identity.member_id {
            return Err(PeerError::Identity(format!("a second member {from} is running")));
        }
        if !header.to_identity.is_empty() && header.to_identity[..] != self.identity.data_mark.0 {
            let text = format!("member {} lost its data: it must join anew", self.member_id());
            tracing::error!(peer = %from, "{text}");
            return Err(PeerError::Identity(text));
        }
        self.check_mark(from, mark_of(from, &header.from_identity)?)?;
        Ok(from)
    }

    fn check_mark(&self, from: MemberId, mark: DataMark) -> Result<(), PeerError> {
        let mut known = self.known.lock();
        match known.marks.get(&from.0) {
            Some(seen) if *seen == mark => Ok(()),
            Some(seen) => {
                tracing::error!(
                    peer = %from, %seen, %mark,
                    "member comes with another data directory: it must join as a new member"
                );
                let text = format!("member {from} lost its data: remove it and add a new one");
                Err(PeerError::Identity(text))
            }
            None if known.marks.len() >= limits::KNOWN_PEERS_MAX => {
                tracing::error!(peer = %from, "too many peers were seen: a new one is refused");
                Err(PeerError::Refused("too many peers were seen".to_owned()))
            }
            None => known.insert(from.0, mark).map_err(|error| {
                tracing::error!(%error, "cannot keep the identity of a peer");
                PeerError::Refused("cannot keep the identity of a peer".to_owned())
            }),
        }
    }
}

fn mark_of(member: MemberId, bytes: &[u8]) -> Result<DataMark, PeerError> {
    let mark = <[u8; 16]>::try_from(bytes).map(DataMark);
    mark.map_err(|_| PeerError::Identity(format!("member {member} names no data directory")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::ClusterId;

    fn member(id: u64, mark: u8) -> LocalIdentity {
        let files: Arc<dyn LogFiles> = Arc::new(crate::log::MemoryLogFiles::new());
        member_on(&files, id, mark)
    }

    fn member_on(files: &Arc<dyn LogFiles>, id: u64, mark: u8) -> LocalIdentity {
        let identity = Identity {
            cluster_id: ClusterId(9),
            member_id: MemberId(id),
            data_mark: DataMark([mark; 16]),
        };
        LocalIdentity::new(identity, KnownPeers::load(files).expect("readable"))
    }

    #[test]
    fn a_wiped_peer_is_refused_after_a_restart_too() {
        let files: Arc<dyn LogFiles> = Arc::new(crate::log::MemoryLogFiles::new());
        let before = member_on(&files, 1, 1);
        assert!(before.check(Some(&member(2, 2).header_to(MemberId(1)))).is_ok());
        let after = member_on(&files, 1, 1);
        assert!(after.check(Some(&member(2, 3).header_to(MemberId(1)))).is_err());
        assert!(after.check(Some(&member(2, 2).header_to(MemberId(1)))).is_ok());
    }

    #[test]
    fn known_peers_keep_their_bytes() {
        let marks = BTreeMap::from([(2, DataMark([7; 16]))]);
        let bytes = encode_marks(&marks);
        assert_eq!(&bytes[..13], b"EGKP\x01\0\0\0\0\0\0\0\x02");
        assert_eq!(decode_marks(&bytes), Some(marks));
        assert_eq!(decode_marks(&bytes[1..]), None);
    }

    #[test]
    fn calls_for_another_cluster_or_member_are_refused() {
        let (one, two) = (member(1, 1), member(2, 2));
        assert_eq!(one.check(Some(&two.header_to(MemberId(1)))), Ok(MemberId(2)));
        assert!(one.check(Some(&two.header_to(MemberId(3)))).is_err());
        let mut foreign = two.header_to(MemberId(1));
        foreign.cluster_id = 8;
        assert!(one.check(Some(&foreign)).is_err());
        assert!(one.check(None).is_err());
    }

    #[test]
    fn a_wiped_member_refuses_what_was_meant_for_its_old_data() {
        let leader = member(1, 1);
        assert!(leader.check(Some(&member(2, 2).header_to(MemberId(1)))).is_ok());
        let call = leader.header_to(MemberId(2));
        assert_eq!(member(2, 2).check(Some(&call)), Ok(MemberId(1)));
        assert!(member(2, 3).check(Some(&call)).is_err());
    }

    #[test]
    fn strangers_do_not_fill_the_memory_and_keep_no_known_peer_out() {
        let one = member(1, 1);
        let ask = |id| one.check(Some(&member(id, 7).header_to(MemberId(1))));
        let most = limits::KNOWN_PEERS_MAX as u64;
        for id in 2..2 + most {
            assert!(ask(id).is_ok());
        }
        assert!(matches!(ask(2 + most), Err(PeerError::Refused(_))));
        assert_eq!(ask(2), Ok(MemberId(2)), "who is known comes in");
    }

    #[test]
    fn a_wiped_peer_is_refused() {
        let one = member(1, 1);
        assert!(one.check(Some(&member(2, 2).header_to(MemberId(1)))).is_ok());
        assert!(one.check(Some(&member(2, 3).header_to(MemberId(1)))).is_err());
        assert!(one.check(Some(&member(2, 2).header_to(MemberId(1)))).is_ok());
    }
}
