//! Requests to the store that members find each other through: its endpoints in turn, TLS, a user.
//! Must not know: what its keys mean.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{
    AuthenticateRequest, PutRequest, RangeRequest, WatchCreateRequest, WatchRequest,
};
use proto::mvccpb::KeyValue;
use rustls::pki_types::ServerName;
use services::etcdserverpb::auth_client::AuthClient;
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::watch_client::WatchClient;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Status};

use crate::config::DiscoverySettings;
use crate::tls::client_config;

/// Why a request was not answered; a later one may be. The text is for the log.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) String);

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Refusal(status.message().to_owned())
    }
}

/// Pings come no more often. *Source*: grpc-go.
const PING_INTERVAL_MIN: Duration = Duration::from_secs(10);

/// Whoever asks the store.
pub(super) struct Client {
    settings: DiscoverySettings,
    tls: Arc<rustls::ClientConfig>,
    /// The endpoint that answered last, and the token that it gave.
    open: Option<(Channel, Option<String>)>,
}

/// A connection of any kind.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Where an endpoint is.
#[derive(Debug, Clone)]
enum Place {
    Tcp(String),
    Unix(PathBuf),
}

impl Client {
    /// *Errors*: a file for TLS cannot be used.
    pub(super) fn new(settings: DiscoverySettings) -> Result<Self, String> {
        let certificate =
            settings.certificate.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path()));
        let trusted = settings.trusted_ca.as_deref();
        let skip_verify = settings.insecure_skip_verify;
        let tls = client_config(trusted, certificate, skip_verify).map_err(|e| e.to_string())?;
        Ok(Client { settings, tls: Arc::new(tls), open: None })
    }

    /// The rows of a key, or of all keys that begin so; and the store's revision.
    pub(super) async fn get(
        &mut self,
        key: &str,
        is_prefix: bool,
    ) -> Result<(Vec<KeyValue>, i64), Refusal> {
        let range_end = if is_prefix { end_of_prefix(key) } else { Vec::new() };
        let asked = RangeRequest {
            key: key.as_bytes().to_vec().into(),
            range_end: range_end.into(),
            ..RangeRequest::default()
        };
        let (channel, request) = self.request(asked).await?;
        let answer = KvClient::new(channel).range(request).await;
        let answer = self.answered(answer)?;
        Ok((answer.kvs, answer.header.unwrap_or_default().revision))
    }

    pub(super) async fn put(&mut self, key: &str, value: &str) -> Result<(), Refusal> {
        let asked = PutRequest {
            key: key.as_bytes().to_vec().into(),
            value: value.as_bytes().to_vec().into(),
            ..PutRequest::default()
        };
        let (channel, request) = self.request(asked).await?;
        let answer = KvClient::new(channel).put(request).await;
        self.answered(answer).map(drop)
    }

    /// Waits until a key that begins so changes, from this revision on.
    pub(super) async fn next_change(&mut self, prefix: &str, from: i64) -> Result<(), Refusal> {
        let create = WatchCreateRequest {
            key: prefix.as_bytes().to_vec().into(),
            range_end: end_of_prefix(prefix).into(),
            start_revision: from,
            ..WatchCreateRequest::default()
        };
        let first = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        // Held open: etcd ends the watch with the stream of requests.
        let (sender, requests) = tokio::sync::mpsc::channel(1);
        // The channel is new and has room.
        drop(sender.try_send(first));
        let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
        let (channel, mut request) = self.request(requests).await?;
        // It lasts as long as it takes.
        request.metadata_mut().remove("grpc-timeout");
        let answers = WatchClient::new(channel).watch(request).await;
        let mut answers = self.answered(answers)?;
        loop {
            let next = answers.message().await;
            match self.answered(next.map(tonic::Response::new))? {
                Some(answer) if answer.canceled => return Err(Refusal(answer.cancel_reason)),
                Some(answer) if !answer.events.is_empty() => return Ok(()),
                Some(_) => {}
                None => return Err(Refusal("the watch ended".to_owned())),
            }
        }
    }

    /// A failed request is asked of another endpoint the next time.
    fn answered<T>(&mut self, answer: Result<tonic::Response<T>, Status>) -> Result<T, Refusal> {
        if answer.is_err() {
            self.open = None;
            self.settings.endpoints.rotate_left(1);
        }
        Ok(answer?.into_inner())
    }

    /// A request with its token and its time, and the way to the store.
    async fn request<T>(&mut self, message: T) -> Result<(Channel, Request<T>), Refusal> {
        if self.open.is_none() {
            self.open = Some(self.connect().await?);
        }
        let (channel, token) = self.open.clone().expect("it was opened above");
        let mut request = Request::new(message);
        request.set_timeout(self.settings.request_timeout);
        if let Some(token) = token {
            let token = MetadataValue::try_from(token);
            let token = token.map_err(|_| Refusal("the token is no text".to_owned()))?;
            request.metadata_mut().insert("token", token);
        }
        Ok((channel, request))
    }

    async fn connect(&self) -> Result<(Channel, Option<String>), Refusal> {
        let mut last = Refusal("there is no endpoint".to_owned());
        for endpoint in &self.settings.endpoints {
            let dialling = tokio::time::timeout(self.settings.dial_timeout, self.dial(endpoint));
            match dialling.await {
                Ok(Ok(channel)) => {
                    let token = self.login(channel.clone()).await?;
                    return Ok((channel, token));
                }
                Ok(Err(error)) => last = Refusal(format!("{endpoint}: {error}")),
                Err(_) => last = Refusal(format!("{endpoint}: context deadline exceeded")),
            }
        }
        Err(last)
    }

    async fn login(&self, channel: Channel) -> Result<Option<String>, Refusal> {
        let Some((name, password)) = &self.settings.user else { return Ok(None) };
        let mut request =
            Request::new(AuthenticateRequest { name: name.clone(), password: password.0.clone() });
        request.set_timeout(self.settings.request_timeout);
        match AuthClient::new(channel).authenticate(request).await {
            Ok(answer) => Ok(Some(answer.into_inner().token)),
            // Compat: a client with a user may ask a store that wants none.
            Err(status) if status.message().ends_with("authentication is not enabled") => Ok(None),
            Err(status) => Err(status.into()),
        }
    }

    async fn dial(&self, endpoint: &str) -> Result<Channel, String> {
        let (place, server_name) = self.address(endpoint)?;
        let tls = Arc::clone(&self.tls);
        let connector = tower::service_fn(move |_: Uri| {
            let (place, server_name, tls) = (place.clone(), server_name.clone(), Arc::clone(&tls));
            async move { open(place, server_name, tls).await.map(TokioIo::new) }
        });
        // The authority of a request; the connector decides where it goes.
        Endpoint::from_static("http://discovery")
            .http2_keep_alive_interval(self.settings.keepalive_time.max(PING_INTERVAL_MIN))
            .keep_alive_timeout(self.settings.keepalive_timeout)
            .connect_with_connector(connector)
            .await
            .map_err(|error| innermost(&error))
    }

    /// Where an endpoint is, and whom its certificate must name if it is spoken to with TLS.
    fn address(&self, endpoint: &str) -> Result<(Place, Option<ServerName<'static>>), String> {
        let settings = &self.settings;
        let by_default = settings.certificate.is_some()
            || settings.trusted_ca.is_some()
            || settings.insecure_skip_verify
            || !settings.insecure_transport;
        let (secure, rest) = match endpoint.split_once("://") {
            Some(("unix" | "unixs", path)) => {
                let place = Place::Unix(PathBuf::from(path));
                let name = ServerName::try_from("localhost").expect("it is a name");
                return Ok((place, endpoint.starts_with("unixs").then_some(name)));
            }
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some(_) => return Err("URL scheme must be http, https, unix, or unixs".to_owned()),
            None => (by_default, endpoint),
        };
        let authority = rest.trim_end_matches('/').to_owned();
        let host = authority.rsplit_once(':').map_or(authority.as_str(), |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = secure.then(|| ServerName::try_from(host)).transpose();
        Ok((Place::Tcp(authority), name.map_err(|error| error.to_string())?))
    }
}

async fn open(
    place: Place,
    server_name: Option<ServerName<'static>>,
    tls: Arc<rustls::ClientConfig>,
) -> io::Result<Box<dyn Wire>> {
    let stream: Box<dyn Wire> = match place {
        Place::Tcp(authority) => Box::new(TcpStream::connect(authority).await?),
        Place::Unix(path) => Box::new(UnixStream::connect(path).await?),
    };
    match server_name {
        None => Ok(stream),
        Some(name) => Ok(Box::new(TlsConnector::from(tls).connect(name, stream).await?)),
    }
}

/// The first key after all that begin so. The prefixes here end with a letter.
fn end_of_prefix(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// What is at the bottom of it: the layers above say nothing.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
