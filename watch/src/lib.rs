//! Turns the ordered stream of applied events into gap-free streams for watchers.
