//! The facts of one Kubernetes release, as they are checked in.
