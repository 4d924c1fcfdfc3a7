//! The `bridge` plugin: attaches a container to a bridge through a veth pair.
//!
//! - `config`, `plan`, `operation`: pure
//! - `observe`: what is there
//! - `apply`, `resolv_conf`: effects, by `cni_common::sys`
//! - `rules`, `filter`: the packet filter
//! - `preview`: what an ADD would do, as lines
//! - `shared`: what all attachments of a network share, and what of it is missing
//! - `add`, `del`, `check`, `gc`, `status`: one command each
//! - `filter`: masquerading and anti-spoofing, for those commands to call

pub mod add;
pub mod apply;
pub mod check;
pub mod config;
pub mod del;
pub mod filter;
pub mod gc;
pub mod observe;
pub mod operation;
pub mod plan;
pub mod preview;
pub mod resolv_conf;
pub mod rules;
pub mod shared;
pub mod status;

mod dns;
mod ipam;

use cni_common::Result;
use cni_common::skel::{Added, AttachmentRequest, Plugin, Request};
use cni_common::spec::ValidAttachments;

/// The plugin.
pub struct Bridge;

impl Plugin for Bridge {
    fn name(&self) -> &'static str {
        "bridge"
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
