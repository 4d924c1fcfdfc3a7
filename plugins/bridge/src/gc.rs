//! GC: what belongs to this network and to no living attachment is removed.

use std::collections::HashSet;

use cni_common::error::{Error, Result};
use cni_common::skel::Request;
use cni_common::spec::ValidAttachments;
use cni_common::sys::{Netlink, attacher};
use cni_common::types::NetworkName;
use cni_common::{inventory, log, names};

use crate::{ipam, resolv_conf, rules};

/// Removes what is stale, then has the IPAM plugin do the same: interfaces and rules before
/// addresses. Without a list only what is proved to be dead is stale.
pub(crate) fn gc(request: &Request<'_>, valid: Option<&ValidAttachments<'_>>) -> Result<()> {
    let network = &request.config.name;
    let mut failures = Vec::new();
    match valid {
        Some(valid) => {
            failures.extend(remove_stale_links(network, valid).err());
            failures.extend(remove_stale_resolv_confs(network, valid).err());
        }
        None => {
            failures.extend(remove_unfinished_links(network).err());
            failures.extend(remove_dead_resolv_confs(network).err());
        }
    }
    failures.extend(rules::gc(request, valid).err());
    if failures.is_empty() {
        failures.extend(ipam::run(request, "GC").err());
    }
    Error::join(failures)
}

fn remove_stale_links(network: &NetworkName, valid: &ValidAttachments<'_>) -> Result<()> {
    let living: HashSet<String> =
        inventory::list_valid(network, valid).map(|one| names::host_interface(&one)).collect();
    let mut host = Netlink::open()?;
    let mut stale = inventory::list_host_interfaces(&mut host, network)?;
    stale.retain(|link| !living.contains(&link.name));
    for link in &stale {
        log::debug(|| format!("remove stale {} ({})", link.name, link.alias));
    }
    let names: Vec<String> = stale.into_iter().map(|link| link.name).collect();
    host.remove_links(&names)
}

fn remove_stale_resolv_confs(network: &NetworkName, valid: &ValidAttachments<'_>) -> Result<()> {
    let living: HashSet<String> =
        inventory::list_valid(network, valid).map(|one| resolv_conf::marker(&one)).collect();
    resolv_conf::remove_marked(|line| {
        resolv_conf::is_marker_of(network.as_str(), line) && !living.contains(line)
    })
}

/// Removes the pairs of ADDs that were killed. Any other pair has a namespace that may live: it goes
/// with that.
fn remove_unfinished_links(network: &NetworkName) -> Result<()> {
    let mut host = Netlink::open()?;
    let mut failures = Vec::new();
    for link in inventory::list_host_interfaces(&mut host, network)? {
        if !names::is_unfinished(&link.alias) {
            continue;
        }
        let Some(_lock) = attacher::try_lock(&link.name) else { continue };
        // Again, now that no ADD is at it: one may have come to its end since.
        let found = host.find_link(&link.name)?;
        if found.is_some_and(|link| names::is_unfinished(&link.alias)) {
            log::debug(|| format!("remove {}, left by an ADD that was killed", link.name));
            failures.extend(host.remove_link(&link.name).err());
        }
    }
    Error::join(failures)
}

fn remove_dead_resolv_confs(network: &NetworkName) -> Result<()> {
    resolv_conf::remove_marked(|line| {
        let attachment = resolv_conf::attachment_of(network, line);
        attachment.is_some_and(|one| attacher::is_dead(&names::host_interface(&one)))
    })
}
