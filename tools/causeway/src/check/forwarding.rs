//! Chains of others that drop what containers send beyond their bridge.
//!
//! A chain is followed as the first packet of a container's connection would go through it. Where rules look at
//! more than is known of that packet, it is said that it can't be told.

use std::net::IpAddr;

use cni_common::Result;
use cni_common::nft::{Family, FoundChain, Hook, Packet, Passage, Place, Via};
use cni_common::packet_filter::table::INET;
use cni_common::sys::Netlink;
use cni_common::sys::nft::Nft;
use cni_common::types::net::Link;

use super::host::used_bridges;
use super::{Finding, Seen};
use crate::networks::Network;

/// Who is outside for everybody, to ask for the way to it: TEST-NET-2, and the documentation prefix.
const OUTSIDE: [&str; 2] = ["198.51.100.1", "2001:db8::1"];

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    /// Chains that are sure to drop it.
    pub(super) dropping: Vec<Finding>,
    /// Chains of which that can't be told.
    pub(super) unknown: Vec<Finding>,
}

/// Looks at every chain that forwarded packets go through.
pub(super) fn look(seen: &Seen) -> Result<Found> {
    let mut found = Found::default();
    let (mut host, mut nft) = (Netlink::open()?, Nft::open()?);
    let mut packets = Vec::new();
    for (network, bridge) in used_bridges(seen).filter(|(network, _)| is_gateway(network)) {
        packets.extend(packets_of(seen, &mut host, (network, bridge))?);
    }
    if packets.is_empty() {
        return Ok(found);
    }
    let chains = nft.list_chains()?;
    for chain in chains.iter().filter(|chain| is_forwarding(chain) && !chain.table.is(INET)) {
        let same_table = chains.iter().filter(|other| other.table == chain.table);
        let mut rules = Vec::new();
        for other in same_table {
            rules.extend(nft.list_rules_of(other)?);
        }
        for (network, packet) in &packets {
            if !is_seen(chain, packet) {
                continue;
            }
            match packet.passage(chain, &rules) {
                Passage::Passes => {}
                // What opens it is looked at by the plugin's CHECK.
                _ if is_iptables(chain) && has_firewall(network) => {}
                Passage::Dropped(place) => {
                    found.dropping.push(dropped(network, packet, (chain, &place)));
                }
                Passage::Unknown(place) => {
                    found.unknown.push(unknown(network, packet, (chain, &place)));
                }
            }
        }
    }
    Ok(found)
}

/// The first packet that a container of the network sends to the outside, for each IP version.
fn packets_of<'a>(
    seen: &Seen,
    host: &mut Netlink,
    (network, bridge): (&'a Network, &Link),
) -> Result<Vec<(&'a Network, Packet)>> {
    let mut packets = Vec::new();
    for outside in OUTSIDE.iter().filter_map(|text| text.parse::<IpAddr>().ok()) {
        let attached = seen.attachments.of(network.name.as_str()).map(|(_, attached)| attached);
        let addresses = attached.filter(|one| one.host.is_some()).flat_map(|one| one.addresses());
        let mut sources = addresses.map(|one| one.ip());
        let Some(source) = sources.find(|ip| ip.is_ipv4() == outside.is_ipv4()) else { continue };
        let output = host.find_outgoing_link(outside)?;
        let output = match output {
            Some(index) => host.find_link_by_index(index)?,
            None => None,
        };
        // No way at all is one through lo for IPv6.
        let output = output.filter(|link| link.name != "lo");
        let via = |link: &Link| Via { name: link.name.clone(), index: link.index };
        let packet = Packet { input: via(bridge), output: output.as_ref().map(via), source };
        packets.push((network, packet));
    }
    Ok(packets)
}

fn is_gateway(network: &Network) -> bool {
    let config = network.bridge.as_ref();
    config.is_some_and(|config| config.gateway >= causeway_bridge::config::Gateway::Gateway)
}

fn has_firewall(network: &Network) -> bool {
    network.list.as_ref().is_some_and(|(_, list)| list.find("firewall").is_some())
}

/// Whether it is the chain `FORWARD` of iptables.
fn is_iptables(chain: &FoundChain) -> bool {
    chain.table.family != Family::Inet
        && (&*chain.table.name, &*chain.name) == ("filter", "FORWARD")
}

fn is_forwarding(chain: &FoundChain) -> bool {
    let is_hook = |hook: &cni_common::nft::FoundHook| {
        hook.number == Hook::Forward.number() && hook.kind == "filter"
    };
    chain.hook.as_ref().is_some_and(is_hook)
}

/// Whether the packet goes through chains of this family.
fn is_seen(chain: &FoundChain, packet: &Packet) -> bool {
    match chain.table.family {
        Family::Inet => true,
        Family::Ip => packet.source.is_ipv4(),
        Family::Ip6 => packet.source.is_ipv6(),
        Family::Bridge | Family::Arp | Family::Netdev => false,
    }
}

/// `its policy`, `its rule of handle 4`, `the rule of handle 4 in chain closed`.
fn what(chain: &FoundChain, place: &Place) -> String {
    match place.rule {
        None => "its policy".to_owned(),
        Some(handle) if place.chain == chain.name => format!("its rule of handle {handle}"),
        Some(handle) => format!("the rule of handle {handle} in chain {}", place.chain),
    }
}

fn dropped(network: &Network, packet: &Packet, (chain, place): (&FoundChain, &Place)) -> Finding {
    Finding {
        kind: "forwarding-dropped",
        network: network.name.to_string(),
        subject: subject(chain),
        fault: format!(
            "{} drops what {} sends through {}",
            what(chain, place),
            packet.source,
            packet.input.name
        )
        .into(),
        means: "containers reach nobody beyond their bridge, whatever other chains accept",
        mend: accepting(chain, packet),
    }
}

fn unknown(network: &Network, packet: &Packet, (chain, place): (&FoundChain, &Place)) -> Finding {
    let family = chain.table.family;
    Finding {
        kind: "forwarding-unknown",
        network: network.name.to_string(),
        subject: subject(chain),
        fault: format!(
            "{} drops what {} sends through {}, unless a rule before it accepts that",
            what(chain, place),
            packet.source,
            packet.input.name
        )
        .into(),
        means: "whether one does can't be told from here",
        mend: format!("nft list table {family} {}", chain.table.name),
    }
}

fn subject(chain: &FoundChain) -> String {
    format!("table {}, chain {}", chain.table, chain.name)
}

/// A command that lets the bridge's traffic through before any other rule of the chain: what containers begin,
/// its answers, and what is published.
fn accepting(chain: &FoundChain, packet: &Packet) -> String {
    let bridge = &packet.input.name;
    if chain.table.name == "firewalld" {
        return format!("firewall-cmd --zone=trusted --add-interface={bridge}");
    }
    if is_iptables(chain) {
        let program = if packet.source.is_ipv4() { "iptables" } else { "ip6tables" };
        return format!(
            "{program} -I FORWARD -i {bridge} -j ACCEPT && {program} -I FORWARD -o {bridge} \
             -m conntrack --ctstate ESTABLISHED,RELATED,DNAT -j ACCEPT"
        );
    }
    let (table, chain) = (&chain.table, &chain.name);
    format!(
        "nft 'insert rule {table} {chain} iifname \"{bridge}\" accept; insert rule {table} {chain} oifname \
         \"{bridge}\" ct state established,related accept; insert rule {table} {chain} oifname \
         \"{bridge}\" ct status dnat accept'"
    )
}
