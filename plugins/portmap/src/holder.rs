//! Whose chains iptables' table holds, and who takes the packets of a port first. Pure.

use std::collections::HashMap;
use std::net::IpAddr;

use cni_common::names;
use cni_common::packet_filter::iptables_text::{self, escaped, line_comment, option};
use cni_common::spec::ValidAttachments;
use cni_common::types::{Attachment, NetworkName};

use crate::mapping::{HostAddress, Mapping};
use crate::text::{self, COMMENT, DNAT, Owner, Wanted};

/// A container's chain that packets are led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The chain.
    pub chain: String,
    /// The comment of the jump to it.
    pub comment: String,
    /// Whose it is, if this suite made it.
    pub owner: Option<Owner>,
}

impl Holder {
    /// Network and container, or the comment where that does not say.
    pub fn name(&self) -> String {
        match iptables_text::parse_comment(COMMENT, &self.comment) {
            Some((network, container)) => format!("{network}/{container}"),
            None => self.comment.clone(),
        }
    }
}

/// All of them, with the jumps to each.
pub fn holders(save: &str) -> Vec<Holder> {
    let mut holders: Vec<Holder> = Vec::new();
    for jump in text::rules(save, DNAT) {
        let Some((_, chain)) = jump.rsplit_once(" -j ") else { continue };
        if holders.iter().all(|holder| holder.chain != chain) {
            holders.push(Holder {
                chain: chain.to_owned(),
                comment: line_comment(jump).unwrap_or_default(),
                owner: Owner::of_chain(save, chain),
            });
        }
    }
    holders
}

/// A port of somebody else that leads elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Who has it.
    pub holder: Holder,
    /// The mapping that nothing would come to.
    pub mapping: Mapping,
    /// The container address that it leads to.
    pub target: Option<IpAddr>,
}

/// The ports of `wanted` that rules of others would take. Further conditions may tell them apart:
/// where there are any, none is.
pub fn held(save: &str, wanted: &Wanted<'_>) -> Vec<Held> {
    if wanted.is_conditional() {
        return Vec::new();
    }
    let own = wanted.chain(save);
    let all = holders(save).into_iter().filter(|holder| holder.chain != own);
    let unconditional = all.filter(|holder| {
        text::jumps(save, DNAT, &holder.chain).all(|jump| !has_conditions(jump, &holder.chain))
    });
    let by_chain: HashMap<String, Holder> =
        unconditional.map(|holder| (holder.chain.clone(), holder)).collect();
    let mut held = Vec::new();
    for line in save.lines().filter(|line| line.contains(" -j DNAT ")) {
        let Some(holder) = option(line, "-A").and_then(|chain| by_chain.get(chain)) else {
            continue;
        };
        let covered = wanted.mappings().filter(|mapping| covers(line, mapping));
        held.extend(covered.map(|mapping| Held {
            holder: holder.clone(),
            mapping: *mapping,
            target: target(line),
        }));
    }
    held
}

/// Whether a jump to a container's chain looks at more than protocol and ports.
fn has_conditions(jump: &str, chain: &str) -> bool {
    let (protocol, ports) = (option(jump, "-p"), option(jump, "--dports"));
    let comment = line_comment(jump).map(|comment| escaped(&comment));
    let (Some(protocol), Some(ports), Some(comment)) = (protocol, ports, comment) else {
        return true;
    };
    jump != format!(
        "-A {DNAT} -p {protocol} -m comment --comment \"{comment}\" -m multiport --dports {ports} -j {chain}"
    )
}

/// Whether the rule takes all that comes for the mapping.
fn covers(line: &str, mapping: &Mapping) -> bool {
    let port = option(line, "--dport").and_then(|port| port.parse().ok());
    let is_same = text::protocol(line) == Some(mapping.protocol) && port == Some(mapping.host_port);
    let address = option(line, "-d").and_then(|host| host.split('/').next()?.parse().ok());
    is_same && (address.is_none() || address.map(HostAddress::One) == Some(mapping.host))
}

fn target(line: &str) -> Option<IpAddr> {
    let (ip, _port) = option(line, "--to-destination")?.rsplit_once(':')?;
    ip.trim_matches(['[', ']']).parse().ok()
}

/// Which of a network's attachments live.
pub enum Living<'a> {
    /// Those that GC was told.
    Listed(Vec<Attachment>),
    /// All but those whose namespace, at this path, is gone.
    Unless(&'a dyn Fn(&str) -> bool),
}

impl Living<'_> {
    /// Those of the list.
    pub fn of(network: &NetworkName, valid: &ValidAttachments<'_>) -> Self {
        let attachment = |(container, ifname): (&str, &str)| {
            let (container, ifname) = (container.parse().ok()?, ifname.parse().ok()?);
            Some(Attachment { network: network.clone(), container, ifname })
        };
        Self::Listed(valid.iter().filter_map(attachment).collect())
    }

    /// Whether the chain is one of the network's, and its attachment does not live.
    pub fn is_stale(&self, network: &NetworkName, holder: &Holder) -> bool {
        let prefix = format!("{COMMENT}name: \"{network}\" id: \"");
        if !holder.comment.starts_with(&prefix) {
            return false;
        }
        match (self, &holder.owner) {
            (Self::Listed(living), Some(owner)) => {
                living.iter().all(|one| names::host_interface(one) != owner.host_interface)
            }
            (Self::Listed(living), None) => living.iter().all(|one| {
                text::jump_comment(network.as_str(), one.container.as_str()) != holder.comment
            }),
            (Self::Unless(is_gone), Some(owner)) => {
                !owner.netns.is_empty() && is_gone(&owner.netns)
            }
            // Nothing proves of the reference's chains that their containers are dead.
            (Self::Unless(_), None) => false,
        }
    }
}
