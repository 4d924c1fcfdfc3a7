//! The plugin `bandwidth`: limits of what a container sends and receives, by token buckets on the host,
//! behind the plugins that have attached the container by a veth pair.
//!
//! - `config`: every key read and checked; `bucket`: a token bucket for a configured limit. Pure.
//! - `operation`, `plan`: what is to be done, out of what is there. Pure.
//! - `target`: the host's end of the container's pair.
//! - `observe`: what is there.
//! - `apply`: does it, and undoes it.
//! - `add`, `del`, `check`, `gc`, `status`: the commands.

mod add;
mod apply;
pub mod bucket;
mod check;
pub mod config;
mod del;
mod gc;
mod observe;
pub mod operation;
pub mod plan;
mod status;
mod target;

use cni_common::Result;
use cni_common::skel::{Added, AttachmentRequest, Plugin, Request};
use cni_common::spec::{ValidAttachments, Version};

/// The plugin.
pub struct Bandwidth;

impl Plugin for Bandwidth {
    fn name(&self) -> &'static str {
        "bandwidth"
    }

    fn purpose(&self) -> &'static str {
        env!("CARGO_PKG_DESCRIPTION")
    }

    fn versions(&self) -> &'static [Version] {
        &VERSIONS
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

/// Those whose results have interfaces.
const VERSIONS: [Version; 5] =
    [Version::V0_3_0, Version::V0_3_1, Version::V0_4_0, Version::V1_0_0, Version::V1_1_0];
