//! What a container runtime does with CNI plugins, as the specification and libcni have it.
//!
//! - [`NetworkList`]: a network list, alone or in a folder, and the configuration that each plugin of
//!   it gets.
//! - [`Attachment`]: one interface of one container in a network.
//! - [`Runtime`]: ADD and CHECK of the plugins in order, DEL in reverse; GC, STATUS, VERSION.
//! - [`Cache`]: what ADD answered, on disk, for CHECK, DEL and GC; libcni reads and writes the same.
//! - [`Error`]: a call that failed, with all that the plugin said.
//!
//! Not here: trying again.
//!
//! No logic lives in this file.

mod attachment;
mod base64;
mod cache;
mod cached;
mod chain;
mod error;
mod file;
mod folder;
mod list;
mod process;

pub use attachment::Attachment;
pub use cache::Cache;
pub use cached::Cached;
pub use chain::Runtime;
pub use error::Error;
pub use folder::FoundList;
pub use list::{NetworkList, Plugin};
