//! The rules of the CNI specification that bind plugins, run against any folder of them.
//!
//! - [`Options`], [`run`]: which plugins, which versions; on throw-away hosts, each check on its own.
//! - [`Configuration`]: what is known of a plugin, and how it is said of one that is not.
//! - [`runtimes`]: the network lists of runtimes, replayed as these call.
//! - [`Report`]: what came of it, as a table, JSON or JUnit XML.
//!
//! A check fails only by what a caller can see: outputs, exit status, what the kernel shows. What could not be
//! looked at is said, with the reason, and is no success.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test program: what can't be looked at ends the check, and is reported so"
)]

mod check;
mod checks;
mod delegate;
mod plugin;
mod reply;
mod report;
mod request;
mod run;
pub mod runtimes;
mod spec;
mod stage;
mod subject;

pub use plugin::{Configuration, Plugin, Role};
pub use reply::{Finding, Verdict};
pub use report::{Outcome, PluginReport, Report};
pub use run::{Options, rules, run};
pub use spec::{Level, Spec};
