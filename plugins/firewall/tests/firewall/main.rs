//! `firewall` through its executable, on throw-away hosts: which packets pass, and what the packet
//! filter's programs show.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod bus;
mod commands;
mod dropping;
mod iptables;
mod overlap;
mod policy;
mod world;
