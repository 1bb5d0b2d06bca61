//! The door: the etcd gRPC services, health, metrics, clocks and configuration.
