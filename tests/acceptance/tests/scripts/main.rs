//! What every script of the checkout says of itself, and to whom lacks what it needs. Builds and installs
//! nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod demo;
mod help;
mod install;
mod release;
mod tools;
mod totals;
mod workflow;
