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
        place: "body.*",
        values: None,
        reason: "who built it, from what and with which compiler; major and minor are the same",
    },
    Accepted {
        asked: "*",
        place: "header.x-kubernetes-pf-flowschema-uid",
        values: None,
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
        place: "body.*versions[*",
        values: None,
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
        values: None,
        reason: "the one component that ours knows is its store",
    },
    Accepted {
        asked: "GET openapi/v3",
        place: "*",
        values: None,
        reason: "paths and hashes of documents are each server's own; so is the media type of the list",
    },
    Accepted {
        asked: "* pods*",
        place: "*message",
        values: Some("*pod updates may not change fields*"),
        reason: "the real one shows how its internal forms of both objects differ",
    },
    Accepted {
        asked: "GET api",
        place: "body.*",
        values: None,
        reason: "the words of a refused media type; the code is the same",
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
        asked: "POST services",
        place: "body.*",
        values: None,
        reason: "a Service without a name: the real one asks for its address first, and \
                 tells of that",
    },
    Accepted {
        asked: "GET *",
        place: "body.items",
        values: Some("null | 0 items"),
        reason: "Go's empty list of PartialObjectMetadata; clients read both alike",
    },
    Accepted {
        asked: "DELETE jobs",
        place: "header.warning",
        values: Some("* | nothing"),
        reason: "the warning of what happens to a Job's pods comes with a refused deletion \
                 too",
    },
    Accepted {
        asked: "DELETE namespaces",
        place: "status",
        values: Some("400 | 405"),
        reason: "the path has an empty segment: the real one takes it for a namespace that \
                 is missing",
    },
    Accepted {
        asked: "DELETE namespaces",
        place: "body.code",
        values: Some("400 | 405"),
        reason: "the path has an empty segment: the real one takes it for a namespace that \
                 is missing",
    },
    Accepted {
        asked: "DELETE namespaces",
        place: "body.reason",
        values: Some("BadRequest | *"),
        reason: "the path has an empty segment: the real one takes it for a namespace that \
                 is missing",
    },
    Accepted {
        asked: "DELETE namespaces",
        place: "body.message",
        values: Some("Namespace parameter required*"),
        reason: "the path has an empty segment: the real one takes it for a namespace that \
                 is missing",
    },
    Accepted {
        asked: "DELETE namespaces",
        place: "body.details",
        values: Some("nothing | an object"),
        reason: "the path has an empty segment: the real one takes it for a namespace that \
                 is missing",
    },
    Accepted {
        asked: "GET namespaces",
        place: "body.items[*",
        values: Some("*object*"),
        reason: "the ConfigMaps that the real one makes for itself",
    },
    Accepted {
        asked: "* configmaps",
        place: "header.*",
        values: Some("nothing | *"),
        reason: "no path at all for the real one's HTTP server, which answers by itself",
    },
    Accepted {
        asked: "GET configmaps",
        place: "body.message",
        values: Some("invalid continue token*"),
        reason: "the words of Go's decoders about a token that was never given",
    },
    Accepted {
        asked: "* configmaps",
        place: "*message",
        values: Some("*illegal base64 data*"),
        reason: "the real one stumbles over a Secret's data before its kind",
    },
    Accepted {
        asked: "* configmaps",
        place: "*message",
        values: Some("*value out of range*"),
        reason: "the words for a number that is too large",
    },
    Accepted {
        asked: "* configmaps",
        place: "*message",
        values: Some("*found a tab*"),
        reason: "the words of Go's YAML parser",
    },
    Accepted {
        asked: "PATCH configmaps",
        place: "*message",
        values: Some("*unexpected GroupVersion string*"),
        reason: "a patch to a version that is none: ours tells that it does not know the \
                 kind there",
    },
    Accepted {
        asked: "PATCH deployments/scale",
        place: "body.details.kind",
        values: None,
        reason: "a conflict over a scale names the Deployment",
    },
    Accepted {
        asked: "PATCH deployments/scale",
        place: "body.message",
        values: Some("Operation cannot be fulfilled*"),
        reason: "a conflict over a scale names the Deployment",
    },
    Accepted {
        asked: "* daemonsets",
        place: "*metadata.annotations*",
        values: None,
        reason: "the annotation of the old templateGeneration stands where the real one \
                 leaves it out",
    },
    Accepted {
        asked: "WATCH configmaps",
        place: "events length",
        values: Some("0 | 1"),
        reason: "a watch with a negative timeout: ours may deliver what is there before it \
                 ends",
    },
    Accepted {
        asked: "POST certificatesigningrequests",
        place: "*message",
        values: Some("*PEM block type*"),
        reason: "a request that is absent is shown as an empty one",
    },
    Accepted {
        asked: "PATCH storageclasses",
        place: "body.details.causes length",
        values: Some("2 | 1"),
        reason: "an empty provisioner: that it may not change is the only cause told",
    },
    Accepted {
        asked: "PATCH storageclasses",
        place: "body.message",
        values: Some("*its causes*"),
        reason: "an empty provisioner: that it may not change is the only cause told",
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

/// The page of this table and of [`super::mask::MASKS`], as Markdown.
#[must_use]
pub fn page() -> String {
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
    page
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_of_differences_is_what_the_tables_say() {
        let page = include_str!("../../../../docs/compatibility/kubernetes.md");
        let again = "run `engram-kubernetes page > docs/compatibility/kubernetes.md`";
        assert!(page == super::page(), "docs/compatibility/kubernetes.md is out of date: {again}");
    }
}
