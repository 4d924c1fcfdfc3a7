//! What the packet filter has for attachments, and the ports that it publishes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use causeway_bridge::filter::{Subject, masquerade, spoofcheck};
use causeway_portmap::plan as portmap;
use cni_common::nft::Value;
use cni_common::packet_filter::table::INET;
use cni_common::packet_filter::{Registry, owner};
use cni_common::sys::nft::Nft;
use cni_common::types::Attachment;
use cni_common::{Result, names};

use super::Attachments;
use super::value::{Key, Published};

/// A kind of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Rules {
    /// Those of `ipMasq`.
    Masquerading,
    /// Those of `macspoofchk`.
    MacCheck,
    /// Those of `portmap`.
    Ports,
    /// Those of `firewall`.
    Firewall,
    /// The limits of `bandwidth`, which are not in the packet filter: of them only what is missing is told.
    Limits,
}

impl Rules {
    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Masquerading => "ipMasq",
            Self::MacCheck => "macspoofchk",
            Self::Ports => "portmap",
            Self::Firewall => "firewall",
            Self::Limits => "bandwidth",
        }
    }
}

/// Whether there are rules of this kind for the attachment, asked for it alone.
pub(super) fn is_there(nft: &mut Nft, rules: Rules, attachment: &Attachment) -> Result<bool> {
    let port = names::host_interface(attachment);
    let subject = Subject { attachment, port: &port };
    let has = |nft: &mut Nft, registry: Registry| Ok(registry.key(&port).find(nft)?.is_some());
    match rules {
        Rules::Masquerading => masquerade::is_registered(nft, &subject),
        Rules::MacCheck => spoofcheck::is_registered(nft, &subject),
        Rules::Ports => has(nft, portmap::attachments()),
        Rules::Firewall => has(nft, causeway_firewall::plan::attachments()),
        Rules::Limits => Ok(false),
    }
}

/// Adds which rules there are for whom. A comment in which a name was cut is found by the attachments
/// that are known.
pub(super) fn read(found: &mut Attachments, nft: &mut Nft) -> Result<()> {
    let mut owners: Vec<(Rules, String)> = Vec::new();
    let mut note =
        |rules, comments: Vec<String>| owners.extend(comments.into_iter().map(|one| (rules, one)));
    note(Rules::Masquerading, masquerade::list_owners(nft)?);
    note(Rules::MacCheck, spoofcheck::list_owners(nft)?);
    note(Rules::Ports, portmap::attachments().list_owners(nft)?);
    note(Rules::Firewall, causeway_firewall::plan::attachments().list_owners(nft)?);
    if owners.is_empty() {
        return Ok(());
    }
    let known: BTreeMap<String, Key> = found
        .all
        .keys()
        .filter_map(|key| Some((owner::comment(&key.attachment()?), key.clone())))
        .collect();
    let key = |comment: &str| {
        let told = || owner::parse_comment(comment).as_ref().map(Key::of);
        known.get(comment).cloned().or_else(told)
    };
    for (rules, comment) in owners {
        if let Some(key) = key(&comment) {
            found.all.entry(key).or_default().rules.insert(rules);
        }
    }
    for (comment, port) in published(nft)? {
        if let Some(key) = key(&comment) {
            found.all.entry(key).or_default().ports.push(port);
        }
    }
    found.all.values_mut().for_each(|attached| attached.ports.sort());
    Ok(())
}

/// Every port that leads to a container, with the comment that says to which.
fn published(nft: &mut Nft) -> Result<Vec<(String, Published)>> {
    let mut all = Vec::new();
    for map in portmap::maps() {
        for element in nft.list_elements(INET, &map)? {
            let port = port(&element.key, &element.data);
            all.extend(port.map(|port| (element.comment, port)));
        }
    }
    Ok(all)
}

fn port(key: &[Value], data: &[Value]) -> Option<Published> {
    let (host_ip, protocol, host_port): (Option<IpAddr>, u8, u16) = match key {
        [Value::Protocol(protocol), Value::Port(port)] => (None, *protocol, *port),
        [Value::Ip(ip), Value::Protocol(protocol), Value::Port(port)] => {
            (Some(*ip), *protocol, *port)
        }
        _ => return None,
    };
    let [Value::Ip(container_ip), Value::Port(container_port)] = data else { return None };
    let protocol = match protocol {
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        132 => "sctp".to_owned(),
        number => number.to_string(),
    };
    let (container_ip, container_port) = (*container_ip, *container_port);
    Some(Published { host_ip, host_port, protocol, container_ip, container_port })
}
