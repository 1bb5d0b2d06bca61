//! The header of every answer: who answered, in which term, at which revision.

use proto::etcdserverpb::ResponseHeader;
use store::Revision;

use crate::member::Member;

impl Member {
    /// A header at a revision. *Source*: etcd: the operation's revision, else the current one.
    pub(crate) fn header_at(&self, revision: Revision) -> ResponseHeader {
        let revision = match revision {
            Revision(0) => self.reader().revision(),
            revision => revision,
        };
        ResponseHeader { revision: revision.0, ..self.header_without_revision() }
    }

    /// A header at the current revision.
    pub(crate) fn header(&self) -> ResponseHeader {
        self.header_at(Revision(0))
    }

    /// Compat: etcd leaves the revision out of the answers about members.
    pub(crate) fn header_without_revision(&self) -> ResponseHeader {
        let ids = self.ids();
        ResponseHeader {
            cluster_id: ids.cluster_id,
            member_id: ids.member_id,
            revision: 0,
            raft_term: self.leadership().term,
        }
    }

    /// Fills the ids into a header that carries a revision only.
    pub(crate) fn fill(&self, header: &mut Option<ResponseHeader>) {
        let revision = header.as_ref().map_or(0, |header| header.revision);
        *header = Some(self.header_at(Revision(revision)));
    }
}
