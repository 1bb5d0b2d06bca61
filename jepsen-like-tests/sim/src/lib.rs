//! Breaks a whole cluster from inside one seeded process.
