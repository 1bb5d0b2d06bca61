//! The hub, seen from its doors: what clients hear, whatever happens.

mod catching_up;
mod creating_and_canceling;
mod model;
mod previous_and_fragments;
mod progress;
mod real_store;
mod support;
mod threads;
