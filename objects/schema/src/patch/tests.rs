//! Cases observed on kube-apiserver 1.37.0.
