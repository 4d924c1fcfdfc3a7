//! GC: what belongs to this network and to no living attachment is removed.

use std::collections::HashSet;

use cni_common::error::{Error, Result};
use cni_common::skel::Request;
use cni_common::spec::ValidAttachments;
use cni_common::sys::{Netlink, attacher};
use cni_common::types::NetworkName;
use cni_common::{inventory, log, names};

use crate::rules::{self, Expected};
use crate::{ipam, resolv_conf};

/// Each lock is an open file, of which a process may have 1,024.
const MAX_LOCKS: usize = 256;

/// Removes what is stale, then has the IPAM plugin do the same: interfaces and rules before
/// addresses. Without a list only what is proved to be dead is stale.
pub(crate) fn gc(request: &Request<'_>, valid: Option<&ValidAttachments<'_>>) -> Result<()> {
    let network = &request.config.name;
    let expected = Expected::by_keys(request);
    let mut failures = Vec::new();
    match valid {
        Some(valid) => {
            failures.extend(remove_stale_links(network, valid).err());
            failures.extend(remove_stale_resolv_confs(network, valid).err());
            failures.extend(rules::gc(network, expected, Some(valid)).err());
        }
        None => failures.extend(remove_dead(network, expected).err()),
    }
    if failures.is_empty() {
        failures.extend(ipam::run(request, "GC").err());
    }
    Error::join(failures)
}

/// Removes what is of attachments of the network that are proved to be dead, but for their addresses.
pub fn remove_dead(network: &NetworkName, expected: Expected) -> Result<()> {
    let failures = [
        remove_unfinished_links(network),
        remove_dead_resolv_confs(network),
        rules::gc(network, expected, None),
    ];
    Error::join(failures.into_iter().filter_map(Result::err))
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

/// Removes the pairs of ADDs that were killed, many at once. Any other pair has a namespace that may
/// live: it goes with that.
fn remove_unfinished_links(network: &NetworkName) -> Result<()> {
    let mut host = Netlink::open()?;
    let mut unfinished = inventory::list_host_interfaces(&mut host, network)?;
    unfinished.retain(|link| names::is_unfinished(&link.alias));
    let mut failures = Vec::new();
    for some in unfinished.chunks(MAX_LOCKS) {
        let (mut locks, mut names) = (Vec::new(), Vec::new());
        for link in some {
            let Some(lock) = attacher::try_lock(&link.name) else { continue };
            // Again, now that no ADD is at it: one may have come to its end since.
            let found = host.find_link(&link.name)?;
            if found.is_some_and(|link| names::is_unfinished(&link.alias)) {
                log::debug(|| format!("remove {}, left by an ADD that was killed", link.name));
                names.push(link.name.clone());
                locks.push(lock);
            }
        }
        failures.extend(host.remove_links(&names).err());
    }
    Error::join(failures)
}

fn remove_dead_resolv_confs(network: &NetworkName) -> Result<()> {
    resolv_conf::remove_marked(|line| {
        let attachment = resolv_conf::attachment_of(network, line);
        attachment.is_some_and(|one| attacher::is_dead(&names::host_interface(&one)))
    })
}
