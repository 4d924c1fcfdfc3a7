//! `host-local` through its executable, each test with a pool folder of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod add;
mod cache;
mod configurations;
mod crash;
mod faults;
mod history;
mod pool;
mod property;
mod queue;
mod reboot;
mod reference;
mod refused;
mod status;
mod unread;
