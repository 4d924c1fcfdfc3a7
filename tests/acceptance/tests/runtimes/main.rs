//! Chains of plugins as the runtimes of this world call them: their own network lists and habits,
//! the reference's plugins swapped for ours and back, and the files of `examples/`.
//!
//! All plugins are those under test, and nothing else is found.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod callers;
mod crowd;
mod examples;
mod habits;
mod installer;
mod machines;
mod missing;
mod node;
mod swap;
mod template;
mod traces;
