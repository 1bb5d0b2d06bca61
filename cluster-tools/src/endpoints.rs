//! From a list of endpoints to plain gRPC channels, for the tools without options of their own.
//!
//! Must not know: any particular RPC.

use tonic::transport::Channel;

use crate::ToolError;
use crate::wire::Dialing;

/// The channel to the first endpoint that answers.
///
/// *Errors*: `Connection` with the last endpoint's reason when none does.
pub async fn connect(endpoints: &[String]) -> Result<Channel, ToolError> {
    let dialing = Dialing::default();
    let mut last = ToolError::Usage("no endpoint given".to_owned());
    for endpoint in endpoints {
        match dialing.channel(endpoint).await {
            Ok(channel) => return Ok(channel),
            Err(error) => last = error,
        }
    }
    Err(last)
}
