//! Kubernetes' protobuf, by the schema.
