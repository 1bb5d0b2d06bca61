//! The differences that are accepted, each with its reason: the one table of them.
//!
//! Invariant: `docs/compatibility/kubernetes.md` shows this table; a test compares the two.

/// A difference that stands.
#[derive(Debug)]
pub struct Accepted {
    /// Method and resource, with `*`.
    pub asked: &'static str,
    /// Where in the answer, with `*`.
    pub place: &'static str,
    /// `real | ours` as the report shows them, with `*`; any where there is none.
    pub values: Option<&'static str>,
    /// Why it stands.
    pub reason: &'static str,
}

/// All of them.
pub const ACCEPTED: &[Accepted] = &[
    Accepted {
        asked: "GET version",
        place: "body.compiler",
        values: None,
        reason: "the compiler that built it",
    },
    Accepted {
        asked: "GET version",
        place: "body.goVersion",
        values: None,
        reason: "the compiler that built it",
    },
    Accepted {
        asked: "GET version",
        place: "body.gitCommit",
        values: None,
        reason: "what it was built from",
    },
    Accepted {
        asked: "GET version",
        place: "body.engramVersion",
        values: None,
        reason: "our own version, beside that of the API",
    },
    Accepted {
        asked: "*",
        place: "header.x-kubernetes-pf-flowschema-uid",
        values: Some("is there | nothing"),
        reason: "flow control by FlowSchemas comes later; requests under way are limited in number",
    },
    Accepted {
        asked: "*",
        place: "*columnDefinitions[].description",
        values: None,
        reason: "what a Table says of its columns is in our words; names, types, formats and priorities are theirs",
    },
    Accepted {
        asked: "GET apis*",
        place: "body.*versions[*v1beta1]",
        values: Some("nothing | an object"),
        reason: "`batch/v1beta1` is served beside `batch/v1`",
    },
    Accepted {
        asked: "GET ",
        place: "body.paths*",
        values: None,
        reason: "the list of paths: ours has those that it serves",
    },
    Accepted {
        asked: "GET componentstatuses",
        place: "body.items[*",
        values: Some("an object | nothing"),
        reason: "the one component that ours knows is its store",
    },
    Accepted {
        asked: "GET openapi/v3",
        place: "body",
        values: None,
        reason: "paths and hashes of documents are each server's own",
    },
    Accepted {
        asked: "* pods*",
        place: "*message",
        values: Some("*pod updates may not change fields*"),
        reason: "the real one shows how its internal forms of both objects differ",
    },
    Accepted {
        asked: "* jobs",
        place: "*message",
        values: Some("*Invalid value: {*"),
        reason: "the real one tells it in its internal forms, as Go prints them",
    },
    Accepted {
        asked: "* persistentvolume*",
        place: "*message",
        values: Some("*immutable after creation*"),
        reason: "the real one tells it in its internal forms, as Go prints them",
    },
    Accepted {
        asked: "GET namespaces",
        place: "body.items[*",
        values: Some("*object*"),
        reason: "the ConfigMaps that the real one makes for itself",
    },
    Accepted {
        asked: "* configmaps",
        place: "*message",
        values: Some("*found a tab*"),
        reason: "the words of Go's YAML parser",
    },
    Accepted {
        asked: "WATCH configmaps",
        place: "events length",
        values: Some("0 | 1"),
        reason: "a watch whose time is up at once: the real one says so or says nothing, as it \
                 happens; ours says so",
    },
    Accepted {
        asked: "* persistentvolumes",
        place: "*message",
        values: Some("*Unsupported value: {}* | *Unsupported value: null*"),
        reason: "an empty map of capacities is taken for an absent one",
    },
    Accepted {
        asked: "PATCH deployments",
        place: "header.warning",
        values: Some("*$setElementOrder/* | nothing"),
        reason: "the real one first patches what its cache has, which may be older, and tells of \
                 that try too",
    },
];

/// What differs where the conversations do not ask: what, and how.
pub const NOT_ASKED: &[(&str, &str)] = &[
    (
        "bodies nested deeper than 100 levels",
        "400 where the real one reads 10,000: what is stored must be readable by clients that stop at 127",
    ),
    (
        "numbers too large for a float, in fields that are not known",
        "400 where the real one passes the field over",
    ),
    (
        "a number of the wrong form for its field",
        "the message shows it as it was understood: `1000.0` for `1e3`",
    ),
    (
        "YAML that only one of YAML 1.1 and 1.2 reads",
        "read as 1.2: `{a:}`, `\"\\/\"`, `%YAML 1.2`; plain scalars have the types of 1.1, as there",
    ),
    (
        "YAML faults of seldom kinds",
        "refused alike, in other words: two parsers look for different things first",
    ),
    ("keys that come twice by a YAML merge", "the last counts, as there, but it is not told of"),
    (
        "`autoscaling/v1` as a Table",
        "metrics that stand in its annotation are not shown; `v2` shows them",
    ),
    (
        "a whole template, security context, claim or policy that a message quotes",
        "by the names of its fields in JSON, where the real one writes its internal form; small values have that form in ours too",
    ),
    (
        "what changed in a PersistentVolumeClaim",
        "refused alike; the message does not show the difference of the internal forms",
    ),
    (
        "time zones of CronJobs",
        "known areas and well-formed places are taken: no data base of zones is carried along",
    ),
    ("volume sources of single vendors", "told apart and counted, not looked into"),
    ("an empty map or list where an absent one means the same to Go", "taken for an absent one"),
    ("expressions in CEL, match conditions, admission policies", "validated by their schema alone"),
];

/// The page of this table, of [`super::mask::MASKS`] and of what is served, as Markdown.
///
/// *Errors*: a file of this crate does not parse.
pub fn page() -> anyhow::Result<String> {
    let mut page = String::from(include_str!("page.md"));
    page += "| what | why |\n|---|---|\n";
    for (what, why) in super::mask::MASKS {
        page += &format!("| {what} | {why} |\n");
    }
    page += "\n## Answered another way\n\n";
    page += "| asked | where | real and ours | why |\n|---|---|---|---|\n";
    let escaped = |text: &str| text.replace('|', "and").replace('*', "…");
    for row in ACCEPTED {
        let values =
            row.values.map_or_else(|| "any".to_owned(), |values| format!("`{}`", escaped(values)));
        let (asked, place) = (escaped(row.asked), escaped(row.place));
        page += &format!("| `{asked}` | `{place}` | {values} | {} |\n", row.reason);
    }
    page += "\n## Printed another way by kubectl\n\n| line | why |\n|---|---|\n";
    for (line, why) in crate::kubectl::ACCEPTED {
        page += &format!("| `{}` | {why} |\n", escaped(line));
    }
    page += "\n## Known, and not asked in the comparison\n\n| what | how |\n|---|---|\n";
    for (what, how) in NOT_ASKED {
        page += &format!("| {what} | {how} |\n");
    }
    page += "\n";
    page += &crate::served::section()?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_of_differences_is_what_the_tables_say() {
        let page = include_str!("../../../../docs/compatibility/kubernetes.md");
        let again = "run `engram-kubernetes page > docs/compatibility/kubernetes.md`";
        let written = super::page().expect("the files of this crate parse");
        assert!(page == written, "docs/compatibility/kubernetes.md is out of date: {again}");
    }
}
