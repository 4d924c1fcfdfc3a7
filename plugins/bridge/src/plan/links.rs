//! Links: the bridge, the pair, the VLAN gateway interface. None of it needs an address. Pure.

use cni_common::names;
use cni_common::types::VlanId;
use cni_common::types::net::{DuplicateDetection, Link, PortFlags};
use cni_common::{Code, Error, Result};

use super::{Ends, Recorded, Situation, VlanGateway};
use crate::config::BridgeConfig;
use crate::operation::{HostLinkChange, Operation, Place, VlanAction};

/// Makes the bridge what it must be.
///
/// The gateway of containers that know its address keeps it. It is set before the new port joins,
/// which might change it.
pub(super) fn bridge(situation: &Situation<'_>) -> Result<Vec<Operation>> {
    let Situation { config, new_links, observed, recorded, .. } = *situation;
    let new_mac = match recorded {
        Recorded::By { bridge_mac, .. } => bridge_mac,
        Recorded::Unasked | Recorded::Nothing => new_links.bridge_mac,
    };
    let found = observed.bridge.as_ref();
    let name = config.bridge.to_string();
    let mut operations = Vec::new();
    if let Some(found) = found.filter(|found| !found.keeps_mac && config.bridge_is_gateway()) {
        let mac = found.link.mac.filter(|mac| mac.is_assignable()).unwrap_or(new_mac);
        operations.push(host_link(&name, HostLinkChange::KeepMac(mac)));
    }
    let found = found.map(|found| &found.link);
    match found {
        None => operations.push(Operation::CreateBridge {
            name: name.clone(),
            mac: new_mac,
            mtu: config.mtu,
            vlan_filtering: config.vlans.any(),
        }),
        Some(link) if !link.is_bridge() => {
            let kind = if link.kind.is_empty() { "a physical link" } else { &link.kind };
            let message = format!("{name:?} already exists but is not a bridge");
            return Err(Error::new(Code::Conflict, message).with_details(format!("it is {kind}")));
        }
        Some(link) if !link.is_up => operations.push(host_link(&name, HostLinkChange::Up)),
        Some(_) => {}
    }
    if config.promiscuous && found.is_none_or(|link| !link.is_promiscuous) {
        operations.push(host_link(&name, HostLinkChange::Promiscuous));
    }
    if found.is_some_and(|link| gets_what_is_not_recorded(link, recorded)) {
        operations.push(host_link(&name, HostLinkChange::AllAnnounced));
    }
    operations.push(sysctl(Place::Host, format!("ipv6/conf/{name}/accept_ra"), "0"));
    Ok(operations)
}

/// Whether a bridge that one pool's record holds for gets a container whose addresses are not in that record.
fn gets_what_is_not_recorded(bridge: &Link, recorded: Recorded) -> bool {
    let Some(mac) = bridge.mac.filter(|mac| names::is_recorded_bridge(*mac)) else { return false };
    bridge.alias.is_empty()
        && match recorded {
            Recorded::Unasked => false,
            Recorded::Nothing => true,
            Recorded::By { bridge_mac, .. } => mac != bridge_mac,
        }
}

/// Makes the pair and its port.
///
/// The port is locked until the container has its addresses: what the kernel by itself says on a
/// link that comes up (three or four multicast frames) would go out of every port of the bridge
/// while the ADD waits, and be said again anyway. It has no IPv6 of its own (decision 48).
pub(super) fn pair(config: &BridgeConfig, ends: &Ends) -> Vec<Operation> {
    let mut operations = vec![
        Operation::CreatePair {
            host: (ends.host.clone(), ends.host_mac),
            peer: (ends.container.clone(), ends.container_mac),
            bridge: config.bridge.to_string(),
            mtu: config.mtu,
        },
        Operation::MarkPort {
            name: ends.host.clone(),
            alias: ends.unfinished_alias.clone(),
            flags: PortFlags { locked: config.ipam_only_allocates(), ..config.port },
        },
        sysctl(Place::Host, format!("ipv6/conf/{}/disable_ipv6", ends.host), "1"),
        sysctl(Place::Host, format!("ipv6/conf/{}/accept_ra", ends.host), "0"),
    ];
    if config.vlans.any() && !config.vlans.preserve_default {
        operations.push(without_vlans(&ends.host));
    }
    if let Some(vlan) = config.vlans.untagged() {
        operations.push(port_vlans(&ends.host, vlan, vlan, VlanAction::AddAccess));
    }
    for trunk in &config.vlans.trunk {
        operations.push(port_vlans(&ends.host, trunk.first, trunk.last, VlanAction::AddTagged));
    }
    operations
}

