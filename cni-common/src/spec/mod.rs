//! The wire: what callers send and what they get, in every version of the specification. Pure.

mod args;
mod attachments;
mod config;
pub mod json;
pub(crate) mod reply;
mod result;
mod version;

pub use args::CniArgs;
pub use attachments::ValidAttachments;
pub use config::NetworkConfig;
pub use json::Object;
pub use result::{CniResult, Dns, Interface, Ip, Route};
pub use version::Version;
