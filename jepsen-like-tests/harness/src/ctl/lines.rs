//! The command lines that both programs get.
//!
//! Invariant: each line is written for a server that has seen all lines before it; `$LEASE` and
//! `$MEMBER` are the ids that the program's own server gave last.

/// One line for both programs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    /// The words, parted by blanks; `''` is an empty one.
    pub(super) words: &'static str,
    /// What is typed.
    pub(super) input: &'static str,
    /// Whether etcdctl prints a line of text for `-w json` and all others, and the answer is here.
    pub(super) better: bool,
}

const fn line(words: &'static str) -> Line {
    Line { words, input: "", better: false }
}

const fn typed(words: &'static str, input: &'static str) -> Line {
    Line { words, input, better: false }
}

/// etcdctl prints its sentence whatever the format; a document is what was asked for.
const fn better(words: &'static str) -> Line {
    Line { words, input: "", better: true }
}

const BRANCHES: &str =
    "mod(\"txn\") = \"0\"\n\nput txn one\nget txn\n\ndel txn\nget a --prefix\n\n";
const COMPARES: &str =
    "ver(\"a\") > \"0\"\nval(\"a\") != \"x\"\ncreate(\"none\") = \"0\"\n\nget a\n\n\n";

/// Each is run in every format.
pub(super) const LINES: &[Line] = &[
    line("put a 1"),
    line("put a 2 --prev-kv"),
    line("put b ''"),
    line("put dir/x 10"),
    line("put dir/y 20"),
    typed("put typed", "from standard input"),
    line("put dir/x --ignore-value"),
    line("put none --ignore-value"),
    line("put '' nokey"),
    line("put a 3 --lease 7f"),
    line("get a"),
    line("get none"),
    line("get a c"),
    line("get dir/ --prefix"),
    line("get '' --prefix --keys-only"),
    line("get '' --from-key --limit 2"),
    line("get dir/ --prefix --order DESCEND --sort-by MODIFY"),
    line("get dir/ --prefix --sort-by=value --order=ascend"),
    line("get dir/ --prefix --min-mod-rev 4 --max-create-rev 9"),
    line("get a --rev 2"),
    line("get a --rev 100000"),
    line("get a --consistency=s"),
    line("get a --hex"),
    line("get dir/ --prefix=true --keys-only=false"),
    line("get dir/ --prefix --stream"),
    line("del none"),
    line("del b --prev-kv"),
    line("del dir/ dir/y --range"),
    typed("txn", BRANCHES),
    typed("txn", BRANCHES),
    typed("txn", COMPARES),
    typed("txn", "nonsense\n\n\n\n"),
    typed("txn", "\ndrop k\n\n\n"),
    line("lease grant 300"),
    line("lease timetolive $LEASE"),
    line("put leased v --lease $LEASE"),
    line("get leased --keys-only"),
    line("lease timetolive $LEASE --keys"),
    line("lease keep-alive --once $LEASE"),
    line("lease list"),
    line("lease revoke $LEASE"),
    line("lease revoke $LEASE"),
    line("lease timetolive $LEASE"),
    line("lease list"),
    line("member list"),
    line("member list --consistency s"),
    line("member list --hex"),
    line("member remove 123"),
    line("member promote 123"),
    line("member update $MEMBER --peer-urls http://127.0.0.1:1"),
    line("member list"),
    line("endpoint status"),
    line("endpoint health"),
    line("endpoint hashkv"),
    line("endpoint hashkv --rev 4"),
    line("endpoint status --cluster"),
    line("alarm list"),
    line("alarm disarm"),
    line("move-leader 123"),
    better("defrag"),
    line("downgrade validate 3.6"),
    line("downgrade validate 3.5"),
    line("downgrade cancel"),
    line("auth status"),
    line("role add reader"),
    line("role add reader"),
    line("role grant-permission reader read dir/ --prefix"),
    line("role grant-permission reader readwrite a"),
    line("role grant-permission reader write k m"),
    line("role get reader"),
    line("role list"),
    line("role revoke-permission reader a"),
    line("role revoke-permission reader dir/ --prefix"),
    line("role revoke-permission reader none"),
    line("user add ann:secret"),
    line("user add ann:secret"),
    line("user add bob --no-password"),
    typed("user add cyn --interactive=false", "typed\n"),
    typed("user passwd cyn --interactive=false", "other\n"),
    line("user grant-role ann reader"),
    line("user get ann"),
    line("user list"),
    line("user revoke-role ann reader"),
    line("user delete bob"),
    line("user get bob"),
    line("role delete reader"),
    line("user add root:root"),
    better("auth enable"),
    line("get a"),
    line("get a --user root:wrong"),
    line("get a --user root:root"),
    line("get a --user ann:secret"),
    line("user list --user ann:secret"),
    better("auth disable --user root:root"),
    better("auth disable"),
    line("user delete root"),
    line("user delete ann"),
    line("user delete cyn"),
    line("role delete root"),
    better("compaction 5"),
    better("compaction 5"),
    line("get a --rev 2"),
    // As Go quotes them.
    typed("put quoted", "\"a\\b\"\t\u{1b}[1m\u{a0}grün\u{202e}\n東e\u{301}\u{7f}\u{0}"),
    line("get quoted"),
    line("get quoted --hex"),
];
