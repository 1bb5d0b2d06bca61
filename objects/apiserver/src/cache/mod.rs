//! The watch cache of one resource.
