//! In which form the client wants its answer.
//!
//! Invariants: a media-type parameter that we do not know never spoils a clause; a form that comes
//! later (protobuf answers) is passed over as long as another clause can be served.

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// One line, or indented by two.
    Json,
    /// As kubectl prints it.
    Yaml,
}

/// What the objects are made into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As they are.
    Object,
    /// Rows of a table; the version of `meta.k8s.io` that was asked for.
    Table(&'static str),
    /// Metadata alone.
    Metadata(&'static str),
    /// Metadata alone, of a list.
    MetadataList(&'static str),
    /// The aggregated discovery document.
    Discovery,
}

/// The form of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) encoding: Encoding,
    pub(crate) shape: Shape,
    pub(crate) pretty: bool,
}

impl Form {
    /// Plain JSON, the form of last resort.
    pub(crate) const PLAIN: Form =
        Form { encoding: Encoding::Json, shape: Shape::Object, pretty: false };

    /// The value of `Content-Type`.
    pub(crate) fn content_type(&self) -> &'static str {
        match self.encoding {
            Encoding::Json => "application/json",
            Encoding::Yaml => "application/yaml",
        }
    }
}

/// What is offered at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Objects and lists of them.
    Objects,
    /// Streams of events.
    Watch,
    /// `/apis`.
    Discovery,
    /// `/api`, which differs in how it refuses.
    CoreDiscovery,
    /// Documents that have one shape.
    Documents,
    /// Documents in JSON alone.
    Json,
}

/// Why nothing can be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No media type that is known.
    UnknownType,
    /// A known one, but not in this shape or place.
    UnknownShape,
}

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// Picks the form of an answer. `pretty` is what the query and the client's name suggest.
pub(crate) fn choose(accept: &str, offer: Offer, pretty: Option<bool>) -> Result<Form, Refusal> {
    if accept.trim().is_empty() {
        return Ok(Form { pretty: pretty.unwrap_or(false), ..Form::PLAIN });
    }
    let mut clauses: Vec<Clause<'_>> = accept.split(',').filter_map(Clause::parse).collect();
    clauses.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    let mut refusal = Refusal::UnknownType;
    for clause in &clauses {
        let encoding = match clause.media {
            "*/*" | JSON => Encoding::Json,
            YAML if !matches!(offer, Offer::Watch | Offer::Json) => Encoding::Yaml,
            YAML | PROTOBUF if offer != Offer::Json => {
                refusal = Refusal::UnknownShape;
                continue;
            }
            _ => continue,
        };
        let Some(shape) = clause.shape(offer) else {
            refusal = Refusal::UnknownShape;
            continue;
        };
        let asked = clause.parameter("pretty").map(|value| value == "1" || value == "true");
        let pretty = asked.or(pretty).unwrap_or(false);
        return Ok(Form { encoding, shape, pretty });
    }
    Err(refusal)
}

/// Whether somebody reads it: what `pretty` in the query says, or a tool for people.
pub(crate) fn wants_pretty(query: Option<&str>, user_agent: &str) -> Option<bool> {
    match query {
        Some(value) => Some(value != "0" && !value.eq_ignore_ascii_case("false")),
        None => {
            let tools = ["curl", "Wget", "Mozilla/5.0"];
            tools.iter().any(|tool| user_agent.starts_with(tool)).then_some(true)
        }
    }
}

