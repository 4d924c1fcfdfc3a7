//! From configuration and what the host has to operations: [`plan`] is asked once it is known what is
//! there, and says all that an ADD has to do. CHECK asks the same, and finds what is still to be done. Pure:
//! no file, socket or process is touched here.

mod addresses;
mod links;
mod refuse;
mod resolv_conf;
mod routes;

use cni_common::Result;
use cni_common::spec::CniResult;
use cni_common::types::net::Link;
use cni_common::types::{Mac, VlanId};
use ipnetwork::IpNetwork;

use crate::config::{BridgeConfig, Gateway};
use crate::operation::Operation;

pub use addresses::complete_result;
pub(crate) use refuse::IPV6_MIN_MTU;
pub use resolv_conf::ResolvConf;
pub use routes::link_routes;

/// The names and Ethernet addresses of the links that an ADD makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLinks {
    /// The pair.
    pub ends: Ends,
    /// The bridge's Ethernet address, if it has none.
    pub bridge_mac: Mac,
    /// The VLAN gateway interface, if the configuration has one.
    pub vlan_gateway: Option<VlanGateway>,
}

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
    /// Whether all its ports are known to be of this suite, where that was asked.
    pub has_only_own_ports: bool,
}

/// What is there that an ADD depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The link that has the bridge's name.
    pub bridge: Option<FoundBridge>,
    /// The link that has the VLAN gateway interface's name.
    pub vlan_gateway: Option<FoundVlanGateway>,
    /// The addresses of the interface that has the gateway addresses, if there is one.
    pub gateway_addresses: Vec<IpNetwork>,
}

/// The link that has the VLAN gateway interface's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundVlanGateway {
    /// The link.
    pub link: Link,
    /// Its peer, where an ADD was killed before that became a port.
    pub unjoined_port: Option<String>,
}

/// What is known of those who may remember an address of the result as another container's
/// (`docs/decisions/0028`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recorded {
    /// Not asked, as nothing is to be announced.
    #[default]
    Unasked,
    /// No pool says what was given before.
    Nothing,
    /// A pool keeps a record of it.
    By {
        /// The Ethernet address of a bridge that was made while the record ran.
        bridge_mac: Mac,
        /// Whether none of the addresses was given before since the record began.
        is_first_use: bool,
    },
}

/// All that a plan depends on.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The configuration.
    pub config: &'a BridgeConfig,
    /// What new links are called.
    pub new_links: &'a NewLinks,
    /// What is there.
    pub observed: &'a Observed,
    /// The result with its addresses; `None` as long as the IPAM plugin has not answered.
    pub result: Option<&'a CniResult>,
    /// The resolv.conf to be written, if any.
    pub resolv_conf: Option<&'a ResolvConf>,
    /// Who may remember the result's addresses.
    pub recorded: Recorded,
}

impl Situation<'_> {
    /// Whether somebody may remember one of the result's addresses as another container's.
    fn may_be_remembered(&self) -> bool {
        let Recorded::By { bridge_mac, is_first_use } = self.recorded else { return true };
        match &self.observed.bridge {
            // It is made by this ADD.
            None => false,
            Some(found) => {
                !(is_first_use && found.is_recorded_as(bridge_mac) && found.has_only_own_ports)
            }
        }
    }
}

impl FoundBridge {
    /// Whether it was made while the record ran that gave it this Ethernet address, and was of no other
    /// network since.
    pub(crate) fn is_recorded_as(&self, mac: Mac) -> bool {
        self.link.mac == Some(mac) && self.link.alias.is_empty()
    }
}

/// All that is to be done, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Makes the bridge what it must be.
    pub bridge: Vec<Operation>,
    /// Makes the pair and its port.
    pub pair: Vec<Operation>,
    /// Brings the container interface up.
    pub container_link: Vec<Operation>,
    /// What needs addresses; `None` as long as they are not known.
    pub network: Option<Network>,
}

/// What needs addresses, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Makes the VLAN gateway interface.
    pub vlan_gateway: Vec<Operation>,
    /// Gives the gateway its addresses.
    pub gateway: Vec<Operation>,
    /// Gives the container interface its addresses and routes.
    pub container: Vec<Operation>,
    /// Turns forwarding on.
    pub forwarding: Vec<Operation>,
    /// Announces the addresses.
    pub announcement: Vec<Operation>,
    /// Writes the resolv.conf.
    pub resolv_conf: Vec<Operation>,
}

/// Says what is to be done; fails where something that is there is in the way.
pub fn plan(situation: &Situation<'_>) -> Result<Plan> {
    let Situation { config, new_links, result, .. } = *situation;
    Ok(Plan {
        bridge: links::bridge(situation)?,
        pair: links::pair(config, &new_links.ends),
        container_link: match config.container_up {
            true => links::container_link(config, &new_links.ends),
            false => Vec::new(),
        },
        network: result.map(|result| network(situation, result)).transpose()?,
    })
}

fn network(situation: &Situation<'_>, result: &CniResult) -> Result<Network> {
    let Situation { config, new_links, observed, .. } = *situation;
    let mut network = Network::default();
    if config.gateway >= Gateway::Gateway {
        if !result.ips.is_empty() {
            network.vlan_gateway = vlan_gateway(situation);
        }
        let interface = match &new_links.vlan_gateway {
            Some(gateway) => &gateway.name,
            None => config.bridge.as_str(),
        };
        let found = &observed.gateway_addresses;
        network.gateway = addresses::gateway_addresses(config, result, interface, found)?;
        network.forwarding = addresses::forwarding(result);
    }
    if config.container_up {
        network.container = addresses::container(config, result, &new_links.ends)?;
    }
    if !result.ips.is_empty() && situation.may_be_remembered() {
        let Ends { container: name, container_mac: mac, .. } = new_links.ends.clone();
        network.announcement.push(Operation::Announce { name, mac });
    }
    if let Some(file) = situation.resolv_conf {
        network.resolv_conf.push(resolv_conf::resolv_conf(file, &result.dns)?);
    }
    Ok(network)
}

/// Makes the VLAN gateway interface, or finishes what an ADD that was killed began.
fn vlan_gateway(situation: &Situation<'_>) -> Vec<Operation> {
    let Situation { config, new_links, observed, .. } = *situation;
    let Some(gateway) = &new_links.vlan_gateway else { return Vec::new() };
    match &observed.vlan_gateway {
        None => links::vlan_gateway(config, gateway),
        Some(found) => found
            .unjoined_port
            .as_ref()
            .map_or_else(Vec::new, |port| links::vlan_gateway_port(config, port, gateway.vlan)),
    }
}