/// Brings the container interface up, before it has any address: what then takes the kernel a
/// while, until the port passes traffic, goes on beside the IPAM plugin.
pub(super) fn container_link(config: &BridgeConfig, ends: &Ends) -> Vec<Operation> {
    let name = &ends.container;
    let mut operations = Vec::new();
    if config.ipam.is_some() {
        operations.extend([
            container_sysctl(format!("ipv4/conf/{name}/arp_notify"), "1"),
            // No address and no route but the IPAM's, whoever advertises on the bridge.
            container_sysctl(format!("ipv6/conf/{name}/accept_ra"), "0"),
            container_sysctl(format!("ipv6/conf/{name}/autoconf"), "0"),
        ]);
        if config.detection == DuplicateDetection::Skipped {
            operations.push(container_sysctl(format!("ipv6/conf/{name}/accept_dad"), "0"));
        }
    }
    operations.push(Operation::ContainerUp { name: name.clone() });
    operations
}

/// Makes the VLAN gateway interface.
pub(super) fn vlan_gateway(config: &BridgeConfig, gateway: &VlanGateway) -> Vec<Operation> {
    let mut operations = vec![Operation::CreateVlanGateway {
        gateway: (gateway.name.clone(), gateway.mac),
        port: (gateway.port.clone(), gateway.port_mac),
        mtu: config.mtu,
    }];
    operations.extend(vlan_gateway_port(config, &gateway.port, gateway.vlan));
    let accept_ra = format!("ipv6/conf/{}/accept_ra", gateway.name);
    operations.push(sysctl(Place::Host, accept_ra, "0"));
    operations
}

/// Makes `port` a port of the bridge, in `vlan`.
pub(super) fn vlan_gateway_port(config: &BridgeConfig, port: &str, vlan: VlanId) -> Vec<Operation> {
    let bridge = config.bridge.to_string();
    let mut operations = vec![
        Operation::JoinBridge { port: port.to_owned(), bridge },
        Operation::MarkPort {
            name: port.to_owned(),
            alias: format!("VLAN {vlan} gateway of {}", config.bridge),
            flags: PortFlags::default(),
        },
    ];
    if !config.vlans.preserve_default {
        operations.push(without_vlans(port));
    }
    operations.push(port_vlans(port, vlan, vlan, VlanAction::AddAccess));
    operations
}

fn container_sysctl(name: String, value: &'static str) -> Operation {
    sysctl(Place::Container, name, value)
}

fn host_link(name: &str, change: HostLinkChange) -> Operation {
    Operation::SetHostLink { name: name.to_owned(), change }
}

fn sysctl(place: Place, name: String, value: &'static str) -> Operation {
    Operation::Sysctl { place, name, value }
}

/// Takes all VLANs from a new port: which it came with is the bridge's to say (`vlan_default_pvid`).
fn without_vlans(port: &str) -> Operation {
    port_vlans(port, VlanId::MIN, VlanId::MAX, VlanAction::Remove)
}

fn port_vlans(name: &str, first: VlanId, last: VlanId, action: VlanAction) -> Operation {
    Operation::PortVlans { name: name.to_owned(), first, last, action }
}
