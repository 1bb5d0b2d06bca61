//! The errors that an operator can meet, each with a stable id, its cause and the next step.
//!
//! Invariants: ids are unique and never given to another error; `docs/reference/errors.md` is
//! generated from this table and a test compares them.
//!
//! Must not know: where an error arises.

use tonic::Code;

macro_rules! catalogue {
    ($(
        $name:ident $id:literal $exit_code:literal $title:literal,
        $cause:literal, $next:literal;
    )*) => {
        /// The name of an error in the code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Id {
            $(
                #[doc = $title]
                $name,
            )*
        }

        /// Every error, in the order of their ids.
        pub const TABLE: &[Entry] = &[
            $(Entry {
                name: Id::$name,
                id: $id,
                exit_code: $exit_code,
                title: $title,
                cause: $cause,
                next: $next,
            },)*
        ];
    };
}

/// One error as it is explained.
#[derive(Debug)]
pub struct Entry {
    /// Its name in the code.
    pub name: Id,
    /// What scripts and pages call it.
    pub id: &'static str,
    /// The exit code of the process.
    pub exit_code: u8,
    /// In a few words.
    pub title: &'static str,
    /// Why it happens.
    pub cause: &'static str,
    /// What to do about it.
    pub next: &'static str,
}

catalogue! {
    Usage "E-CTL-001" 128 "the command line makes no sense",
        "A flag or argument is missing, unknown, or excluded by another one; nothing was sent.",
        "Run the same command with --help: it lists the arguments and flags with examples.";
    Input "E-CTL-002" 3 "the text on standard input makes no sense",
        "A line of a transaction, of an interactive watch or a password could not be read; nothing was sent.",
        "Compare with the example in `engram ctl txn --help`; a transaction ends with an empty line for each part.";
    NotOffered "E-CTL-003" 4 "not offered here",
        "etcdctl has this option, but it has no meaning here or only a weaker one than what is here.",
        "The message names what to use in its place.";
    Context "E-CTL-004" 128 "the context is not known or its file cannot be read",
        "--context, ENGRAM_CONTEXT or the current context names an entry that the contexts file does not have, or the file is damaged.",
        "`engram ctl context list` shows the entries and the file's place; `engram ctl context set NAME --endpoints …` makes one.";
    Unreachable "E-CTL-010" 2 "no endpoint answers",
        "Nothing listens at the address, a firewall drops the packets, or the name does not resolve.",
        "Is the server running? `engram dev` starts one; --endpoints, ETCDCTL_ENDPOINTS or `engram ctl context use` name another.";
    Tls "E-CTL-011" 2 "the TLS handshake failed",
        "The server's certificate is not signed by the given CA, is expired or is for another name, or the server wants a client certificate.",
        "Give the CA with --cacert and, if the server asks for it, --cert and --key; `engram ctl doctor` shows when certificates end.";
    TlsFiles "E-CTL-012" 128 "a certificate or key file cannot be used",
        "The file is missing, not PEM, or holds no certificate or key; or only one of --cert and --key is given.",
        "Check the paths and `openssl x509 -in FILE -noout -text`; a key must be unencrypted PEM.";
    Timeout "E-CTL-013" 1 "no answer in time",
        "The member did not answer within --command-timeout: it has no leader to ask, is overloaded, or the disk is slow.",
        "`engram ctl endpoint status --cluster` shows who leads; a longer --command-timeout helps only if the member is slow.";
    NoLeader "E-CTL-014" 2 "the cluster has no leader, or just changed it",
        "Most of the voting members cannot reach each other, or an election is going on.",
        "Try again in a few seconds; if it stays, `engram ctl doctor` says which members are missing.";
    Unavailable "E-CTL-015" 2 "the member cannot serve this now",
        "The connection broke, or the member is stopping or starting.",
        "Try again, or give more endpoints; `engram ctl endpoint health --cluster` shows who serves.";
    NoUser "E-CTL-020" 1 "credentials are needed",
        "Authentication is enabled and the request came without a user or with a token that is no longer valid.",
        "Give --user NAME and type the password when asked (or ETCDCTL_USER and ETCDCTL_PASSWORD).";
    BadPassword "E-CTL-021" 2 "the user or the password is wrong",
        "The server does not tell which of the two.",
        "Type the password again; root may set a new one with `engram ctl user passwd NAME`.";
    PermissionDenied "E-CTL-022" 1 "the user may not do this",
        "None of the user's roles grants the key range, or the request needs the role root.",
        "`engram ctl user get NAME --detail` shows what is granted; root grants more with `engram ctl role grant-permission`.";
    AuthState "E-CTL-023" 1 "users, roles or authentication are not in the state that this needs",
        "The user or role exists already or does not exist, root lacks the role root, or authentication is off.",
        "`engram ctl user list`, `role list` and `auth status` show what there is.";
    Password "E-CTL-024" 128 "the password was not typed as it should be",
        "It was empty, or the two entries differ, or there was no terminal to ask on.",
        "Run it again; in scripts, pipe the password in with --interactive=false, so that it is on no command line.";
    KeyMissing "E-CTL-030" 1 "no key, or a key that is not there",
        "The key is empty, or --ignore-value or --ignore-lease was given for a key that does not exist.",
        "Name the key; to mean every key use --prefix with an empty key.";
    Compacted "E-CTL-031" 1 "the revision has been compacted away",
        "History before the compacted revision is gone on purpose.",
        "Read without --rev, or watch from the revision the message names.";
    FutureRevision "E-CTL-032" 1 "the revision is not reached yet",
        "The store has not made that many changes; revisions of another cluster do not fit here.",
        "`engram ctl endpoint status` and `get -o json` show the current revision.";
    LeaseNotFound "E-CTL-033" 1 "no such lease",
        "It expired, was revoked, or the id is of another cluster.",
        "`engram ctl lease list` shows the leases; `lease grant` makes one.";
    TooLarge "E-CTL-034" 1 "the request is too large",
        "The value, or the transaction with all its parts, is over the server's --max-request-bytes or --max-txn-ops.",
        "Split it, or raise the limit at every member.";
    NoSpace "E-CTL-035" 1 "the database is at its quota",
        "The size reached --quota-backend-bytes; until the alarm is cleared only reads and deletes are served.",
        "Compact, defragment, then `engram ctl alarm disarm`; `engram ctl doctor` shows the sizes.";
    Overloaded "E-CTL-036" 1 "the member has too many requests",
        "More requests are waiting than the member admits.",
        "Try again later or spread the load over more endpoints.";
    Corrupt "E-CTL-037" 1 "members disagree about the data",
        "The alarm CORRUPT is raised: the state of at least one member differs.",
        "`engram ctl endpoint hashkv --cluster` shows who differs; replace that member with `engram ctl member replace`.";
    BadRequest "E-CTL-038" 1 "the server refuses the request as it is",
        "A value is out of its range, or two parts of the request exclude each other.",
        "The message names what is wrong; nothing was changed.";
    MemberNotFound "E-CTL-040" 1 "no such member",
        "The id or name is not in the member list; ids are hexadecimal and never given again.",
        "`engram ctl member list` shows ids and names.";
    MembersUnfit "E-CTL-041" 1 "the members do not allow this change now",
        "Too few members are started or connected, a learner is there already, or a URL is taken.",
        "`engram ctl doctor` shows the quorum's margin; repair what it names, then try again.";
    LearnerBehind "E-CTL-042" 1 "the learner is not in sync yet",
        "A learner is promoted only when it has nearly all of the leader's log.",
        "Wait and try again; `engram ctl member replace` waits and promotes by itself.";
    NotLeader "E-CTL-043" 1 "leadership cannot be moved like this",
        "The endpoint asked is not the leader, or the target is no started voting member.",
        "Give the endpoints of all members; `engram ctl endpoint status --cluster` shows who leads.";
    QuorumAtRisk "E-CTL-044" 1 "refused: the cluster could lose its quorum",
        "After this step fewer healthy voting members could be left than a majority.",
        "Bring the members back that the message names, or restore from a snapshot if they are lost.";
    ReplaceStopped "E-CTL-045" 1 "the replacement is not finished",
        "The new member did not get in sync in time; nothing is broken, the learner waits.",
        "Start the new member with the command printed, then run the same `member replace` again, or undo it with --rollback.";
    SessionLost "E-CTL-050" 1 "the lock's or the election's session ended",
        "The session's lease expired because it was not renewed in time, so another may hold the lock now.",
        "Fence what the lock protects by its revision (ETCD_LOCK_REV); give a longer --ttl.";
    WatchCanceled "E-CTL-051" 5 "the watch was canceled by the server",
        "The start revision is compacted, access was revoked, or the member lost its leader.",
        "Start again from the revision after the last event you saw.";
    Exec "E-CTL-052" 1 "the command to run failed",
        "The program given after the arguments could not be started or ended with an error.",
        "Its own output says why; its exit code is passed on where there is one.";
    Unimplemented "E-CTL-060" 1 "the server does not have this",
        "It is of an older version, or a proxy stands before it.",
        "`engram ctl endpoint status` shows the server's version.";
    Unhealthy "E-CTL-061" 1 "not every endpoint answered well",
        "Those named above are down, have no leader, or have an alarm.",
        "`engram ctl doctor` looks closer and names the next command.";
    Server "E-CTL-062" 1 "the server answered with an error",
        "The message is the server's own.",
        "The server's log of that time says more.";
    Damaged "E-CTL-070" 1 "a file is damaged or not what it should be",
        "A checksum does not fit, or the file is of another kind.",
        "Take another copy; a member with damaged files is replaced, not repaired.";
    Io "E-CTL-071" 6 "reading or writing failed",
        "A file, a terminal or a pipe could not be read or written.",
        "The message is the operating system's; check path, rights and space.";
    InUse "E-CTL-072" 1 "a data directory is in use",
        "A member runs in it, or another tool works on it; nothing was read or written.",
        "Stop the member first. While it runs, ask it: `engram ctl endpoint status`, `endpoint hashkv`, `snapshot save`.";
    EtcdLog "E-CTL-073" 1 "etcd's log cannot be taken over",
        "The log of etcd's data directory (member/wal) is damaged, lacks files, or is not of the database beside it; nothing was written.",
        "Take the data directory of another member, or a snapshot; or start etcd once on a copy of the directory: it says the same, or mends it.";
    OtherData "E-CTL-080" 1 "the target of a copy holds something else",
        "It has keys that the source does not have, or somebody else writes to it.",
        "Copy into an empty cluster; or --replace removes what is not the source's; or make the target anew with `engram util import`.";
    CopyDiffers "E-CTL-081" 1 "the copy is not finished, or not equal",
        "The source compacted what was not copied yet, or both sides differ in the end.",
        "Run the same command again: it goes on with what differs. While the source is compacted often, stop its writers first.";
}

