//! The Kubernetes side of the harness.
