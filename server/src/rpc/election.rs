//! etcd's Election service: the leader of a name is the first place in its queue, and says its
//! value there.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use proto::mvccpb::event::EventType;
use proto::v3electionpb::{
    CampaignRequest, CampaignResponse, LeaderKey, LeaderRequest, LeaderResponse, ProclaimRequest,
    ProclaimResponse, ResignRequest, ResignResponse,
};
use services::v3electionpb::election_server::Election;
use tonic::{Request, Response as Answer, Status};

use super::waiting::{Waiting, untyped};
use crate::coordination::{OwnClient, OwnWatch, Place, prefix_of};
use crate::doors::StreamEnd;
use crate::member::Member;

/// The Election service of one member.
pub(crate) struct ElectionDoor(pub(crate) Arc<Member>);

type Leaders = Pin<Box<dyn Stream<Item = Result<LeaderResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Election for ElectionDoor {
    async fn campaign(
        &self,
        request: Request<CampaignRequest>,
    ) -> Result<Answer<CampaignResponse>, Status> {
        campaign(&self.0, request).await.map(Answer::new).map_err(untyped)
    }

    async fn proclaim(
        &self,
        request: Request<ProclaimRequest>,
    ) -> Result<Answer<ProclaimResponse>, Status> {
        proclaim(&self.0, request).await.map(Answer::new).map_err(untyped)
    }

    async fn leader(
        &self,
        request: Request<LeaderRequest>,
    ) -> Result<Answer<LeaderResponse>, Status> {
        let (client, request) = OwnClient::of(&self.0, request);
        let found = Place::turn(&client, &prefix_of(&request.name)).await.map_err(untyped)?;
        let Some(kv) = found.first else { return Err(Status::unknown("election: no leader")) };
        Ok(Answer::new(LeaderResponse { header: Some(found.header), kv: Some(kv) }))
    }

    type ObserveStream = Leaders;

    async fn observe(&self, request: Request<LeaderRequest>) -> Result<Answer<Leaders>, Status> {
        let (client, request) = OwnClient::of(&self.0, request);
        let end = client.end();
        let words = Words { client, prefix: prefix_of(&request.name), at: At::Looking };
        let observing = Observing { end, words };
        Ok(Answer::new(Box::pin(futures::stream::unfold(Some(observing), Observing::step))))
    }

    async fn resign(
        &self,
        request: Request<ResignRequest>,
    ) -> Result<Answer<ResignResponse>, Status> {
        resign(&self.0, request).await.map(Answer::new).map_err(untyped)
    }
}

async fn campaign(
    member: &Arc<Member>,
    request: Request<CampaignRequest>,
) -> Result<CampaignResponse, Status> {
    let (client, request) = OwnClient::of(member, request);
    let lease = client.session(request.lease).await?;
    let prefix = prefix_of(&request.name);
    let taken = Place::take(&client, &prefix, lease, request.value.clone()).await?;
    let waiting = Waiting::new(client, taken.place);
    if taken.before.is_some_and(|before| before.value != request.value) {
        let said = waiting.place.write(&waiting.client, lease, request.value).await?;
        led(said.succeeded)?;
    }
    waiting.until(waiting.place.wait_for_turn(&waiting.client, &prefix)).await?;
    let (key, rev) = (waiting.place.key.clone(), waiting.place.made_at);
    waiting.done();
    let leader = Some(LeaderKey { name: request.name, key, rev, lease });
    Ok(CampaignResponse { header: Some(taken.header), leader })
}

async fn proclaim(
    member: &Arc<Member>,
    request: Request<ProclaimRequest>,
) -> Result<ProclaimResponse, Status> {
    let (client, request) = OwnClient::of(member, request);
    let (place, lease) = place_of(request.leader)?;
    let lease = client.session(lease).await?;
    let said = place.write(&client, lease, request.value).await?;
    led(said.succeeded)?;
    Ok(ProclaimResponse { header: said.header })
}

async fn resign(
    member: &Arc<Member>,
    request: Request<ResignRequest>,
) -> Result<ResignResponse, Status> {
    let (client, request) = OwnClient::of(member, request);
    let (place, lease) = place_of(request.leader)?;
    // Compat: etcd opens a session first, with a new lease for a caller that names none.
    client.session(lease).await?;
    let left = place.leave(&client).await?;
    Ok(ResignResponse { header: left.header })
}

/// The place and the lease that a caller says it leads with.
fn place_of(leader: Option<LeaderKey>) -> Result<(Place, i64), Status> {
    let leader = leader.ok_or_else(|| Status::unknown("\"leader\" field must be provided"))?;
    Ok((Place { key: leader.key, made_at: leader.rev }, leader.lease))
}

fn led(succeeded: bool) -> Result<(), Status> {
    if succeeded { Ok(()) } else { Err(Status::unknown("election: not leader")) }
}

/// One stream of who leads and what they say.
struct Observing {
    end: StreamEnd,
    words: Words,
}

/// The leaders of one name, one after the other, and what each says.
struct Words {
    client: OwnClient,
    prefix: Vec<u8>,
    at: At,
}

enum At {
    /// It is not known who leads.
    Looking,
    /// Nobody did; the first who comes leads.
    Nobody(OwnWatch),
    /// Somebody leads: what they say, until their key goes.
    Led(OwnWatch),
}

type Step = Option<(Result<LeaderResponse, Status>, Option<Observing>)>;

impl Observing {
    /// Compat: etcd ends the stream without an error when it cannot go on reading.
    async fn step(stream: Option<Self>) -> Step {
        let mut stream = stream?;
        tokio::select! {
            biased;
            end = stream.end.reached() => Some((Err(end), None)),
            said = stream.words.next() => said.ok().map(|said| (Ok(said), Some(stream))),
        }
    }
}

impl Words {
    async fn next(&mut self) -> Result<LeaderResponse, Status> {
        loop {
            match &mut self.at {
                At::Looking => {
                    let found = Place::turn(&self.client, &self.prefix).await?;
                    let at = found.header.revision;
                    let Some(kv) = found.first else {
                        self.at = At::Nobody(Place::comers(&self.client, &self.prefix, at).await);
                        continue;
                    };
                    let said = LeaderResponse { header: Some(found.header), kv: Some(kv) };
                    return Ok(self.follow(said).await);
                }
                At::Nobody(comers) => {
                    let (mut header, event) = comers.next().await?;
                    if event.r#type != i32::from(EventType::Put) {
                        continue;
                    }
                    // One answer may tell several revisions: this is the one that made the leader.
                    header.revision = event.kv.as_ref().map_or(0, |kv| kv.mod_revision);
                    let said = LeaderResponse { header: Some(header), kv: event.kv };
                    return Ok(self.follow(said).await);
                }
                At::Led(words) => {
                    let (header, event) = words.next().await?;
                    if event.r#type == i32::from(EventType::Delete) {
                        self.at = At::Looking;
                        continue;
                    }
                    return Ok(LeaderResponse { header: Some(header), kv: event.kv });
                }
            }
        }
    }

    /// From here on this leader is listened to.
    async fn follow(&mut self, leader: LeaderResponse) -> LeaderResponse {
        let key = leader.kv.as_ref().map(|kv| kv.key.clone()).unwrap_or_default();
        let after = leader.header.as_ref().map_or(0, |header| header.revision) + 1;
        self.at = At::Led(self.client.watch(key, bytes::Bytes::new(), after).await);
        leader
    }
}
