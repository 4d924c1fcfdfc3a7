//! The plugin `portmap`: ports of the host that lead to ports of a container, which the plugins before
//! it have attached.
//!
//! - `config`: every key read and checked. Pure.
//! - `mapping`: one port of the host and where it leads. Pure.
//! - `target`: the container's addresses, out of `prevResult`. Pure.
//! - `plan`: what is to be in the packet filter. Pure.
//! - `native`: making, removing, checking and sweeping that.
//! - `flows`: the UDP flows that have to be forgotten.
//! - `add`, `del`, `check`, `gc`, `status`: the commands.

pub mod add;
pub mod check;
pub mod config;
pub mod del;
pub mod flows;
pub mod gc;
pub mod mapping;
pub mod native;
pub mod plan;
pub mod status;
pub mod target;

use cni_common::Result;
use cni_common::skel::{Added, AttachmentRequest, Plugin, Request};
use cni_common::spec::ValidAttachments;

/// The plugin.
pub struct Portmap;

impl Plugin for Portmap {
    fn name(&self) -> &'static str {
        "portmap"
    }

    fn add(&self, request: &AttachmentRequest<'_>) -> Result<Added> {
        add::add(request)
    }

    fn del(&self, request: &AttachmentRequest<'_>) -> Result<()> {
        del::del(request);
        Ok(())
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
