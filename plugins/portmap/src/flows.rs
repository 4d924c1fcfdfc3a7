//! The UDP flows that keep leading where they led before. Forgetting them is worth a try: a failure is
//! logged and nothing more.

use std::net::IpAddr;

use cni_common::log;
use cni_common::nft::{Element, IpVersion, Value};
use cni_common::sys::Netlink;
use cni_common::sys::conntrack::{Family, UdpFlows, forget_udp};

use crate::config::Config;
use crate::mapping::{Mapping, Protocol, version_of};

/// Forgets the flows to these ports, at the addresses that they are mapped at and no
/// other: what is sent elsewhere through this host is none of them.
pub fn forget_sent_to(config: &Config, versions: impl IntoIterator<Item = IpVersion>) {
    let udp = |mapping: &&Mapping| mapping.protocol == Protocol::Udp;
    let mapped: Vec<_> = config.mappings.iter().filter(udp).collect();
    if mapped.is_empty() {
        return;
    }
    let local = Netlink::open().and_then(|mut host| host.list_all_addresses());
    let local = local.unwrap_or_else(|error| {
        log::debug(|| format!("the host's addresses: {error}"));
        Vec::new()
    });
    let mut flows = Vec::new();
    for version in versions {
        for mapping in mapped.iter().filter(|mapping| mapping.host.has(version)) {
            let of_version = local.iter().copied().filter(|ip| version_of(*ip) == version);
            let at: Vec<IpAddr> = match mapping.host.one() {
                Some(ip) => vec![ip],
                None => of_version.collect(),
            };
            let sent = |ip| UdpFlows::SentTo(family(version), Some(ip), mapping.host_port);
            flows.extend(at.into_iter().map(sent));
        }
    }
    forget(&flows);
}

/// Forgets the flows that the containers of these elements answer.
pub fn forget_removed(elements: &[Element]) {
    let is_udp = |value: &Value| *value == Value::Protocol(Protocol::Udp.number());
    let answered = elements.iter().filter(|element| element.key.iter().any(is_udp));
    let flows: Vec<_> = answered
        .filter_map(|element| match element.data.as_slice() {
            [Value::Ip(ip), Value::Port(port)] => Some(UdpFlows::AnsweredFrom(*ip, *port)),
            _ => None,
        })
        .collect();
    forget(&flows);
}

fn forget(flows: &[UdpFlows]) {
    if flows.is_empty() {
        return;
    }
    match forget_udp(flows) {
        Ok(0) => {}
        Ok(count) => log::debug(|| format!("forgot {count} UDP flows")),
        Err(error) => log::debug(|| format!("forget UDP flows: {error}")),
    }
}

fn family(version: IpVersion) -> Family {
    match version {
        IpVersion::V4 => Family::Ipv4,
        IpVersion::V6 => Family::Ipv6,
    }
}