/// The entry of an error.
#[must_use]
pub fn entry(id: Id) -> &'static Entry {
    TABLE.iter().find(|entry| entry.name == id).unwrap_or(&TABLE[0])
}

/// Which error a broken connection is, by the transport's words.
pub(crate) fn of_connection(reason: &str) -> Id {
    let reason = reason.to_lowercase();
    let tls = ["certificate", "tls", "handshake", "corrupt message", "alert"];
    if tls.iter().any(|word| reason.contains(word)) { Id::Tls } else { Id::Unreachable }
}

/// Parts of etcd's messages, and which error they are.
const MESSAGES: &[(&str, Id)] = &[
    ("Timeout expired", Id::Timeout),
    ("context deadline exceeded", Id::Timeout),
    ("request timed out", Id::Timeout),
    ("no leader", Id::NoLeader),
    ("leader changed", Id::NoLeader),
    ("user name is empty", Id::NoUser),
    ("invalid auth token", Id::NoUser),
    ("revision of auth store is old", Id::NoUser),
    ("authentication failed", Id::BadPassword),
    ("permission denied", Id::PermissionDenied),
    ("root user does not", Id::AuthState),
    ("user name", Id::AuthState),
    ("role name", Id::AuthState),
    ("role is not granted", Id::AuthState),
    ("permission is not granted", Id::AuthState),
    ("authentication is not enabled", Id::AuthState),
    ("invalid auth management", Id::AuthState),
    ("key is not provided", Id::KeyMissing),
    ("key not found", Id::KeyMissing),
    ("has been compacted", Id::Compacted),
    ("future revision", Id::FutureRevision),
    ("lease not found", Id::LeaseNotFound),
    ("request is too large", Id::TooLarge),
    ("message larger than max", Id::TooLarge),
    ("too many operations", Id::TooLarge),
    ("database space exceeded", Id::NoSpace),
    ("too many requests", Id::Overloaded),
    ("corrupt cluster", Id::Corrupt),
    ("member not found", Id::MemberNotFound),
    ("in sync with leader", Id::LearnerBehind),
    ("not enough started members", Id::MembersUnfit),
    ("unhealthy cluster", Id::MembersUnfit),
    ("too many learner", Id::MembersUnfit),
    ("member ID already exist", Id::MembersUnfit),
    ("Peer URLs already exists", Id::MembersUnfit),
    ("can only promote a learner", Id::MembersUnfit),
    ("bad leader transferee", Id::NotLeader),
    ("not leader", Id::NotLeader),
];

