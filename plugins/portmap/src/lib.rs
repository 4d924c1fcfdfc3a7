//! The plugin `portmap`: ports of the host that lead to ports of a container, which the plugins before
//! it have attached.
//!
//! - `config`: every key read and checked. Pure.
//! - `mapping`: one port of the host and where it leads. Pure.
//! - `target`: the container's addresses, out of `prevResult`. Pure.
//! - `plan`: what is to be in the suite's table of nf_tables. Pure.
//! - `nftables`: making, removing, checking and sweeping that.
//! - `text`: the reference's chains and rules of iptables, as lines; `holder`: who has a port, as they
//!   say. Pure.
//! - `iptables`: making and checking those; `chains`: finding and removing them.
//! - `localnet`: ports of the host's 127.0.0.1.
//! - `flows`: the UDP flows that have to be forgotten.
//! - `add`, `del`, `check`, `gc`, `status`: the commands; `put_back`: what ADD makes, for many containers at once.

pub mod add;
pub mod chains;
pub mod check;
pub mod config;
pub mod del;
pub mod flows;
pub mod gc;
pub mod holder;
pub mod iptables;
pub mod localnet;
pub mod mapping;
pub mod nftables;
pub mod plan;
pub mod put_back;
pub mod status;
pub mod target;
pub mod text;

use cni_common::Result;
use cni_common::skel::{Added, AttachmentRequest, Plugin, Request};
use cni_common::spec::ValidAttachments;

/// The plugin.
pub struct Portmap;

impl Plugin for Portmap {
    fn name(&self) -> &'static str {
        "portmap"
    }

    fn purpose(&self) -> &'static str {
        env!("CARGO_PKG_DESCRIPTION")
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
