//! A removal that is over when the kernel says so: the process that waits in the plugin's place, and
//! what is so without it.
//!
//! This test program is the one who adopts those processes, and it never reaps any.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod faults;
mod gone;
mod network;
mod processes;
mod waiting;
