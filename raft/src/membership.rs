//! The encoding of a membership: in the log, in the store's applied state and in snapshots.
//!
//! Invariant: it crosses nodes and releases, so it is protobuf; field numbers are never reused.
//! Must not know: who wants to join or leave.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message as _;

use crate::types::{Membership, PeerNode};

/// The message form of a membership.
#[derive(Clone, PartialEq, prost::Message)]
struct MembershipMessage {
    /// One set of voters; two while the members move from one to the other.
    #[prost(message, repeated, tag = "1")]
    configs: Vec<VoterSet>,
    /// Every member, learners too.
    #[prost(message, repeated, tag = "2")]
    nodes: Vec<Node>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct VoterSet {
    #[prost(uint64, repeated, tag = "1")]
    voter_ids: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Node {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(string, repeated, tag = "2")]
    peer_urls: Vec<String>,
}

/// Encodes a membership.
pub(crate) fn encode_membership(membership: &Membership) -> Bytes {
    let configs = membership.get_joint_config().iter();
    let nodes = membership.nodes();
    let message = MembershipMessage {
        configs: configs
            .map(|voters| VoterSet { voter_ids: voters.iter().copied().collect() })
            .collect(),
        nodes: nodes
            .map(|(id, node)| Node { id: *id, peer_urls: node.peer_urls.clone() })
            .collect(),
    };
    Bytes::from(message.encode_to_vec())
}

/// Reads what [`encode_membership`] wrote. `None`: the bytes are no membership, or a voter of it
/// has no node.
pub(crate) fn decode_membership(bytes: &Bytes) -> Option<Membership> {
    let message = MembershipMessage::decode(bytes.clone()).ok()?;
    let nodes: BTreeMap<u64, PeerNode> = message
        .nodes
        .into_iter()
        .map(|node| (node.id, PeerNode { peer_urls: node.peer_urls }))
        .collect();
    let configs: Vec<BTreeSet<u64>> =
        message.configs.into_iter().map(|config| config.voter_ids.into_iter().collect()).collect();
    Membership::new(configs, nodes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(url: &str) -> PeerNode {
        PeerNode { peer_urls: vec![url.to_owned()] }
    }

    #[test]
    fn membership_keeps_its_bytes() {
        let nodes = BTreeMap::from([(1, node("http://a")), (2, node("http://b"))]);
        let membership = Membership::new(vec![BTreeSet::from([1])], nodes).expect("valid");
        let bytes = encode_membership(&membership);
        let golden =
            b"\x0a\x03\x0a\x01\x01\x12\x0c\x08\x01\x12\x08http://a\x12\x0c\x08\x02\x12\x08http://b";
        assert_eq!(&bytes[..], golden);
        assert_eq!(decode_membership(&bytes), Some(membership));
    }

    #[test]
    fn bytes_that_are_no_membership_are_refused() {
        assert_eq!(decode_membership(&Bytes::from_static(b"\xff")), None);
        let voter_without_node = Bytes::from_static(b"\x0a\x03\x0a\x01\x01");
        assert_eq!(decode_membership(&voter_without_node), None);
    }
}
