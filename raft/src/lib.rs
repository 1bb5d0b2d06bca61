//! Agrees on the order of commands and makes the log durable.
