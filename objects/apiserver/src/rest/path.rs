//! A request's path: which resource, object and subresource it names.
//!
//! Invariant: the path is decoded once and cut afterwards, so that an encoded slash is a slash and
//! can name nothing but a longer path. Must not know: which resources exist.
//!
//! Compat: kube-apiserver's request info; `/watch/` before the resource is its legacy form.

/// A path under `/api` or `/apis` that is deeper than discovery.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ResourcePath {
    /// Empty for the core group.
    pub(crate) group: String,
    pub(crate) version: String,
    /// Empty when the path names none, and when it names the empty one.
    pub(crate) namespace: String,
    /// Whether the path has a place for a namespace, though it may be empty.
    pub(crate) in_namespace: bool,
    /// The plural; empty when the path ends before it.
    pub(crate) resource: String,
    pub(crate) name: Option<String>,
    /// Everything behind the name, joined by slashes.
    pub(crate) subresource: Option<String>,
    /// The legacy `/watch/` form.
    pub(crate) watch: bool,
}

/// What a path is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// A resource of some group and version.
    Resource(ResourcePath),
    /// Anything else: its segments, decoded, without empty ones at the ends.
    Page(Vec<String>),
}

/// A percent sign that is followed by no two hexadecimal digits, or bytes that are no UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadEscape;

impl Path {
    /// Reads the path of a request line, without its query.
    pub(crate) fn parse(raw: &str) -> Result<Path, BadEscape> {
        let decoded = decode(raw)?;
        let segments: Vec<&str> = decoded.trim_matches('/').split('/').collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
            _ => return Ok(Path::Page(segments.into_iter().map(str::to_owned).collect())),
        };
        let (watch, rest) = match rest {
            ["watch", rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let mut path = ResourcePath {
            group: group.to_owned(),
            version: version.to_owned(),
            watch,
            ..ResourcePath::default()
        };
        path.fill(rest);
        Ok(Path::Resource(path))
    }
}

impl ResourcePath {
    fn fill(&mut self, segments: &[&str]) {
        let of_namespaces = match segments {
            ["namespaces"] | ["namespaces", _] => true,
            ["namespaces", _, "status" | "finalize"] => true,
            ["namespaces", ..] => false,
            _ => true,
        };
        let segments = match segments {
            ["namespaces", namespace, rest @ ..] if !of_namespaces => {
                self.namespace = (*namespace).to_owned();
                self.in_namespace = true;
                rest
            }
            other => other,
        };
        let mut segments = segments.iter();
        self.resource = segments.next().copied().unwrap_or_default().to_owned();
        self.name = segments.next().map(|name| (*name).to_owned());
        let rest: Vec<&str> = segments.copied().collect();
        if !rest.is_empty() {
            self.subresource = Some(rest.join("/"));
        }
    }
}

/// Why a name cannot be a part of a path, in Kubernetes' words.
pub(crate) fn why_no_segment(name: &str) -> Option<&'static str> {
    match name {
        "." => Some("may not be '.'"),
        ".." => Some("may not be '..'"),
        name if name.contains('%') => Some("may not contain '%'"),
        _ => None,
    }
}

fn decode(raw: &str) -> Result<String, BadEscape> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(BadEscape) };
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| BadEscape)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `group|version|namespace|resource|name|subresource`
    fn shown(raw: &str) -> String {
        match Path::parse(raw) {
            Ok(Path::Page(segments)) => format!("page {}", segments.join("|")),
            Ok(Path::Resource(path)) => format!(
                "{}{}|{}|{}|{}|{}|{}",
                if path.watch { "watch " } else { "" },
                path.group,
                path.version,
                path.namespace,
                path.resource,
                path.name.unwrap_or_else(|| "-".to_owned()),
                path.subresource.unwrap_or_else(|| "-".to_owned()),
            ),
            Err(BadEscape) => "bad escape".to_owned(),
        }
    }

    #[test]
    fn each_part_of_a_path_is_found() {
        let table = [
            ("/", "page "),
            ("/api", "page api"),
            ("/api/v1/", "page api|v1"),
            ("/apis/apps/v1", "page apis|apps|v1"),
            ("/openapi/v3/apis/apps/v1", "page openapi|v3|apis|apps|v1"),
            ("/api/v1/pods", "|v1||pods|-|-"),
            ("/api/v1/namespaces", "|v1||namespaces|-|-"),
            ("/api/v1/namespaces/", "|v1||namespaces|-|-"),
            ("/api/v1/namespaces/default", "|v1||namespaces|default|-"),
            ("/api/v1/namespaces/default/status", "|v1||namespaces|default|status"),
            ("/api/v1/namespaces/default/finalize", "|v1||namespaces|default|finalize"),
            ("/api/v1/namespaces/default/pods", "|v1|default|pods|-|-"),
            ("/api/v1/namespaces/default/pods/a/", "|v1|default|pods|a|-"),
            ("/apis/apps/v1/namespaces/d/deployments/a/scale", "apps|v1|d|deployments|a|scale"),
            ("/api/v1/namespaces/d/pods/a/proxy/x/y", "|v1|d|pods|a|proxy/x/y"),
            ("/api/v1/watch/namespaces/d/pods/a", "watch |v1|d|pods|a|-"),
            ("/api/v1/watch/nodes", "watch |v1||nodes|-|-"),
            ("/api/v1/nodes/n%C3%A9", "|v1||nodes|né|-"),
        ];
        for (raw, wanted) in table {
            assert_eq!(shown(raw), wanted, "{raw}");
        }
    }

    #[test]
    fn an_empty_namespace_is_told_from_none() {
        let in_namespace = |raw: &str| match Path::parse(raw) {
            Ok(Path::Resource(path)) => (path.in_namespace, path.namespace),
            other => panic!("{raw}: {other:?}"),
        };
        assert_eq!(in_namespace("/api/v1/namespaces//configmaps/a"), (true, String::new()));
        assert_eq!(in_namespace("/api/v1/configmaps"), (false, String::new()));
        assert_eq!(in_namespace("/api/v1/namespaces/a"), (false, String::new()));
    }

    #[test]
    fn an_encoded_slash_makes_a_longer_path_and_dots_are_names() {
        assert_eq!(shown("/api/v1/namespaces/d/pods/a%2fb"), "|v1|d|pods|a|b");
        assert_eq!(shown("/api/v1/namespaces/d/pods/..%2fx"), "|v1|d|pods|..|x");
        assert_eq!(shown("/api/v1/namespaces/d/pods/%2e%2e"), "|v1|d|pods|..|-");
        assert_eq!(why_no_segment(".."), Some("may not be '..'"));
        assert_eq!(why_no_segment("a%b"), Some("may not contain '%'"));
        assert_eq!(why_no_segment("a.b"), None);
    }

    #[test]
    fn an_escape_that_is_none_is_refused() {
        for raw in ["/api/v1/pods/%zz", "/api/v1/pods/%4", "/%", "/%ff"] {
            assert_eq!(shown(raw), "bad escape", "{raw}");
        }
    }
}
