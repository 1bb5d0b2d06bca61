//! The generated services with their size limits, chosen by the path's service.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use services::etcdserverpb::{
    auth_server::AuthServer, cluster_server::ClusterServer, kv_server::KvServer,
    lease_server::LeaseServer, maintenance_server::MaintenanceServer, watch_server::WatchServer,
};
use services::v3electionpb::election_server::ElectionServer;
use services::v3lockpb::lock_server::LockServer;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tower::Service as _;

use crate::limits::REQUEST_OVERHEAD_BYTES;
use crate::member::Member;
use crate::rpc::methods::Service;
use crate::rpc::{
    AuthDoor, ClusterDoor, ElectionDoor, KvDoor, LeaseDoor, LockDoor, MaintenanceDoor, WatchDoor,
};

/// All services of the client port.
pub(crate) struct Services {
    kv: KvServer<KvDoor>,
    watch: WatchServer<WatchDoor>,
    lease: LeaseServer<LeaseDoor>,
    cluster: ClusterServer<ClusterDoor>,
    maintenance: MaintenanceServer<MaintenanceDoor>,
    auth: AuthServer<AuthDoor>,
    lock: LockServer<LockDoor>,
    election: ElectionServer<ElectionDoor>,
    health: HealthServer<HealthService>,
}

impl Services {
    /// The services over one member.
    pub(crate) fn new(member: &Arc<Member>) -> Self {
        let member = || Arc::clone(member);
        let bytes_max = member().config().max_request_bytes + REQUEST_OVERHEAD_BYTES;
        let health = HealthService::from_health_reporter(HealthReporter::new());
        Services {
            kv: KvServer::new(KvDoor(member())).max_decoding_message_size(bytes_max),
            watch: WatchServer::new(WatchDoor(member())).max_decoding_message_size(bytes_max),
            lease: LeaseServer::new(LeaseDoor(member())).max_decoding_message_size(bytes_max),
            cluster: ClusterServer::new(ClusterDoor(member())).max_decoding_message_size(bytes_max),
            maintenance: MaintenanceServer::new(MaintenanceDoor(member()))
                .max_decoding_message_size(bytes_max),
            auth: AuthServer::new(AuthDoor(member())).max_decoding_message_size(bytes_max),
            lock: LockServer::new(LockDoor(member())).max_decoding_message_size(bytes_max),
            election: ElectionServer::new(ElectionDoor(member()))
                .max_decoding_message_size(bytes_max),
            health: HealthServer::new(health).max_decoding_message_size(bytes_max),
        }
    }

    /// Hands a request to its service. Only that service's handle is cloned.
    pub(crate) fn call(
        &self,
        service: Service,
        request: Request<Body>,
    ) -> BoxFuture<Response<Body>, Infallible> {
        match service {
            Service::Kv => self.kv.clone().call(request),
            Service::Watch => self.watch.clone().call(request),
            Service::Lease => self.lease.clone().call(request),
            Service::Cluster => self.cluster.clone().call(request),
            Service::Maintenance => self.maintenance.clone().call(request),
            Service::Auth => self.auth.clone().call(request),
            Service::Lock => self.lock.clone().call(request),
            Service::Election => self.election.clone().call(request),
            Service::Health => self.health.clone().call(request),
        }
    }
}
