//! `portmap` against a real kernel, in throw-away hosts: where packets get to, and what is left.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod conditions;
mod held;
mod iptables;
mod iptables_owners;
mod leftovers;
mod localnet;
mod many;
mod packets;
mod protocol;
mod reference;
mod sctp;
mod server;
mod udp;
mod world;
