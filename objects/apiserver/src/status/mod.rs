//! API errors in Kubernetes' words.
