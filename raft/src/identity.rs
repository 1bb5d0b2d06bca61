//! Who a member is: etcd's static ids, and the file that pins them to a data directory.
//!
//! Invariant: a data directory belongs to one `(cluster id, member id)` for ever. A static id holds
//! no time, so a wiped member would compute the same id again; the file, and the question to the
//! peers before a bootstrap, keep it from voting twice.
//! Must not know: openraft, sockets.

use sha1::{Digest as _, Sha1};
use store::MemberId;

/// Length of an encoded [`Identity`], in bytes.
pub(crate) const IDENTITY_BYTES: usize = 41;

/// Name of the identity file inside the log directory.
pub(crate) const IDENTITY_FILE: &str = "identity";

const MAGIC: [u8; 4] = *b"EGID";
const VERSION: u8 = 1;

/// The id of a cluster, shown as hexadecimal like a member id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClusterId(pub u64);

impl std::fmt::Display for ClusterId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// The random mark of one data directory: two directories of the same member never share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DataMark(pub [u8; 16]);

impl std::fmt::Display for DataMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// What a data directory is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster the member was made for.
    pub cluster_id: ClusterId,
    /// The member itself.
    pub member_id: MemberId,
    /// This data directory and no other.
    pub data_mark: DataMark,
}

/// Why an identity file is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The file has another length than this version writes.
    #[error("identity file has {found} bytes instead of {IDENTITY_BYTES}")]
    Length {
        /// Bytes found.
        found: usize,
    },
    /// The file does not begin like an identity file, or comes from a newer version.
    #[error("identity file has an unknown format")]
    Format,
    /// The checksum does not fit the content.
    #[error("identity file is damaged: its checksum does not match")]
    Checksum,
}

impl Identity {
    /// The bytes of the identity file: `EGID`, version, cluster id and member id (big endian), data
    /// mark, CRC-32C of all before it (little endian).
    pub fn encode(&self) -> [u8; IDENTITY_BYTES] {
        let mut bytes = [0; IDENTITY_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = VERSION;
        bytes[5..13].copy_from_slice(&self.cluster_id.0.to_be_bytes());
        bytes[13..21].copy_from_slice(&self.member_id.0.to_be_bytes());
        bytes[21..37].copy_from_slice(&self.data_mark.0);
        let checksum = crc32c::crc32c(&bytes[..37]);
        bytes[37..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads what [`Identity::encode`] wrote.
    ///
    /// *Errors*: [`IdentityError`] names what is wrong; none of them goes away by a retry.
    pub fn decode(bytes: &[u8]) -> Result<Self, IdentityError> {
        let bytes: &[u8; IDENTITY_BYTES] =
            bytes.try_into().map_err(|_| IdentityError::Length { found: bytes.len() })?;
        if bytes[..4] != MAGIC || bytes[4] != VERSION {
            return Err(IdentityError::Format);
        }
        if crc32c::crc32c(&bytes[..37]).to_le_bytes() != bytes[37..] {
            return Err(IdentityError::Checksum);
        }
        Ok(Self {
            cluster_id: ClusterId(be_u64(&bytes[5..13])),
            member_id: MemberId(be_u64(&bytes[13..21])),
            data_mark: DataMark(bytes[21..37].try_into().expect("the slice has sixteen bytes")),
        })
    }
}

/// The static id of a member: the first eight bytes, big endian, of the SHA-1 over its sorted peer
/// URLs joined without a separator and followed by the cluster token.
///
/// *Source*: etcd `server/etcdserver/api/membership`, the rule for members without a time.
pub fn static_member_id(peer_urls: &[String], cluster_token: &str) -> MemberId {
    MemberId(hashed_member_id(peer_urls, cluster_token, None))
}

/// The id of a member that is added at run time: as [`static_member_id`], with the index of the
/// membership it is added to and a random number appended in decimal. The index rises with every
/// change, so an id is never used twice; etcd takes the time, which may go back.
pub fn added_member_id(
    peer_urls: &[String],
    cluster_token: &str,
    membership_index: u64,
    nonce: i64,
) -> MemberId {
    let when = format!("{membership_index}/{nonce}");
    MemberId(hashed_member_id(peer_urls, cluster_token, Some(&when)))
}

/// The id of a cluster: the first eight bytes, big endian, of the SHA-1 over its sorted member ids,
/// eight bytes big endian each.
///
/// *Source*: etcd `server/etcdserver/api/membership`, the id of a bootstrapped cluster.
pub fn cluster_id(members: impl IntoIterator<Item = MemberId>) -> ClusterId {
    let mut ids: Vec<u64> = members.into_iter().map(|id| id.0).collect();
    ids.sort_unstable();
    let mut hash = Sha1::new();
    for id in ids {
        hash.update(id.to_be_bytes());
    }
    ClusterId(be_u64(&hash.finalize()[..8]))
}

fn hashed_member_id(peer_urls: &[String], cluster_token: &str, when: Option<&str>) -> u64 {
    let mut sorted: Vec<&str> = peer_urls.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    let mut hash = Sha1::new();
    for url in sorted {
        hash.update(url.as_bytes());
    }
    hash.update(cluster_token.as_bytes());
    if let Some(when) = when {
        hash.update(when.as_bytes());
    }
    be_u64(&hash.finalize()[..8])
}

fn be_u64(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("the caller slices eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(list: &[&str]) -> Vec<String> {
        list.iter().map(|url| (*url).to_owned()).collect()
    }

    #[test]
    fn single_member_ids_equal_those_of_a_default_etcd() {
        // A default etcd (name default, http://localhost:2380, token etcd-cluster) reports these.
        let member = static_member_id(&urls(&["http://localhost:2380"]), "etcd-cluster");
        assert_eq!(format!("{:x}", member.0), "8e9e05c52164694d");
        assert_eq!(cluster_id([member]).to_string(), "cdf818194e3a8c32");
    }

    #[test]
    fn member_id_does_not_depend_on_the_order_of_urls() {
        let one = static_member_id(&urls(&["http://a:1", "http://b:2"]), "t");
        let other = static_member_id(&urls(&["http://b:2", "http://a:1"]), "t");
        assert_eq!(one, other);
    }

    #[test]
    fn added_member_gets_another_id_each_time() {
        let peers = urls(&["http://a:1"]);
        let first = added_member_id(&peers, "t", 1, 1);
        assert_ne!(first, added_member_id(&peers, "t", 1, 2));
        assert_ne!(first, added_member_id(&peers, "t", 2, 1));
        assert_ne!(first, static_member_id(&peers, "t"));
    }

    fn sample() -> Identity {
        Identity {
            cluster_id: ClusterId(0x0102),
            member_id: MemberId(0x0a0b),
            data_mark: DataMark(*b"0123456789abcdef"),
        }
    }

    #[test]
    fn identity_file_keeps_its_bytes() {
        let bytes = sample().encode();
        let golden = b"EGID\x01\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0\x0a\x0b0123456789abcdef";
        assert_eq!(&bytes[..37], golden);
        assert_eq!(Identity::decode(&bytes), Ok(sample()));
    }

    #[test]
    fn damaged_identity_file_is_refused() {
        let mut bytes = sample().encode().to_vec();
        bytes[9] ^= 1;
        assert_eq!(Identity::decode(&bytes), Err(IdentityError::Checksum));
        assert_eq!(Identity::decode(&bytes[..3]), Err(IdentityError::Length { found: 3 }));
        bytes[0] = b'X';
        assert_eq!(Identity::decode(&bytes), Err(IdentityError::Format));
    }
}
