//! GC: what belongs to this network and to no living attachment is removed.

use std::collections::HashSet;

use cni_common::error::{Error, Result};
use cni_common::log;
use cni_common::names;
use cni_common::skel::Request;
use cni_common::spec::ValidAttachments;
use cni_common::sys::Netlink;
use cni_common::sys::link::LinkKind;
use cni_common::types::{Attachment, NetworkName};

use crate::{ipam, resolv_conf, rules};

/// Removes what is stale, then has the IPAM plugin do the same: interfaces and rules before
/// addresses.
pub fn gc(request: &Request<'_>, valid: &ValidAttachments<'_>) -> Result<()> {
    let network = &request.config.name;
    let mut failures = Vec::new();
    failures.extend(remove_stale_links(network, valid).err());
    failures.extend(remove_stale_resolv_confs(network, valid).err());
    failures.extend(rules::gc(request, valid));
    if failures.is_empty() {
        failures.extend(ipam::run(request, "GC").err());
    }
    Error::join(failures).map_or(Ok(()), Err)
}

/// The valid attachments that can be attachments at all.
fn attachments<'a>(
    network: &'a NetworkName,
    valid: &'a ValidAttachments<'_>,
) -> impl Iterator<Item = Attachment> + 'a {
    valid.iter().filter_map(|(container, ifname)| {
        Some(Attachment {
            network: network.clone(),
            container: container.parse().ok()?,
            ifname: ifname.parse().ok()?,
        })
    })
}

fn remove_stale_links(network: &NetworkName, valid: &ValidAttachments<'_>) -> Result<()> {
    let living: HashSet<String> =
        attachments(network, valid).map(|attachment| names::host_interface(&attachment)).collect();
    let mut host = Netlink::open()?;
    let mut failures = Vec::new();
    for link in host.list_links(LinkKind::Veth, None)? {
        let is_ours = names::is_host_interface_of(network.as_str(), &link.name, &link.alias);
        if is_ours && !living.contains(&link.name) {
            log::debug(|| format!("remove stale {} ({})", link.name, link.alias));
            failures.extend(host.remove_link(&link.name).err());
        }
    }
    Error::join(failures).map_or(Ok(()), Err)
}

fn remove_stale_resolv_confs(network: &NetworkName, valid: &ValidAttachments<'_>) -> Result<()> {
    let living: HashSet<String> =
        attachments(network, valid).map(|attachment| resolv_conf::marker(&attachment)).collect();
    resolv_conf::remove_marked(|line| {
        resolv_conf::is_marker_of(network.as_str(), line) && !living.contains(line)
    })
}
