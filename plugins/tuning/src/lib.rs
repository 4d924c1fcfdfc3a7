//! The plugin `tuning`: sysctls and attributes of a container's interface, set after the plugins
//! before it have made that, and the attributes set back on DEL.
//!
//! - `config`: every key read and checked; `sysctl`: the names of sysctls. Pure.
//! - `allow_list`: which sysctls the node's administrator allows. Pure.
//! - `plan`: what is to be changed, and which values are to be kept for DEL. Pure.
//! - `backup`: the text that those values are kept as. Pure.
//! - `store`: the file that they are kept in, and whose it is.
//! - `apply`: changes the namespace, and undoes it.
//! - `add`, `del`, `check`, `gc`, `status`: the commands.

mod add;
pub mod allow_list;
mod apply;
pub mod backup;
mod check;
pub mod config;
mod del;
mod gc;
mod plan;
mod status;
mod store;
mod sysctl;

use cni_common::Result;
use cni_common::skel::{Added, AttachmentRequest, Plugin, Request};
use cni_common::spec::ValidAttachments;

/// The plugin.
pub struct Tuning;

impl Plugin for Tuning {
    fn name(&self) -> &'static str {
        "tuning"
    }

    fn purpose(&self) -> &'static str {
        env!("CARGO_PKG_DESCRIPTION")
    }

    fn add(&self, request: &AttachmentRequest<'_>) -> Result<Added> {
        add::add(request)
    }

    fn del(&self, request: &AttachmentRequest<'_>) -> Result<()> {
        del::del(request)
    }

    fn check(&self, request: &AttachmentRequest<'_>) -> Result<()> {
        check::check(request)
    }

    fn gc(&self, request: &Request<'_>, valid: Option<&ValidAttachments<'_>>) -> Result<()> {
        gc::gc(request, valid)
    }

    fn status(&self, request: &Request<'_>) -> Result<()> {
        status::status(request)
    }
}

/// What ADD and CHECK say without a `prevResult`.
const NO_PREV_RESULT: &str = "Required prevResult missing";
