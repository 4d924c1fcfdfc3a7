//! The pairs on this host, and their other ends in the containers.
//!
//! The kernel tells of the other end by the number that its namespace has here: no path of a namespace
//! need be known, and none is entered. So the pairs of other plugins are found, too, by the address that
//! is kept for them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use cni_common::inventory::{self, HostInterface};
use cni_common::sys::Netlink;
use cni_common::sys::link::LinkKind;
use cni_common::types::net::Link;
use cni_common::{Result, names};
use ipnetwork::IpNetwork;

use super::value::{Attached, Inside, Key};
use super::{Attachments, LOOKED_AT};
use crate::networks::Networks;
use crate::progress;

/// Finds the pairs that say by name and alias whose they are.
pub(super) fn read(found: &mut Attachments, host: &mut Netlink) -> Result<()> {
    let bridges = host.list_links(LinkKind::Bridge, None)?;
    found.bridges = bridges.into_iter().map(|link| (link.index, link)).collect();
    found.pairs = inventory::list_pairs(host)?;
    // A lease says whose a pair is that can't say it itself.
    let named: BTreeMap<String, Key> = found
        .all
        .keys()
        .filter_map(|key| Some((names::host_interface(&key.attachment()?), key.clone())))
        .collect();
    for link in &found.pairs {
        let Some(interface) = HostInterface::of(link) else { continue };
        // The gateway of a VLAN is a pair, too, with both ends on this host.
        if link.peer_netns.is_none() {
            continue;
        }
        let told = interface.attachment.as_ref().map(Key::of);
        let key = told.or_else(|| named.get(&link.name).cloned()).unwrap_or_else(|| Key {
            network: interface.link.alias.split('/').next().unwrap_or_default().to_owned(),
            other: link.name.clone(),
            ..Key::default()
        });
        let attached = found.all.entry(key).or_default();
        attached.pod = interface.pod;
        attached.is_unfinished = interface.is_unfinished;
        attached.is_ours = true;
        attached.host = Some(interface.link);
    }
    Ok(())
}

/// Asks for the other ends, and finds by them whose the other pairs are.
pub(super) fn look_inside(
    found: &mut Attachments,
    host: &mut Netlink,
    networks: &Networks,
) -> Result<()> {
    for attached in progress::each(LOOKED_AT, found.all.values_mut()) {
        if let Some(link) = &attached.host {
            attached.inside = inside(host, link)?;
        }
    }
    let taken: Vec<u32> =
        found.all.values().filter_map(|one| Some(one.host.as_ref()?.index)).collect();
    let others = found.pairs.iter().filter(|link| {
        link.peer_netns.is_some() && link.master.is_some() && !taken.contains(&link.index)
    });
    let others: Vec<Link> = others.cloned().collect();
    if others.is_empty() {
        return Ok(());
    }
    let mut by_address: BTreeMap<IpAddr, Vec<Key>> = BTreeMap::new();
    for (key, attached) in found.all.iter().filter(|(_, attached)| attached.host.is_none()) {
        for lease in &attached.leases {
            by_address.entry(lease.lease.ip).or_default().push(key.clone());
        }
    }
    for link in progress::each(("looked at", "links of others"), others) {
        let Some(inside) = inside(host, &link)? else { continue };
        let bridge = found.bridge(link.master).unwrap_or_default().to_owned();
        let keys = inside.addresses.iter().filter_map(|one| by_address.get(&one.ip())).flatten();
        let fits = |key: &&Key| key.ifname.is_empty() || key.ifname == inside.name;
        let mut keys: Vec<&Key> = keys.filter(fits).collect();
        // Two networks may give the same address, each on a bridge of its own.
        keys.sort_by_key(|key| {
            let network = networks.all.get(&key.network);
            network.and_then(|network| network.bridge_name()) != Some(bridge.as_str())
        });
        let known = networks.all.values().find(|one| one.bridge_name() == Some(bridge.as_str()));
        let key = match (keys.first(), known) {
            (Some(key), _) => (*key).clone(),
            // On a bridge of ours, without an address that is kept.
            (None, Some(network)) => Key {
                network: network.name.to_string(),
                other: link.name.clone(),
                ..Key::default()
            },
            (None, None) => continue,
        };
        let attached = found.all.entry(key).or_default();
        (attached.host, attached.inside) = (Some(link), Some(inside));
    }
    Ok(())
}

/// The other end of a pair; `None` when it has gone since, or the kernel can't tell.
pub(super) fn inside(host: &mut Netlink, link: &Link) -> Result<Option<Inside>> {
    let Some(peer) = host.find_peer(link)? else { return Ok(None) };
    let addresses = host.list_peer_addresses(link)?.into_iter().map(|found| found.address);
    Ok(Some(Inside {
        name: peer.name,
        mac: peer.mac,
        mtu: peer.mtu,
        addresses: addresses.filter(|address| !is_of_the_link(address)).collect(),
    }))
}

/// Whether it is an address that the kernel gave: `fe80::/10`.
fn is_of_the_link(address: &IpNetwork) -> bool {
    match address.ip() {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

impl Attached {
    /// The name of its end on this host.
    pub(crate) fn host_name(&self) -> Option<&str> {
        self.host.as_ref().map(|link| link.name.as_str())
    }
}
