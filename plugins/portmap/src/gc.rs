//! GC: the ports of attachments of this network that live no more are free again.

use std::path::Path;

use cni_common::packet_filter::owner;
use cni_common::packet_filter::reference::host_port;
use cni_common::skel::Request;
use cni_common::spec::ValidAttachments;
use cni_common::sys::netns;
use cni_common::sys::nft::Nft;
use cni_common::types::{Attachment, NetworkName};
use cni_common::{Error, Result};

use crate::{chains, flows, holder, nftables};

/// Removes them; without a list, those of containers whose namespace is gone.
pub fn gc(request: &Request<'_>, valid: Option<&ValidAttachments<'_>>) -> Result<()> {
    let network = &request.config.name;
    match valid {
        Some(valid) => {
            // Before the last attachment of a subnet takes its name along.
            let reference = sweep_reference(network, valid);
            let (owners, holders) =
                (owner::Living::of(network, valid), holder::Living::of(network, valid));
            let swept = sweep(network, &owners, &holders);
            Error::join([swept.err(), reference.err()].into_iter().flatten())
        }
        None => remove_dead(network, &|_unknown| false),
    }
}

/// Removes the ports of attachments of the network that are proved to be dead: their namespace is gone,
/// or the caller knows of a proof.
pub fn remove_dead(
    network: &NetworkName,
    is_known_dead: &dyn Fn(&Attachment) -> bool,
) -> Result<()> {
    let dead = nftables::dead(&mut Nft::open()?, network)?;
    let is_dead = |attachment: &Attachment| dead.contains(attachment) || is_known_dead(attachment);
    let is_gone = |path: &str| netns::is_gone(Path::new(path));
    sweep(network, &owner::Living::unless(network, &is_dead), &holder::Living::Unless(&is_gone))
}

fn sweep(
    network: &NetworkName,
    owners: &owner::Living<'_>,
    holders: &holder::Living<'_>,
) -> Result<()> {
    let mut nft = Nft::open()?;
    let swept = nftables::sweep(&mut nft, network, owners);
    let chains = chains::sweep(&mut nft, network, holders);
    if let Ok(removed) = &swept {
        flows::forget_removed(removed);
    }
    Error::join([swept.err(), chains.err()].into_iter().flatten())
}

/// The reference's rules on nftables name no network. Whose address they lead to is known while this
/// suite has attachments in the same subnet.
fn sweep_reference(network: &NetworkName, valid: &ValidAttachments<'_>) -> Result<()> {
    let mut nft = Nft::open()?;
    let places = nftables::all_places(&mut nft, network)?;
    if places.is_empty() {
        return Ok(());
    }
    let is_of_network = |ip| places.iter().any(|place| place.contains(ip));
    host_port::sweep(&mut nft, is_of_network, valid)
}
