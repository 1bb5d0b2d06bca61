//! The storage the API server stands on: any etcd v3 endpoint.
