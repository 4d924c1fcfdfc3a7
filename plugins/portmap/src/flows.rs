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
    forget_sent_to_any([(config, versions)]);
}

/// The same for the ports of many.
pub fn forget_sent_to_any<'a, V: IntoIterator<Item = IpVersion>>(
    all: impl IntoIterator<Item = (&'a Config, V)>,
) {
    let is_udp = |mapping: &&Mapping| mapping.protocol == Protocol::Udp;
    let mut mapped = Vec::new();
    for (config, versions) in all {
        for version in versions {
            let of_version = config.mappings.iter().filter(|mapping| mapping.host.has(version));
            mapped.extend(of_version.filter(is_udp).map(|mapping| (version, mapping)));
        }
    }
    if mapped.is_empty() {
        return;
    }
    let local = Netlink::open().and_then(|mut host| host.list_all_addresses());
    let local = local.unwrap_or_else(|error| {
        log::debug(|| format!("the host's addresses: {error}"));
        Vec::new()
    });
    let mut flows = Vec::new();
    for (version, mapping) in mapped {
        let of_version = local.iter().copied().filter(|ip| version_of(*ip) == version);
        let at: Vec<IpAddr> = match mapping.host.one() {
            Some(ip) => vec![ip],
            None => of_version.collect(),
        };
        let sent = |ip| UdpFlows::SentTo(family(version), Some(ip), mapping.host_port);
        flows.extend(at.into_iter().map(sent));
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
