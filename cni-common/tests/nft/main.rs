//! nf_tables in the kernel, on a throw-away host: what is committed is read back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

mod listing;
mod ruleset;
mod transport;

use cni_common::nft::{Family, Table};

const TABLE: Table = Table { family: Family::Inet, name: "test" };
