//! Nodes on which real container runtimes call the plugins of this checkout.
//!
//! - [`Node`]: the calling test thread as a machine of its own, with the runtimes' folders in memory
//!   and a neighbour outside.
//! - [`plugins`]: the plugin folder, the two suites that can be in it, and every call made of it.
//! - [`image`], [`peer`]: what runs in the containers, and the connections between them.
//! - [`containerd`], [`cri`], [`podman`]: the runtimes.
//! - [`firewalld`], [`docker`]: what else writes rules on a node.
//! - [`remains`]: what is left when all containers are gone.
//! - [`pages`]: the configurations and commands of the documents, for the tests to use just those.
//!
//! Only tests use this crate, through `scripts/e2e`.

pub mod containerd;
pub mod cri;
pub mod docker;
pub mod firewalld;
pub mod image;
mod node;
pub mod pages;
pub mod peer;
pub mod plugins;
pub mod podman;
pub mod remains;

pub use node::{Node, Pod, checkout, words};
