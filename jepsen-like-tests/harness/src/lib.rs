//! Breaks clusters of real binaries from outside and checks their histories.
