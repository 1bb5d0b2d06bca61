//! Selectors as kube-apiserver 1.37.0 reads, refuses and prints them: texts observed there.
