//! gRPC's own health service: the server as a whole serves, and no other name is known.
//!
//! Must not know: how a member is; etcd tells health over gRPC by answering, too.

use tokio_stream::{Iter, Pending, StreamExt as _};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// The service.
pub(crate) struct HealthDoor;

/// One state, and then nothing more: it does not change while the member serves.
type Told = tokio_stream::adapters::Chain<
    Iter<std::option::IntoIter<Result<HealthCheckResponse, Status>>>,
    Pending<Result<HealthCheckResponse, Status>>,
>;

/// The state of a service by its name. Compat: etcd tells of no service but of all together.
fn state(name: &str) -> ServingStatus {
    match name {
        "" => ServingStatus::Serving,
        _ => ServingStatus::ServiceUnknown,
    }
}

#[tonic::async_trait]
impl Health for HealthDoor {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match state(&request.get_ref().service) {
            ServingStatus::ServiceUnknown => Err(Status::not_found("unknown service")),
            state => Ok(Response::new(HealthCheckResponse { status: state as i32 })),
        }
    }

    type WatchStream = Told;

    /// Compat: a name that is not known is told as such, and waited for.
    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Told>, Status> {
        let status = state(&request.get_ref().service) as i32;
        let told = tokio_stream::iter(Some(Ok(HealthCheckResponse { status })));
        Ok(Response::new(told.chain(tokio_stream::pending())))
    }
}
