//! `tuning` through its executable, on throw-away hosts.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod attachment;
mod del;
mod faults;
mod gc;
mod protocol;
mod reference;
mod sysctls;
