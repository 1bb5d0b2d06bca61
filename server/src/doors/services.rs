//! The generated services with their size limits, chosen by the path's service.

use std::convert::Infallible;
use std::sync::{Arc, LazyLock};

use http::{Request, Response};
use services::etcdserverpb::{
    auth_server::AuthServer, cluster_server::ClusterServer, kv_server::KvServer,
    lease_server::LeaseServer, maintenance_server::MaintenanceServer, watch_server::WatchServer,
};
use services::v3electionpb::election_server::ElectionServer;
use services::v3lockpb::lock_server::LockServer;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::codegen::BoxFuture;
use tonic_health::pb::health_server::HealthServer;
use tower::Service as _;

use crate::limits::REQUEST_OVERHEAD_BYTES;
use crate::member::Member;
use crate::rpc::methods::Service;
use crate::rpc::{
    AuthDoor, ClusterDoor, ElectionDoor, HealthDoor, KvDoor, LeaseDoor, LockDoor, MaintenanceDoor,
    WatchDoor,
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
    health: HealthServer<HealthDoor>,
    reflection: LazyLock<Reflection>,
    reflection_alpha: LazyLock<Reflection>,
}

/// A service whose type has no name.
type Reflection = Box<dyn Fn(Request<Body>) -> BoxFuture<Response<Body>, Infallible> + Send + Sync>;

/// What tools ask to know the services and messages; etcd has none. Reading the descriptors takes
/// longer than all else at a start, and few ask.
macro_rules! reflection {
    ($build:ident) => {
        LazyLock::new(|| {
            let service = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(services::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .$build()
                .expect("the descriptors were made by the same build");
            Box::new(move |request| service.clone().call(request))
        })
    };
}

/// Sets what is the same for every service: how large a message may be, and that it may come
/// compressed; whoever compresses is answered so.
macro_rules! bounded {
    ($service:expr, $bytes_max:expr) => {
        $service
            .max_decoding_message_size($bytes_max)
            .accept_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Gzip)
    };
}

impl Services {
    /// The services over one member.
    pub(crate) fn new(member: &Arc<Member>) -> Self {
        let member = || Arc::clone(member);
        let bytes_max = member().config().max_request_bytes + REQUEST_OVERHEAD_BYTES;
        Services {
            kv: bounded!(KvServer::new(KvDoor(member())), bytes_max),
            watch: bounded!(WatchServer::new(WatchDoor(member())), bytes_max),
            lease: bounded!(LeaseServer::new(LeaseDoor(member())), bytes_max),
            cluster: bounded!(ClusterServer::new(ClusterDoor(member())), bytes_max),
            maintenance: bounded!(MaintenanceServer::new(MaintenanceDoor(member())), bytes_max),
            auth: bounded!(AuthServer::new(AuthDoor(member())), bytes_max),
            lock: bounded!(LockServer::new(LockDoor(member())), bytes_max),
            election: bounded!(ElectionServer::new(ElectionDoor(member())), bytes_max),
            health: bounded!(HealthServer::new(HealthDoor), bytes_max),
            reflection: reflection!(build_v1),
            reflection_alpha: reflection!(build_v1alpha),
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
            Service::Health if request.uri().path().ends_with("/List") => {
                Box::pin(std::future::ready(Ok(super::health_list::list())))
            }
            Service::Health => self.health.clone().call(request),
            Service::Reflection => (self.reflection)(request),
            Service::ReflectionAlpha => (self.reflection_alpha)(request),
        }
    }
}
