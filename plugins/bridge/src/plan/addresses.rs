//! What has addresses: the gateway, the container interface, its routes, forwarding. Pure.

use cni_common::spec::{CniResult, Route};
use cni_common::types::net::DuplicateDetection;
use cni_common::types::{first_address, parse_cidr};
use cni_common::{Code, Error, Result};
use ipnetwork::IpNetwork;

use super::{Ends, link_routes, refuse};
use crate::config::{BridgeConfig, Gateway};
use crate::operation::{Operation, Place};

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
        let Some(everything) = parse_cidr(everything) else { continue };
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

/// Gives the link of this name, which has the addresses `found`, the gateway addresses of `result`.
pub(super) fn gateway_addresses(
    config: &BridgeConfig,
    result: &CniResult,
    link: &str,
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
                    format!("{link:?} already has an IP address different from {gateway}");
                return Err(Error::new(Code::Conflict, message)
                    .with_details(format!("it has {other}; \"forceAddress\": true replaces it")));
            }
            operations.push(Operation::RemoveAddress { link: link.to_owned(), address: *other });
        }
        operations.push(Operation::AddAddress {
            place: Place::Host,
            link: link.to_owned(),
            address: *gateway,
            detection: DuplicateDetection::Skipped,
        });
    }
    let added = wanted.iter().copied().filter(|gateway| !found.contains(gateway));
    operations.extend(await_addresses(Place::Host, link, added));
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

/// Gives the container interface, which is up, its addresses and routes.
pub(super) fn container(
    config: &BridgeConfig,
    result: &CniResult,
    ends: &Ends,
) -> Result<Vec<Operation>> {
    let name = &ends.container;
    let host = &ends.host;
    let mut operations = vec![Operation::AwaitPort { name: host.clone() }];
    if config.ipam_only_allocates() {
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
    Operation::Sysctl { place: Place::Container, name, value }
}

/// Turns forwarding on for each family of the addresses.
pub(super) fn forwarding(result: &CniResult) -> Vec<Operation> {
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
