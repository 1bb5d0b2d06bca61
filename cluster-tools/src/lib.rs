//! The operators' hands: online over the API, offline on a data directory.
