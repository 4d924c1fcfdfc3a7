//! Chains of plugins as the runtimes of this world call them: their own network lists and habits,
//! the reference's plugins swapped for ours and back, and the files of `examples/`.
//!
//! `bridge`, `host-local` and `loopback` are those under test; the chained plugins are the
//! distribution's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod callers;
mod examples;
mod habits;
mod installer;
mod machines;
mod node;
mod swap;
mod template;
mod traces;
