//! GC: devices of attachments of this network that live no more are removed.

use std::collections::HashSet;

use cni_common::inventory;
use cni_common::names::ifb;
use cni_common::skel::Request;
use cni_common::spec::ValidAttachments;
use cni_common::sys::attacher;
use cni_common::sys::link::LinkKind;
use cni_common::types::net::Link;
use cni_common::types::traffic::Hook;
use cni_common::types::{Attachment, NetworkName};
use cni_common::{Error, Result, log};

use crate::observe::Sockets;
use crate::{apply, plan};

/// Removes them: with a list, those of this network that it does not name; without, and of the
/// reference's, those that no filter needs any more.
pub(crate) fn gc(request: &Request<'_>, valid: Option<&ValidAttachments<'_>>) -> Result<()> {
    let network = &request.config.name;
    let mut sockets = Sockets::open()?;
    let mut links = sockets.host.list_links(LinkKind::Ifb, None)?;
    links.retain(|link| ifb::is_name(&link.name));
    if links.is_empty() {
        return Ok(());
    }
    let living = valid.map(|valid| Living::of(network, valid));
    let mut failures = Vec::new();
    let mut stale = Vec::new();
    for link in links {
        match is_stale(&mut sockets, network, (living.as_ref(), &link)) {
            Ok(true) => {
                log::debug(|| format!("remove stale {} ({})", link.name, link.alias));
                failures.extend(remove_filters(&mut sockets, &link).err());
                stale.push(link.name);
            }
            Ok(false) => {}
            Err(error) => failures.push(error),
        }
    }
    failures.extend(sockets.host.remove_links(&stale).err());
    Error::join(failures)
}

/// The attachments of the network that a list names.
struct Living {
    attachments: HashSet<Attachment>,
    /// All names that their devices may have.
    names: HashSet<String>,
}

impl Living {
    fn of(network: &NetworkName, valid: &ValidAttachments<'_>) -> Self {
        let attachments: HashSet<_> = inventory::list_valid(network, valid).collect();
        let names = attachments.iter().flat_map(ifb::all).collect();
        Self { attachments, names }
    }

    /// Whether a device may be one of theirs. Where its alias could not hold all of a long ID, the
    /// name alone tells.
    fn have(&self, link: &Link) -> bool {
        match ifb::attachment(&link.alias) {
            Some(attachment) => self.attachments.contains(&attachment),
            None => self.names.contains(&link.name),
        }
    }
}

fn is_stale(
    sockets: &mut Sockets,
    network: &NetworkName,
    (living, link): (Option<&Living>, &Link),
) -> Result<bool> {
    if living.is_some_and(|living| living.have(link)) {
        return Ok(false);
    }
    if link.alias.is_empty() {
        // The reference's, of a network that nobody can tell. With its queue it was finished, and the
        // filter which sends packets by it goes only with the host interface.
        let root = sockets.traffic.find_root(link.index)?;
        let is_finished = root.as_ref().and_then(plan::own_root).is_some();
        return Ok(is_finished && !is_needed(sockets, link)?);
    }
    if !ifb::is_of_network(&link.alias, network.as_str()) {
        return Ok(false);
    }
    if living.is_some() {
        return Ok(true);
    }
    let Some(attachment) = ifb::attachment(&link.alias) else { return Ok(false) };
    // With the lock, no ADD is about to add the filter.
    let lock = attacher::try_lock_at(ifb::lock_offset(&attachment));
    Ok(lock.is_some() && !is_needed(sockets, link)?)
}

/// Whether a filter of any link sends packets by the device.
fn is_needed(sockets: &mut Sockets, link: &Link) -> Result<bool> {
    Ok(sockets.traffic.list_redirect_targets()?.contains(&link.index))
}

/// Removes the filters that would send packets by the device, where the host interface lives.
fn remove_filters(sockets: &mut Sockets, device: &Link) -> Result<()> {
    let Some(name) = ifb::host_interface(&device.alias) else { return Ok(()) };
    let Some(host) = sockets.host.find_link(name)? else { return Ok(()) };
    for hook in [Hook::Received, Hook::Sent] {
        let mut filters = sockets.traffic.list_filters(host.index, hook)?;
        filters.retain(|filter| filter.redirects_to(device.index));
        for filters in plan::grouped(filters) {
            apply::remove_filters(&mut sockets.traffic, (host.index, hook), &filters)?;
        }
    }
    Ok(())
}
