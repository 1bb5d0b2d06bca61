//! The query of a request: names and values, read as Kubernetes reads them.
//!
//! Must not know: what a parameter is for.

/// The parameters in their order; a name may come more than once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what follows the question mark. Compat: a bad escape is kept as it is.
    pub(crate) fn parse(raw: Option<&str>) -> Self {
        let pairs = url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes());
        Query(pairs.into_owned().collect())
    }

    /// Names and values, in their order.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// The first value of a name.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Compat: everything but `0` and `false` is yes, also nothing at all after the equals sign.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.first(name).map(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_the_real_one_reads_them() {
        let query = Query::parse(Some("watch=foo&limit=5&a=x%20y+z&dryRun=All&dryRun=b&f=0&e="));
        assert_eq!(query.flag("watch"), Some(true));
        assert_eq!(query.flag("f"), Some(false));
        assert_eq!(query.flag("e"), Some(true));
        assert_eq!(query.flag("absent"), None);
        assert_eq!(query.first("a"), Some("x y z"));
        assert_eq!(query.all("dryRun").collect::<Vec<_>>(), ["All", "b"]);
    }
}
