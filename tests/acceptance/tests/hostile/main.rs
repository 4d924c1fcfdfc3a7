//! Hostile input through the executables of all plugins: exit status 1, one valid error object
//! with the right code that names key and value, little CPU time and memory, and nothing changed.
//!
//! What a valid but odd input does is in each plugin's own tests; here everything is refused, or
//! (in [`mutated`]) nobody knows beforehand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod addresses;
mod document;
mod environment;
mod many;
mod mutated;
mod paths;
mod previous;
mod stage;
mod streams;
mod values;
