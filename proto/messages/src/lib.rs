//! The words spoken on sockets, in the log and on disk: messages and the status table.
