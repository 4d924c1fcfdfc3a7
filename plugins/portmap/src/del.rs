//! DEL: the ports of the host lead to the container no more. It never fails: the runtime would not call
//! the other plugins of the chain, and GC finds what is left.

use cni_common::log;
use cni_common::nft::{Element, Set};
use cni_common::packet_filter::reference::host_port;
use cni_common::skel::AttachmentRequest;
use cni_common::sys::nft::Nft;
use cni_common::{Error, Result};

use crate::config::Config;
use crate::target::Targets;
use crate::{flows, native, plan};

/// Removes what is there. The owner alone is needed; what configuration and `prevResult` say saves the
/// search.
pub fn del(request: &AttachmentRequest<'_>) {
    remove(request).err().iter().for_each(report);
}

fn remove(request: &AttachmentRequest<'_>) -> Result<()> {
    let attachment = &request.attachment;
    let mut nft = Nft::open()?;
    match native::remove(&mut nft, attachment, &known(request)) {
        Ok(removed) => flows::forget_removed(&removed),
        Err(error) => report(&error),
    }
    host_port::remove(&mut nft, attachment)
}

/// The elements that an ADD with this configuration and `prevResult` makes.
fn known(request: &AttachmentRequest<'_>) -> Vec<(Set, Element)> {
    let Ok(config) = Config::parse(&request.request.config) else { return Vec::new() };
    let Some(result) = request.known_prev_result() else { return Vec::new() };
    let targets = Targets::of(&result, &request.attachment.ifname);
    plan::elements(&request.attachment, &config, &targets)
}

fn report(error: &Error) {
    log::debug(|| format!("not removed: {error}"));
}
