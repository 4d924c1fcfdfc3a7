//! GC: the ports of attachments of this network that live no more are free again.

use std::path::Path;

use cni_common::packet_filter::owner;
use cni_common::skel::Request;
use cni_common::spec::ValidAttachments;
use cni_common::sys::netns;
use cni_common::sys::nft::Nft;
use cni_common::types::Attachment;
use cni_common::{Error, Result};

use crate::{chains, flows, holder, nftables};

/// Removes them; without a list, those of containers whose namespace is gone.
pub fn gc(request: &Request<'_>, valid: Option<&ValidAttachments<'_>>) -> Result<()> {
    let network = &request.config.name;
    let mut nft = Nft::open()?;
    let (swept, chains) = match valid {
        Some(valid) => (
            nftables::sweep(&mut nft, network, &owner::Living::of(network, valid)),
            chains::sweep(&mut nft, network, &holder::Living::of(network, valid)),
        ),
        None => {
            let dead = nftables::dead(&mut nft, network)?;
            let is_dead = |attachment: &Attachment| dead.contains(attachment);
            let is_gone = |path: &str| netns::is_gone(Path::new(path));
            (
                nftables::sweep(&mut nft, network, &owner::Living::unless(network, &is_dead)),
                chains::sweep(&mut nft, network, &holder::Living::Unless(&is_gone)),
            )
        }
    };
    if let Ok(removed) = &swept {
        flows::forget_removed(removed);
    }
    Error::join([swept.err(), chains.err()].into_iter().flatten())
}
