//! The query of a request: names and values, read as Kubernetes reads them.
//!
//! Must not know: what a parameter is for.

use std::fmt::Display;
use std::num::IntErrorKind;
use std::str::FromStr;

/// The parameters in their order; a name may come more than once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what follows the question mark. Compat: a bad escape is kept as it is.
    pub(crate) fn parse(raw: Option<&str>) -> Self {
        let pairs = url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes());
        Query(pairs.into_owned().collect())
    }

    /// The first value of a name.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a name, or nothing.
    pub(crate) fn text(&self, name: &str) -> String {
        self.first(name).unwrap_or_default().to_owned()
    }

    /// Every value of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Compat: everything but `0` and `false` is yes, also nothing at all after the equals sign.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.first(name).map(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// A whole number. *Errors*: the words of the real one for a value that is none.
    pub(crate) fn number<T>(&self, name: &str) -> Result<Option<T>, String>
    where
        T: FromStr<Err = std::num::ParseIntError>,
    {
        match self.first(name) {
            None | Some("") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|error| not_a_number(text, error)),
        }
    }
}

fn not_a_number(text: &str, error: std::num::ParseIntError) -> String {
    let why: &dyn Display = match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => &"value out of range",
        _ => &"invalid syntax",
    };
    format!("strconv.ParseInt: parsing {text:?}: {why}")
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
        assert_eq!(query.number::<i64>("limit"), Ok(Some(5)));
        assert_eq!(query.text("a"), "x y z");
        assert_eq!(query.all("dryRun").collect::<Vec<_>>(), ["All", "b"]);
    }

    #[test]
    fn a_number_that_is_none_is_told_in_the_real_words() {
        let query = Query::parse(Some("limit=abc&big=99999999999999999999"));
        let wanted = "strconv.ParseInt: parsing \"abc\": invalid syntax";
        assert_eq!(query.number::<i64>("limit"), Err(wanted.to_owned()));
        let wanted = "strconv.ParseInt: parsing \"99999999999999999999\": value out of range";
        assert_eq!(query.number::<i64>("big"), Err(wanted.to_owned()));
    }
}
