//! From `--endpoints` to gRPC channels.
//!
//! Must not know: any particular RPC.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use crate::ToolError;

/// How long a connection attempt may take; etcdctl's `--dial-timeout`.
const DIAL_TIMEOUT: Duration = Duration::from_secs(2);

/// The channel to the first endpoint that answers.
///
/// *Errors*: `Connection` with the last endpoint's reason when none does.
pub async fn connect(endpoints: &[String]) -> Result<Channel, ToolError> {
    let mut last = ToolError::Usage("no endpoint given".to_owned());
    for endpoint in endpoints {
        match dial(endpoint).await {
            Ok(channel) => return Ok(channel),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// One attempt for each endpoint, in the order given: for verbs that ask every member.
pub async fn connect_each(endpoints: &[String]) -> Vec<(String, Result<Channel, ToolError>)> {
    let mut channels = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        channels.push((endpoint.clone(), dial(endpoint).await));
    }
    channels
}

async fn dial(endpoint: &str) -> Result<Channel, ToolError> {
    let failed = |reason: String| ToolError::Connection { endpoint: endpoint.to_owned(), reason };
    if endpoint.starts_with("https://") {
        return Err(ToolError::Usage(format!(
            "{endpoint}: https endpoints are not supported by this release of engram ctl"
        )));
    }
    let uri =
        if endpoint.contains("://") { endpoint.to_owned() } else { format!("http://{endpoint}") };
    Endpoint::from_shared(uri)
        .map_err(|error| ToolError::Usage(format!("bad endpoint {endpoint}: {error}")))?
        .connect_timeout(DIAL_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(8 << 20)
        .connect()
        .await
        .map_err(|error| failed(innermost(&error)))
}

/// The last cause in the chain: `Connection refused` rather than `transport error`.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
