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