struct Clause<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().filter(|media| !media.is_empty())?;
        let mut clause = Clause { media, parameters: Vec::new(), quality: 1.0 };
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim().trim_matches('"');
            match name.trim() {
                "q" => clause.quality = value.parse().unwrap_or(1.0),
                name => clause.parameters.push((name, value)),
            }
        }
        (clause.quality > 0.0).then_some(clause)
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    /// The shape asked for, when it is offered here.
    fn shape(&self, offer: Offer) -> Option<Shape> {
        let part = |name| self.parameter(name).unwrap_or_default();
        let version = match part("v") {
            "v1" => "meta.k8s.io/v1",
            "v1beta1" => "meta.k8s.io/v1beta1",
            _ => "",
        };
        let objects = matches!(offer, Offer::Objects | Offer::Watch);
        match (part("as"), part("g")) {
            ("", _) => Some(Shape::Object),
            ("APIGroupDiscoveryList", "apidiscovery.k8s.io") => {
                let offered = matches!(offer, Offer::Discovery | Offer::CoreDiscovery);
                (offered && part("v") == "v2").then_some(Shape::Discovery)
            }
            (_, "meta.k8s.io") if !objects || version.is_empty() => None,
            ("Table", "meta.k8s.io") => Some(Shape::Table(version)),
            ("PartialObjectMetadata", "meta.k8s.io") => Some(Shape::Metadata(version)),
            ("PartialObjectMetadataList", "meta.k8s.io") => Some(Shape::MetadataList(version)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(accept: &str, offer: Offer) -> Result<(Encoding, Shape), Refusal> {
        choose(accept, offer, None).map(|form| (form.encoding, form.shape))
    }

    #[test]
    fn the_first_clause_that_can_be_served_wins_by_quality() {
        let object = |encoding| Ok((encoding, Shape::Object));
        let table = [
            ("", object(Encoding::Json)),
            ("*/*", object(Encoding::Json)),
            ("application/json", object(Encoding::Json)),
            ("application/json;foo=bar", object(Encoding::Json)),
            ("application/yaml", object(Encoding::Yaml)),
            ("application/json;q=0.5, application/yaml", object(Encoding::Yaml)),
            ("application/vnd.kubernetes.protobuf,application/json", object(Encoding::Json)),
            ("application/vnd.kubernetes.protobuf", Err(Refusal::UnknownShape)),
            ("text/plain", Err(Refusal::UnknownType)),
            ("application/*", Err(Refusal::UnknownType)),
            ("application/json;as=Foo;g=meta.k8s.io;v=v1", Err(Refusal::UnknownShape)),
        ];
        for (accept, wanted) in table {
            assert_eq!(form(accept, Offer::Objects), wanted, "{accept}");
        }
    }

    #[test]
    fn kubectl_and_the_metadata_client_get_their_shapes() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        let shape = form(kubectl, Offer::Objects).map(|(_, shape)| shape);
        assert_eq!(shape, Ok(Shape::Table("meta.k8s.io/v1")));
        let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;\
                        g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;\
                        g=meta.k8s.io;v=v1,application/json";
        let shape = form(metadata, Offer::Objects).map(|(_, shape)| shape);
        assert_eq!(shape, Ok(Shape::MetadataList("meta.k8s.io/v1")));
    }

    #[test]
    fn aggregated_discovery_is_served_in_its_last_version_alone() {
        let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList;\
                      profile=nopeer,application/json";
        assert_eq!(form(accept, Offer::Discovery), Ok((Encoding::Json, Shape::Discovery)));
        let old = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,\
                   application/json";
        assert_eq!(form(old, Offer::Discovery), Ok((Encoding::Json, Shape::Object)));
    }

    #[test]
    fn a_watch_is_never_yaml() {
        assert_eq!(form("application/yaml", Offer::Watch), Err(Refusal::UnknownShape));
        assert_eq!(
            form("application/json;stream=watch", Offer::Watch),
            Ok((Encoding::Json, Shape::Object))
        );
    }

    #[test]
    fn people_get_it_pretty() {
        assert_eq!(wants_pretty(None, "curl/8.5"), Some(true));
        assert_eq!(wants_pretty(None, "kubectl/v1.37.0"), None);
        assert_eq!(wants_pretty(Some("false"), "curl/8.5"), Some(false));
        assert_eq!(wants_pretty(Some("true"), "kubectl"), Some(true));
    }
}
