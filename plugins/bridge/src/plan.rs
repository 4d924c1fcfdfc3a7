//! From configuration and what the host has to a list of operations. Pure: no file, socket or
//! process is touched here.
//!
//! [`link_layer`] and [`container_link`] need no addresses and can be done while the IPAM plugin
//! still runs; [`container`] is done with its result.

mod refuse;
mod routes;

use std::path::PathBuf;

use cni_common::spec::{CniResult, Dns, Route};
use cni_common::types::net::{DuplicateDetection, Link, PortFlags};
use cni_common::types::{Mac, VlanId, first_address};
use cni_common::{Code, Error, Result};
use ipnetwork::IpNetwork;

use crate::config::{BridgeConfig, Gateway};
use crate::operation::{HostLinkChange, Operation, Place, VlanAction};

pub(crate) use refuse::{IPV6_MIN_MTU, mixed_families};
pub use routes::link_routes;

/// The names and addresses that an attachment's links get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The host interface's name.
    pub host: String,
    /// The host interface's Ethernet address.
    pub host_mac: Mac,
    /// The container interface's name.
    pub container: String,
    /// The container interface's Ethernet address.
    pub container_mac: Mac,
    /// What the host interface says while the ADD runs.
    pub unfinished_alias: String,
}

/// The VLAN gateway interface: a pair whose one end is a port of the bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VlanGateway {
    /// The interface that gets the gateway addresses.
    pub name: String,
    /// Its Ethernet address, if it is to be made.
    pub mac: Mac,
    /// Its port on the bridge.
    pub port: String,
    /// The port's Ethernet address.
    pub port_mac: Mac,
    /// Its VLAN.
    pub vlan: VlanId,
}

/// The link that has the bridge's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundBridge {
    /// The link.
    pub link: Link,
    /// Whether it is known to keep its Ethernet address whatever its ports.
    pub keeps_mac: bool,
}

/// Makes the bridge what it must be. `new_mac` is its address if it has none.
///
/// The gateway of containers that know its address keeps it. It is set before the new port joins,
/// which might change it.
pub fn bridge(
    config: &BridgeConfig,
    found: Option<&FoundBridge>,
    new_mac: Mac,
) -> Result<Vec<Operation>> {
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
    operations.push(sysctl(Place::Host, format!("ipv6/conf/{name}/accept_ra"), "0"));
    Ok(operations)
}

/// Makes the pair and its port.
///
/// The port is locked until the container has its addresses: what the kernel by itself says on a
/// link that comes up (three or four multicast frames) would go out of every port of the bridge
/// while the ADD waits, and be said again anyway.
pub fn link_layer(config: &BridgeConfig, ends: &Ends) -> Vec<Operation> {
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
            flags: PortFlags { locked: config.ipam_only_gives_addresses(), ..config.port },
        },
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

