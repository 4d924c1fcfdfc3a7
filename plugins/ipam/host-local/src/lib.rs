//! The plugin `host-local`: allocates addresses out of ranges kept on this host.
//!
//! - `config`: the `ipam` object, read and checked. Pure.
//! - `address`, `range`, `allocate`: addresses as numbers, ranges, and in which order their
//!   addresses are tried. Pure.
//! - `store`: the pool folder and what is known of it. It knows no ranges and no configuration.
//! - `add`, `del`, `check`, `gc`, `status`: the commands.
//! - `usage`: how much of a set is held, reclaimable, free; and reclaiming.
//! - `resolv`: resolv.conf. Pure.

mod add;
pub mod address;
pub mod allocate;
mod check;
pub mod config;
mod del;
mod gc;
pub mod range;
pub mod resolv;
mod status;
pub mod store;
pub mod usage;

use cni_common::{Result, log};
use std::net::IpAddr;

use cni_common::skel::{Added, AttachmentRequest, Plugin, Request};
use cni_common::spec::ValidAttachments;

use config::Config;

/// The plugin.
pub struct HostLocal;

impl Plugin for HostLocal {
    fn name(&self) -> &'static str {
        "host-local"
    }

    fn purpose(&self) -> &'static str {
        env!("CARGO_PKG_DESCRIPTION")
    }

    fn add(&self, request: &AttachmentRequest<'_>) -> Result<Added> {
        let config = log::configuration_step(|| {
            Config::parse(&request.request.config, &request.request.args()?)
        })?;
        let (result, given) =
            add::add(&config, &request.attachment, request.request.environment.attacher.as_ref())?;
        let attachment = request.attachment.clone();
        let addresses: Vec<IpAddr> = result.ips.iter().map(|ip| ip.address.ip()).collect();
        let rollback = move || {
            let undone = del::rollback(&config.location, &attachment, &addresses);
            undone.err().into_iter().collect()
        };
        Ok(Added::new(result, rollback).with_given(given))
    }

    fn del(&self, request: &AttachmentRequest<'_>) -> Result<()> {
        let location = config::pool_location(&request.request.config)?;
        config::refuse_release_for_version(&request.request.config)?;
        del::del(&location, &request.attachment)
    }

    fn check(&self, request: &AttachmentRequest<'_>) -> Result<()> {
        let config = Config::parse(&request.request.config, &request.request.args()?)?;
        let previous = request.request.config.prev_result()?;
        check::check(&config, &request.attachment, previous.as_ref())
    }

    fn gc(&self, request: &Request<'_>, valid: Option<&ValidAttachments<'_>>) -> Result<()> {
        gc::gc(&config::pool_location(&request.config)?, valid)
    }

    fn status(&self, request: &Request<'_>) -> Result<()> {
        status::status(&Config::parse(&request.config, &request.args()?)?)
    }
}