/// Which error an answer of the server is.
pub(crate) fn of_status(code: Code, message: &str) -> Id {
    if let Some((_, id)) = MESSAGES.iter().find(|(part, _)| message.contains(part)) {
        return *id;
    }
    match code {
        Code::Unavailable => Id::Unavailable,
        Code::DeadlineExceeded => Id::Timeout,
        Code::Unauthenticated => Id::NoUser,
        Code::PermissionDenied => Id::PermissionDenied,
        Code::Unimplemented => Id::Unimplemented,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => Id::BadRequest,
        _ => Id::Server,
    }
}

/// The page `docs/reference/errors.md`.
#[must_use]
pub fn errors_page() -> String {
    let mut page = String::from(
        "# Errors of the tools\n\n\
         What `engram ctl`, `util` and `bench` print when something is wrong: the id, the cause \
         and the next step.\nIds are never given to another error. Generated from \
         `cluster-tools/src/catalogue.rs`.\n\n\
         ## Exit codes\n\n\
         | code | meaning |\n|---|---|\n\
         | 0 | done |\n| 1 | the server refused, or an error of the cluster |\n\
         | 2 | no connection, no leader, or the login failed |\n\
         | 3 | the text on standard input makes no sense |\n\
         | 4 | not offered |\n| 5 | interrupted by the server |\n| 6 | input or output failed |\n\
         | 128 | the command line makes no sense |\n\n\
         `engram ctl doctor` ends with 0 (well), 1 (warnings) or 2 (something needs you now); `ctl \
         lock` and `ctl watch` with a command to run\nend with that command's code.\n\n\
         ## Ids\n\n",
    );
    for entry in TABLE {
        page.push_str(&format!(
            "### {}: {}\n\nExit code {}.\n\n- Cause: {}\n- Next: {}\n\n",
            entry.id, entry.title, entry.exit_code, entry.cause, entry.next
        ));
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Id, TABLE, errors_page, of_connection, of_status};
    use tonic::Code;

    #[test]
    fn ids_are_unique_and_rise() {
        let ids: Vec<_> = TABLE.iter().map(|entry| entry.id).collect();
        let sorted: BTreeSet<_> = ids.iter().copied().collect();
        assert_eq!(ids, sorted.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn every_error_says_what_to_do() {
        for entry in TABLE {
            assert!(entry.cause.ends_with('.') && entry.next.ends_with('.'), "{}", entry.id);
            assert!(entry.exit_code > 0, "{}", entry.id);
        }
    }

    #[test]
    fn the_servers_words_find_their_entry() {
        let rows = [
            (Code::PermissionDenied, "etcdserver: permission denied", Id::PermissionDenied),
            (Code::InvalidArgument, "etcdserver: user name is empty", Id::NoUser),
            (Code::FailedPrecondition, "etcdserver: user name not found", Id::AuthState),
            (
                Code::OutOfRange,
                "etcdserver: mvcc: required revision has been compacted",
                Id::Compacted,
            ),
            (Code::Cancelled, "Timeout expired", Id::Timeout),
            (Code::Unavailable, "etcdserver: no leader", Id::NoLeader),
            (Code::Unavailable, "connection refused", Id::Unavailable),
            (Code::Unknown, "anything", Id::Server),
        ];
        for (code, message, id) in rows {
            assert_eq!(of_status(code, message), id, "{message}");
        }
        assert_eq!(of_connection("Connection refused (os error 111)"), Id::Unreachable);
        assert_eq!(of_connection("invalid peer certificate: UnknownIssuer"), Id::Tls);
    }

    #[test]
    fn the_page_of_errors_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/errors.md");
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == errors_page(),
            "write this into docs/reference/errors.md:\n{}",
            errors_page()
        );
    }
}