/// Makes the VLAN gateway interface.
pub fn vlan_gateway(config: &BridgeConfig, gateway: &VlanGateway) -> Vec<Operation> {
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
pub fn vlan_gateway_port(config: &BridgeConfig, port: &str, vlan: VlanId) -> Vec<Operation> {
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

/// Completes an IPAM result: gateways, the default route, and whose the addresses are; refuses what
/// can't work.
///
/// `interface` is the container interface's index in the result.
pub fn complete_result(
    config: &BridgeConfig,
    result: &mut CniResult,
    interface: i64,
) -> Result<()> {
    for ip in &mut result.ips {
        ip.interface = Some(interface);
        if ip.gateway.is_none() && config.gateway >= Gateway::Gateway {
            ip.gateway = first_address(&ip.address);
        }
    }
    if config.gateway < Gateway::Default {
        return refuse::unusable(config, result);
    }
    for everything in ["0.0.0.0/0", "::/0"] {
        let Some(everything) = cni_common::types::parse_cidr(everything) else { continue };
        let is_ipv4 = everything.is_ipv4();
        let has_one =
            result.routes.iter().any(|route| route.is_default() && route.dst.is_ipv4() == is_ipv4);
        let of_family = result.ips.iter().find(|ip| ip.address.is_ipv4() == is_ipv4);
        if let (false, Some(ip)) = (has_one, of_family) {
            result.routes.push(Route::new(everything, ip.gateway));
        }
    }
    refuse::unusable(config, result)
}

/// Gives `link`, which has the addresses `found`, the gateway addresses of `result`.
pub fn gateway_addresses(
    config: &BridgeConfig,
    result: &CniResult,
    link: &Link,
    found: &[IpNetwork],
) -> Result<Vec<Operation>> {
    let mut wanted: Vec<IpNetwork> = Vec::new();
    for ip in &result.ips {
        let gateway =
            ip.gateway.and_then(|gateway| IpNetwork::new(gateway, ip.address.prefix()).ok());
        wanted.extend(gateway.filter(|gateway| !wanted.contains(gateway)));
    }
    let mut operations = Vec::new();
    for gateway in wanted.iter().filter(|gateway| !found.contains(gateway)) {
        for other in found.iter().filter(|other| !wanted.contains(other)) {
            let is_removed = operations.iter().any(|operation| {
                matches!(operation, Operation::RemoveAddress { address, .. } if address == other)
            });
            if !is_in_the_way(other, gateway) || is_removed {
                continue;
            }
            if !config.force_address {
                let message =
                    format!("{:?} already has an IP address different from {gateway}", link.name);
                return Err(Error::new(Code::Conflict, message)
                    .with_details(format!("it has {other}; \"forceAddress\": true replaces it")));
            }
            operations.push(Operation::RemoveAddress { link: link.name.clone(), address: *other });
        }
        operations.push(Operation::AddAddress {
            place: Place::Host,
            link: link.name.clone(),
            address: *gateway,
            detection: DuplicateDetection::Skipped,
        });
    }
    let added = wanted.iter().copied().filter(|gateway| !found.contains(gateway));
    operations.extend(await_addresses(Place::Host, &link.name, added));
    Ok(operations)
}

/// An IPv4 address beside any other of its family, an IPv6 one beside one of an overlapping subnet.
fn is_in_the_way(other: &IpNetwork, gateway: &IpNetwork) -> bool {
    match (other, gateway) {
        (IpNetwork::V4(_), IpNetwork::V4(_)) => true,
        (IpNetwork::V6(a), IpNetwork::V6(b)) => a.contains(b.ip()) || b.contains(a.ip()),
        _ => false,
    }
}

/// Brings the container interface up, before it has any address: what then takes the kernel a
/// while, until the port passes traffic, goes on beside the IPAM plugin.
pub fn container_link(config: &BridgeConfig, ends: &Ends) -> Vec<Operation> {
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

/// Gives the container interface, which is up, its addresses and routes.
pub fn container(config: &BridgeConfig, result: &CniResult, ends: &Ends) -> Result<Vec<Operation>> {
    let name = &ends.container;
    let host = &ends.host;
    let mut operations = vec![Operation::AwaitPort { name: host.clone() }];
    if config.ipam_only_gives_addresses() {
        operations.push(Operation::UnlockPort { name: host.clone() });
    }
    if result.ips.iter().any(|ip| ip.address.is_ipv6()) {
        operations.extend(ipv6_sysctls(name));
    }
    for ip in &result.ips {
        operations.push(Operation::AddAddress {
            place: Place::Container,
            link: name.clone(),
            address: ip.address,
            detection: config.detection,
        });
    }
    for route in link_routes(result)? {
        operations.push(Operation::AddRoute { link: name.clone(), route });
    }
    let addresses = result.ips.iter().map(|ip| ip.address);
    operations.extend(await_addresses(Place::Container, name, addresses));
    Ok(operations)
}

/// What an IPv6 address needs.
fn ipv6_sysctls(name: &str) -> [Operation; 4] {
    [
        container_sysctl("ipv6/conf/lo/disable_ipv6".to_owned(), "0"),
        container_sysctl(format!("ipv6/conf/{name}/disable_ipv6"), "0"),
        container_sysctl(format!("ipv6/conf/{name}/keep_addr_on_down"), "1"),
        container_sysctl(format!("ipv6/conf/{name}/ndisc_notify"), "1"),
    ]
}

fn container_sysctl(name: String, value: &'static str) -> Operation {
    sysctl(Place::Container, name, value)
}

/// Turns forwarding on for each family of the addresses.
pub fn forwarding(result: &CniResult) -> Vec<Operation> {
    let has = |is_ipv4: bool| result.ips.iter().any(|ip| ip.address.is_ipv4() == is_ipv4);
    let mut operations = Vec::new();
    if has(true) {
        operations.push(Operation::EnableForwarding { name: "ipv4/ip_forward" });
    }
    if has(false) {
        operations.push(Operation::EnableForwarding { name: "ipv6/conf/all/forwarding" });
    }
    operations
}

/// Writes the resolv.conf that `ip netns exec` puts before the container's eyes; `marker` is its
/// first line. `paths` are where it will be and where it is until it is whole.
pub fn resolv_conf(paths: (PathBuf, PathBuf), marker: &str, dns: &Dns) -> Result<Operation> {
    let mut words = dns.nameservers.iter().chain(&dns.search).chain(&dns.options);
    let breaks = |word: &&String| word.contains(char::is_control);
    if let Some(word) = words.find(breaks).or(Some(&dns.domain).filter(breaks)) {
        let message = format!("dns: {word:?} holds a line break or another control character");
        return Err(
            Error::new(Code::InvalidConfig, message).with_details("\"netnsResolvConf\": true")
        );
    }
    let mut lines = vec![marker.to_owned()];
    if !dns.domain.is_empty() {
        lines.push(format!("domain {}", dns.domain));
    }
    if !dns.search.is_empty() {
        lines.push(format!("search {}", dns.search.join(" ")));
    }
    lines.extend(dns.nameservers.iter().map(|server| format!("nameserver {server}")));
    if !dns.options.is_empty() {
        lines.push(format!("options {}", dns.options.join(" ")));
    }
    lines.push(String::new());
    let (path, unfinished) = paths;
    Ok(Operation::WriteResolvConf { path, unfinished, text: lines.join("\n") })
}

/// Waits for the IPv6 ones of `addresses`; IPv4 addresses are usable at once.
fn await_addresses(
    place: Place,
    link: &str,
    addresses: impl Iterator<Item = IpNetwork>,
) -> Option<Operation> {
    let addresses: Vec<IpNetwork> = addresses.filter(IpNetwork::is_ipv6).collect();
    let name = link.to_owned();
    (!addresses.is_empty()).then_some(Operation::AwaitAddresses { place, name, addresses })
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
