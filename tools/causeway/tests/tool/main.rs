//! `causeway` on throw-away hosts, beside the plugins that it is about.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod check;
mod conformance;
mod damaged;
mod explain;
mod forwarding;
mod gc;
mod graph;
mod incidents;
mod listen;
mod log;
mod ls;
mod mends;
mod metrics;
mod net;
mod node;
mod plan;
mod pool;
mod progress;
mod reload;
mod scene;
mod thousand;
mod together;
mod watch;
