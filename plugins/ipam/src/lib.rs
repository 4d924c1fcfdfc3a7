//! The plugin `host-local`: gives addresses out of ranges kept on this host.
//!
//! - [`config`]: the `ipam` object, read and checked. Pure.
//! - [`range`], [`allocate`]: ranges, and in which order their addresses are tried. Pure.
//! - [`store`]: the pool folder and what is known of it.
//! - [`give`]: ADD. [`release`]: DEL and GC. [`verify`]: CHECK and STATUS.
//! - [`room`]: how much of a set is held, reclaimable, free; and reclaiming.
//! - [`resolv`]: resolv.conf. Pure.

pub mod allocate;
pub mod config;
pub mod give;
pub mod range;
pub mod release;
pub mod resolv;
pub mod room;
pub mod store;
pub mod verify;

use cni_common::Result;
use cni_common::skel::{Added, AttachmentRequest, Plugin, Request};
use cni_common::spec::ValidAttachments;

use config::{Config, Place};

/// The plugin.
pub struct HostLocal;

impl Plugin for HostLocal {
    fn name(&self) -> &'static str {
        "host-local"
    }

    fn add(&self, request: &AttachmentRequest<'_>) -> Result<Added> {
        let config = Config::parse(&request.request.config, &request.request.args()?)?;
        let result = give::give(&config, &request.attachment)?;
        let attachment = request.attachment.clone();
        let undo = move || release::release(&config.place, &attachment).err().into_iter().collect();
        Ok(Added::new(result, undo))
    }

    fn del(&self, request: &AttachmentRequest<'_>) -> Result<()> {
        let place = Place::lenient(&request.request.config)?;
        config::refuse_release_for_version(&request.request.config)?;
        release::release(&place, &request.attachment)
    }

    fn check(&self, request: &AttachmentRequest<'_>) -> Result<()> {
        let config = Config::parse(&request.request.config, &request.request.args()?)?;
        let previous = request.request.config.prev_result()?;
        verify::check(&config, &request.attachment, previous.as_ref())
    }

    fn gc(&self, request: &Request<'_>, valid: &ValidAttachments<'_>) -> Result<()> {
        release::collect(&Place::lenient(&request.config)?, valid)
    }

    fn status(&self, request: &Request<'_>) -> Result<()> {
        verify::status(&Config::parse(&request.config, &request.args()?)?)
    }
}
