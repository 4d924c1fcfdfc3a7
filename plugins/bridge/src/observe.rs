//! What is there that an ADD or a CHECK depends on. Asks, and changes nothing.

use std::ffi::OsString;

use cni_common::error::Result;
use cni_common::names;
use cni_common::sys::Netlink;
use cni_common::types::net::Link;
use ipnetwork::IpNetwork;

use crate::config::{BridgeConfig, Gateway};
use crate::plan::{FoundBridge, FoundVlanGateway, NewLinks, Observed};

/// Looks at the bridge, and at the interface that has the gateway addresses.
pub fn observe(
    host: &mut Netlink,
    config: &BridgeConfig,
    new_links: &NewLinks,
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
    observed.bridge = bridge.map(|link| {
        // Set without need the kernel only forgets the neighbours that it knows there.
        let keeps_mac = config.bridge_is_gateway() && link.is_mac_set().unwrap_or(false);
        FoundBridge { link, keeps_mac }
    });
    Ok(observed)
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

/// Whether every port of the bridge is called as this suite calls its own; not where that can't be seen.
pub(crate) fn has_no_other_ports(bridge: &Link) -> bool {
    let is_own = |name: &OsString| name.to_str().is_some_and(names::is_derived);
    bridge.port_names().is_some_and(|ports| ports.iter().all(is_own))
}
