//! The deterministic state: applies one batch at one log id and answers reads at a revision.
