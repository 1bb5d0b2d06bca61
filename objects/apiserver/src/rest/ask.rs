//! A request once its head is read: everything but its body.
//!
//! Must not know: what is answered.

use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Method, request};

use super::negotiate::{self, Form, Offer, Refusal};
use super::path::{BadEscape, Path};
use super::query::Query;
use crate::serve::user::User;
use crate::status::{Reason, Status};

/// The media types of objects, as a refusal lists them.
const OBJECT_TYPES: &str =
    "application/json, application/yaml, application/vnd.kubernetes.protobuf";
const WATCH_TYPES: &str =
    "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";

/// The head of a request, read.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: Path,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) user: User,
}

impl Ask {
    /// Reads the head. *Errors*: the path has an escape that is none.
    pub(crate) fn read(head: request::Parts, user: User) -> Result<Self, BadEscape> {
        Ok(Ask {
            path: Path::parse(head.uri.path())?,
            query: Query::parse(head.uri.query()),
            method: head.method,
            headers: head.headers,
            user,
        })
    }

    /// Whether the answer goes on until somebody has enough of it.
    pub(crate) fn is_watch(&self) -> bool {
        let Path::Resource(path) = &self.path else { return false };
        let asked = self.query.flag("watch").unwrap_or(false) && path.subresource.is_none();
        self.method == Method::GET && (path.watch || asked)
    }

    /// Whether it may change something.
    pub(crate) fn writes(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    /// A header's text.
    pub(crate) fn header(&self, name: http::HeaderName) -> &str {
        header(&self.headers, name)
    }

    /// `Content-Type`, if there is one.
    pub(crate) fn content_type(&self) -> Option<&str> {
        Some(self.header(CONTENT_TYPE)).filter(|text| !text.is_empty())
    }

    /// The form of the answer. *Errors*: 406, in the words of the real one.
    pub(crate) fn form(&self, offer: Offer) -> Result<Form, Status> {
        let accept = self.header(ACCEPT);
        negotiate::choose(accept, offer, self.pretty()).map_err(|refusal| refused(refusal, offer))
    }

    /// The form of a refusal: what was asked for where that is possible, else JSON.
    pub(crate) fn refusal_form(&self) -> Form {
        refusal_form(&self.headers, self.query.first("pretty"))
    }

    fn pretty(&self) -> Option<bool> {
        negotiate::wants_pretty(self.query.first("pretty"), self.header(USER_AGENT))
    }
}

/// The same before a request is read.
pub(crate) fn refusal_form(headers: &HeaderMap, pretty: Option<&str>) -> Form {
    let pretty = negotiate::wants_pretty(pretty, header(headers, USER_AGENT));
    let plain = Form { pretty: pretty.unwrap_or(false), ..Form::PLAIN };
    let form = negotiate::choose(header(headers, ACCEPT), Offer::Documents, pretty);
    form.unwrap_or(plain)
}

/// A header's text; empty when there is none or it is no text.
pub(crate) fn header(headers: &HeaderMap, name: http::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn refused(refusal: Refusal, offer: Offer) -> Status {
    let mut types = match offer {
        Offer::Json => "application/json".to_owned(),
        Offer::Watch => format!("{OBJECT_TYPES}, {WATCH_TYPES}"),
        _ => OBJECT_TYPES.to_owned(),
    };
    match refusal {
        // Compat: another part of the real one answers here.
        Refusal::UnknownType if offer != Offer::Discovery => {
            let message = format!("406: Not Acceptable\n\nAvailable representations: {types}");
            let mut status = Status::plain(406, Reason::NotAcceptable, message);
            status.details = Some(Box::default());
            status
        }
        _ => {
            if offer == Offer::Watch {
                types = WATCH_TYPES.to_owned();
            }
            let types: Vec<&str> = types.split(", ").collect();
            Status::not_acceptable(&types)
        }
    }
}
