//! `bandwidth` against a real kernel, in throw-away hosts: how fast packets get through, and what is left.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod again;
mod beside;
mod check;
mod ebpf;
mod faults;
mod leftovers;
mod many;
mod protocol;
mod rates;
mod reference;
mod world;
