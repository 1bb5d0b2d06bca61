//! The generated gRPC service traits and clients over Engram's messages.
