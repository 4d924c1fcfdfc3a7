//! What every Causeway plugin shares. Where things are:
//!
//! - [`types`]: container ID, network name, interface name …: checked once, then trusted. Pure.
//! - [`spec`]: the wire: configuration, versions, results, replies. Pure.
//! - [`error`]: the one error type and the only table of codes. Pure.
//! - [`names`]: the names of host interfaces and their aliases, made and read back. Pure.
//! - [`nft`]: the packet filter's objects as values. Pure.
//! - [`packet_filter`]: who owns what in the packet filter's tables that all plugins share.
//! - [`skel`]: from environment and stdin to a plugin's answer on stdout. The only writer of stdout.
//! - [`undo`]: what an ADD has done so far, to be undone in reverse.
//! - [`delegate`]: finding and running an IPAM plugin.
//! - [`inventory`]: what of this suite is on this host.
//! - `allocator`: who gives memory, where that is not the C library.
//! - [`log`]: diagnostics on stderr or in a file, off unless asked for.
//! - [`sys`]: every effect on the machine.
//!
//! No logic lives in this file.

mod allocator;
pub mod delegate;
pub mod error;
pub mod inventory;
pub mod log;
pub mod names;
pub mod nft;
pub mod packet_filter;
mod reading;
pub mod skel;
pub mod spec;
pub mod sys;
pub mod types;
pub mod undo;

pub use error::{Code, Context, Error, Result};
