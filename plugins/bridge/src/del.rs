//! DEL: the same operations inverted. What is missing is done; no failure stops the rest.

use cni_common::error::{Code, Error, Result};
use cni_common::log;
use cni_common::names;
use cni_common::skel::AttachmentRequest;
use cni_common::sys::{Netlink, Netns};

use crate::rules::{Expected, Known, Rules};
use crate::{ipam, resolv_conf};

/// Takes the attachment away: the interface first, then its traces, and only then the address.
pub(crate) fn del(request: &AttachmentRequest<'_>) -> Result<()> {
    let mut failures = Vec::new();
    let netns = match request.open_netns_if_present() {
        // The plugin's own: refused before any effect.
        Err(error) if error.is(Code::InvalidNetns) => return Err(error),
        Err(error) => {
            failures.push(error);
            None
        }
        Ok(netns) => netns,
    };
    // Held until all is removed. An ADD that still runs would go on making what this removes.
    let _lock = request.lock()?;
    let doing = || format!("remove {}", names::host_interface(&request.attachment));
    failures.extend(log::step(doing, || remove_interface(request, netns)).err());
    failures.extend(remove_resolv_conf(request).err());
    let expected = Expected::by_keys(&request.request);
    let known = Known::by_prev_result(request);
    failures.extend(Rules::of(&request.attachment).remove(expected, &known).err());
    // With the interface or its rules still there the address is in use: it stays held until a DEL succeeds.
    if failures.is_empty() {
        failures.extend(ipam::run(&request.request, "DEL").err());
    }
    Error::join(failures)
}

/// Removes the pair by the name of its host end, which needs no namespace; a pair that somebody
/// else named (the reference plugin) by the interface in the container.
fn remove_interface(request: &AttachmentRequest<'_>, netns: Option<Netns>) -> Result<()> {
    let mut host = Netlink::open()?;
    if host.remove_link(&names::host_interface(&request.attachment))? {
        return Ok(());
    }
    let Some(netns) = netns else { return Ok(()) };
    let Some(mut inside) = netns.netlink_if_netns()? else { return Ok(()) };
    let ifname = request.attachment.ifname.as_str();
    let Some(link) = inside.find_link(ifname)? else { return Ok(()) };
    // Attached by us, but as another attachment: a refused ADD's DEL must not take it away.
    if let Some(peer) = link.peer.filter(|_| link.kind == "veth") {
        let found = host.find_link_by_index(peer)?;
        if found.is_some_and(|peer| names::is_host_interface(&peer.name, &peer.alias)) {
            log::debug(|| format!("{ifname} belongs to another attachment"));
            return Ok(());
        }
    }
    netns.run(|| inside.remove_link(ifname))?.map(|_was_there| ())
}

fn remove_resolv_conf(request: &AttachmentRequest<'_>) -> Result<()> {
    // A value that can't be read is no reason to leave a file behind.
    if !request.request.config.keys.flag("netnsResolvConf").unwrap_or(true) {
        return Ok(());
    }
    resolv_conf::remove_of(&request.attachment, request.netns.as_deref())
}
