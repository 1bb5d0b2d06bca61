//! What every verb gets: where to ask, as whom, and how to answer.
//!
//! Must not know: flags, variables or contexts; they are resolved when this is made.

use std::time::Duration;

use proto::etcdserverpb::{Member, MemberListRequest};
use services::etcdserverpb::cluster_client::ClusterClient;
use services::etcdserverpb::kv_client::KvClient;

use super::show::Output;
use crate::ToolError;
use crate::wire::{Credentials, Dialing, Login, Wire};

/// The resolved global flags.
#[derive(Debug, Clone)]
pub(crate) struct Global {
    /// At least one, in the order to be tried.
    pub(crate) endpoints: Vec<String>,
    pub(crate) output: Output,
    pub(crate) dialing: Dialing,
    pub(crate) login: Login,
    /// How long one answer may take.
    pub(crate) command_timeout: Duration,
    pub(crate) send_bytes_max: usize,
    pub(crate) receive_bytes_max: usize,
}

impl Global {
    /// A channel to the first endpoint that answers, logged in.
    ///
    /// *Errors*: `Connection` with the last endpoint's reason; what the server says of the user.
    pub(crate) async fn channel(&self) -> Result<Wire, ToolError> {
        let mut last = ToolError::Usage("no endpoint given".to_owned());
        for endpoint in &self.endpoints {
            match self.channel_to(endpoint).await {
                Err(error @ ToolError::Connection { .. }) => last = error,
                answer => return answer,
            }
        }
        Err(last)
    }

    /// A channel to this endpoint, logged in.
    pub(crate) async fn channel_to(&self, endpoint: &str) -> Result<Wire, ToolError> {
        let channel = self.dialing.channel(endpoint).await?;
        let credentials = Credentials::of(&self.login, &channel).await?;
        Ok(Wire::new(channel, credentials))
    }

    /// A key-value client of the first endpoint that answers.
    pub(crate) async fn kv(&self) -> Result<KvClient<Wire>, ToolError> {
        Ok(self.kv_on(self.channel().await?))
    }

    /// A key-value client with the limits that were asked for.
    pub(crate) fn kv_on(&self, wire: Wire) -> KvClient<Wire> {
        KvClient::new(wire)
            .max_decoding_message_size(self.receive_bytes_max)
            .max_encoding_message_size(self.send_bytes_max)
    }

    /// The members, as a majority knows them.
    pub(crate) async fn members(&self) -> Result<Vec<Member>, ToolError> {
        let request = MemberListRequest { linearizable: true };
        let mut client = ClusterClient::new(self.channel().await?);
        Ok(client.member_list(request).await?.into_inner().members)
    }

    /// The endpoints given, or with `cluster` those of all started members.
    pub(crate) async fn targets(&self, cluster: bool) -> Result<Vec<String>, ToolError> {
        if !cluster {
            return Ok(self.endpoints.clone());
        }
        Ok(self.members().await?.into_iter().flat_map(|member| member.client_urls).collect())
    }
}
