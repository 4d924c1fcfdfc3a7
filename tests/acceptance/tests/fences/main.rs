//! What the source may name: who is pure, who acts, and which crate stands on which. Reads files of the
//! checkout and runs nothing.
//!
//! A fence that stands in a document alone is climbed over one day: these fail when one is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod commands;
mod crates;
mod decisions;
mod keys;
mod links;
mod modules;
mod plugins;
mod source;
