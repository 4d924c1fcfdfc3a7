//! `bridge` through its executable, on throw-away hosts.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod add;
mod again;
mod announcement;
mod built_in;
mod by_hand;
mod check;
mod counts;
mod delegate;
mod dns;
mod failed;
mod force;
mod gc;
mod gc_without_list;
mod input;
mod ipv6;
mod log;
mod meanwhile;
mod node;
mod overlap;
mod pool;
mod port;
mod refuse;
mod reuse;
mod routes;
mod shared;
mod sysctl;
mod vlan;
