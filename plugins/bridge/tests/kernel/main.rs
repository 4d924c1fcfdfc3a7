//! `bridge` through its executable, on throw-away hosts.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod add;
mod again;
mod check;
mod failed;
mod gc;
mod node;
mod port;
mod refuse;
mod routes;
