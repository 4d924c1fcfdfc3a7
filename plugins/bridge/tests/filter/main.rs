//! The packet filter against a real kernel, in throw-away hosts: what packets look like outside,
//! and what `nft` and `iptables` show.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod iptables;
mod leftovers;
mod masquerade;
mod masquerade_state;
mod parallel;
mod reference_check;
mod shared_table;
mod spoofcheck;
mod world;
