//! What is there that an ADD or a CHECK depends on. Asks, and changes nothing.

use std::ffi::OsString;

use cni_common::error::Result;
use cni_common::names;
use cni_common::sys::Netlink;
use cni_common::sys::link::ShownLink;
use cni_common::types::Mac;
use cni_common::types::net::Link;
use ipnetwork::IpNetwork;

use crate::config::{BridgeConfig, Gateway};
use crate::plan::{FoundBridge, FoundVlanGateway, NewLinks, Observed};

/// Looks at the bridge, and at the interface that has the gateway addresses; at the bridge's ports only if it
/// has the address `recorded_mac`.
pub fn observe(
    host: &mut Netlink,
    config: &BridgeConfig,
    new_links: &NewLinks,
    recorded_mac: Option<Mac>,
) -> Result<Observed> {
    let bridge = host.find_link(config.bridge.as_str())?;
    let mut observed = Observed::default();
    if config.gateway >= Gateway::Gateway && config.ipam.is_some() {
        let gateway = match &new_links.vlan_gateway {
            None => bridge.clone(),
            Some(gateway) => host.find_link(&gateway.name)?,
        };
        if let Some(link) = &gateway {
            observed.gateway_addresses = addresses_of(host, link)?;
        }
        if let (Some(link), Some(_)) = (gateway, &new_links.vlan_gateway) {
            let unjoined_port = unjoined_port(host, &link)?;
            observed.vlan_gateway = Some(FoundVlanGateway { link, unjoined_port });
        }
    }
    observed.bridge = bridge.map(|link| found_bridge(link, config, recorded_mac));
    Ok(observed)
}

fn found_bridge(link: Link, config: &BridgeConfig, recorded_mac: Option<Mac>) -> FoundBridge {
    let mut found = FoundBridge { link, keeps_mac: false, has_only_own_ports: false };
    let asks_for_mac = config.bridge_is_gateway();
    let asks_for_ports = recorded_mac.is_some_and(|mac| found.is_recorded_as(mac));
    if (asks_for_mac || asks_for_ports)
        && let Some(shown) = found.link.shown()
    {
        // Set without need the kernel only forgets the neighbours that it knows there.
        found.keeps_mac = asks_for_mac && shown.is_mac_set().unwrap_or(false);
        found.has_only_own_ports = asks_for_ports && has_only_own_ports(&shown);
    }
    found
}

/// Whether every port of the bridge is called as this suite calls its own.
fn has_only_own_ports(bridge: &ShownLink) -> bool {
    let is_own = |name: &OsString| name.to_str().is_some_and(names::is_derived);
    bridge.port_names().is_some_and(|ports| ports.iter().all(is_own))
}

fn addresses_of(host: &mut Netlink, link: &Link) -> Result<Vec<IpNetwork>> {
    let addresses = host.list_addresses(link.index)?;
    Ok(addresses.iter().map(|address| address.address).collect())
}

/// The peer of the VLAN gateway interface, if it is no port.
fn unjoined_port(host: &mut Netlink, gateway: &Link) -> Result<Option<String>> {
    let Some(index) = gateway.peer else { return Ok(None) };
    let port = host.find_link_by_index(index)?;
    Ok(port.filter(|port| port.master.is_none()).map(|port| port.name))
}
