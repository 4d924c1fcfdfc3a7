//! What Causeway's tests stand on: throw-away hosts and containers, and a way to call a plugin.
//!
//! - [`Host`]: makes the calling test thread a host of its own (network and mount namespace).
//! - [`Container`], [`Outside`]: further network namespaces of that host.
//! - [`Call`], [`Answer`]: one run of a plugin's executable, environment and stdin said in full.
//! - [`Usage`]: the CPU time and memory that such a run took.
//! - [`Numbers`]: random ones that are the same for the same seed.
//! - [`PLUGINS`], [`executable`], [`example`], [`bin_dir`]: the executables, and where they are.
//! - [`golden`]: a text compared with a file of `testdata/`.
//! - [`feature`], [`not_run`]: what this kernel lacks, and the tests that could not run for it.
//!
//! No plugin depends on this crate, and not the operator's tool. Of what is released, the conformance suite alone has
//! it inside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "only tests call this crate, and a test fails by panicking"
)]

mod call;
mod container;
mod executable;
pub mod feature;
mod folders;
pub mod golden;
mod host;
mod measured;
mod namespace;
mod numbers;
mod process;
mod traces;

pub use call::{Answer, Call};
pub use container::{Container, Outside};
pub use executable::{PLUGINS, REFERENCE_DIR, bin_dir, example, executable, write_program};
pub use feature::not_run;
pub use host::Host;
pub use measured::Usage;
pub use numbers::Numbers;
pub use process::{Background, Finished};
