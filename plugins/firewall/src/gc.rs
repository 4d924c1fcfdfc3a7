//! GC: what is of attachments of the network that live no more goes.

use std::cell::RefCell;

use cni_common::packet_filter::owner::Living;
use cni_common::skel::Request;
use cni_common::spec::ValidAttachments;
use cni_common::sys::nft::Nft;
use cni_common::types::{Attachment, NetworkName};
use cni_common::{Error, Result};

use crate::{del, nftables};

/// Removes it; without a list, what is proved to be dead. The reference's rules name nobody: they are
/// removed for the addresses that an attachment had here, and else left to DEL.
pub fn gc(request: &Request<'_>, valid: Option<&ValidAttachments<'_>>) -> Result<()> {
    let network = &request.config.name;
    match valid {
        Some(valid) => sweep(network, &Living::of(network, valid)),
        None => remove_dead(network),
    }
}

/// Removes what is of attachments of the network that are proved to be dead.
pub fn remove_dead(network: &NetworkName) -> Result<()> {
    let looker = RefCell::new(Nft::open()?);
    let is_dead = |attachment: &Attachment| nftables::is_dead(&looker, attachment);
    sweep(network, &Living::unless(network, &is_dead))
}

fn sweep(network: &NetworkName, living: &Living<'_>) -> Result<()> {
    let mut nft = Nft::open()?;
    let gone = nftables::sweep(&mut nft, network, living)?;
    if gone.addresses.is_empty() {
        return Ok(());
    }
    Error::join(del::remove_unrecorded(&mut nft, gone))
}
