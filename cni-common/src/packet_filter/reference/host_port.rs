//! The rules of the reference's `portmap`: on nftables in tables `cni_hostport`, on iptables in a chain
//! for each container. The layout is that of release 1.9.1.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::found;
use crate::nft::{Family, FoundRule, Operation, Table};
use crate::packet_filter::iptables::{self, Jump, PROTOCOLS};
use crate::packet_filter::iptables_text;
use crate::spec::ValidAttachments;
use crate::sys::iptables::{Protocol, has_legacy_table};
use crate::sys::nft::Nft;
use crate::types::{Attachment, NetworkName};
use crate::{Context, Error, Result};

const TABLES: [Table; 2] = [
    Table { family: Family::Ip, name: "cni_hostport" },
    Table { family: Family::Ip6, name: "cni_hostport" },
];
/// The chains that have a container's rules; the first two lead to it.
const CHAINS: [&str; 3] = ["hostports", "hostip_hostports", "masquerading"];
/// The table of iptables, and its chain that jumps to those of containers.
const NAT: &str = "nat";
const DNAT: &str = "CNI-HOSTPORT-DNAT";
/// What the names of containers' chains begin with, and who jumps to them; the second is a leftover of
/// old releases.
const CONTAINER_CHAINS: [(&str, &str); 2] = [(DNAT, "CNI-DN-"), ("CNI-HOSTPORT-SNAT", "CNI-SN-")];
/// What its comments begin with.
const COMMENT: &str = "dnat ";

/// Takes away its rules of the attachment. They know no interface, and on nftables no network: those
/// of all interfaces of the container go.
pub fn remove(nft: &mut Nft, attachment: &Attachment) -> Result<()> {
    let (network, container) = (attachment.network.as_str(), attachment.container.as_str());
    let mut errors = Vec::new();
    for table in TABLES {
        errors.extend(remove_native(nft, table, container).err());
    }
    errors.extend(remove_chains(nft, network, container));
    let doing = || format!("take away the reference plugin's host ports of {attachment}");
    Error::join(errors).with_context(doing)
}

/// Takes away its rules on iptables of the network's containers that live no more. Those on nftables
/// do not say of which network they are.
pub fn sweep(nft: &mut Nft, network: &NetworkName, valid: &ValidAttachments<'_>) -> Result<()> {
    let mut stale = BTreeSet::new();
    let mut note = |comment: &str| {
        let named = iptables_text::parse_comment(COMMENT, comment);
        stale.extend(
            named
                .filter(|(name, container)| {
                    *name == network.as_str() && !valid.contains_container(container)
                })
                .map(|(_, container)| container.to_owned()),
        );
    };
    for protocol in PROTOCOLS {
        let table = iptables::nftables_table(protocol, NAT);
        found(nft.list_rules(table, DNAT)).iter().for_each(|rule| note(&rule.comment));
        if has_legacy_table(protocol, NAT) {
            let save = found(iptables::save(protocol, NAT));
            iptables_text::comments(&save).iter().for_each(|comment| note(comment));
        }
    }
    let gone = stale.iter().flat_map(|container| remove_chains(nft, network.as_str(), container));
    let errors: Vec<Error> = gone.collect();
    let doing = || format!("sweep the reference plugin's host ports of network {network}");
    Error::join(errors).with_context(doing)
}

/// Whether it has as many rules as are expected for each of the container's addresses, on nftables or
/// on iptables.
pub fn is_complete(
    nft: &mut Nft,
    attachment: &Attachment,
    expected: &[(IpAddr, usize)],
) -> Result<bool> {
    for (ip, count) in expected.iter().filter(|(_, count)| *count > 0) {
        let [four, six] = TABLES;
        let table = if ip.is_ipv4() { four } else { six };
        let protocol = if ip.is_ipv4() { Protocol::Ipv4 } else { Protocol::Ipv6 };
        let is_there = has_native(nft, table, (attachment.container.as_str(), *count))?
            || has_chain(nft, protocol, (attachment, *count))?;
        if !is_there {
            return Ok(false);
        }
    }
    Ok(expected.iter().any(|(_, count)| *count > 0))
}

fn remove_native(nft: &mut Nft, table: Table, container: &str) -> Result<()> {
    if !found(nft.has_table(table)) {
        return Ok(());
    }
    nft.change_unmistakable(|nft| {
        let mut operations = Vec::new();
        for chain in CHAINS {
            let rules = found(nft.list_rules(table, chain));
            let own = rules.iter().filter(|rule| rule.comment == container);
            let delete =
                |rule: &FoundRule| Operation::DeleteRule(table, chain.to_owned(), rule.handle);
            operations.extend(own.map(delete));
        }
        Ok(operations)
    })
}

/// Removes the container's chains of iptables, and the jumps to them.
fn remove_chains(nft: &mut Nft, network: &str, container: &str) -> Vec<Error> {
    let mut errors = Vec::new();
    for (from, prefix) in CONTAINER_CHAINS {
        let chain = iptables_text::chain(prefix, network, container);
        for protocol in PROTOCOLS {
            let jump = (protocol, Jump { table: NAT, from, to: &chain });
            errors.extend(iptables::remove_in_nftables(nft, jump, |_all| true).err());
            errors.extend(iptables::remove_in_legacy(jump, |_all| true).err());
        }
    }
    errors
}

fn has_native(nft: &mut Nft, table: Table, (container, count): (&str, usize)) -> Result<bool> {
    let [hostports, hostip_hostports, _masquerading] = CHAINS;
    let mut rules = nft.list_rules(table, hostports)?;
    rules.extend(nft.list_rules(table, hostip_hostports)?);
    Ok(rules.iter().filter(|rule| rule.comment == container).count() >= count)
}

fn has_chain(
    nft: &mut Nft,
    protocol: Protocol,
    (attachment, count): (&Attachment, usize),
) -> Result<bool> {
    let (network, container) = (attachment.network.as_str(), attachment.container.as_str());
    let chain = iptables_text::chain("CNI-DN-", network, container);
    let table = iptables::nftables_table(protocol, NAT);
    let jumps = nft.list_rules(table, DNAT)?;
    if jumps.iter().any(|rule| rule.target().as_deref() == Some(chain.as_str())) {
        return Ok(nft.list_rules(table, &chain)?.len() >= count);
    }
    if !has_legacy_table(protocol, NAT) {
        return Ok(false);
    }
    let save = found(iptables::save(protocol, NAT));
    let (rule, target) = (format!("-A {chain} "), " -j DNAT ");
    let rules = save.lines().filter(|line| line.starts_with(&rule) && line.contains(target));
    Ok(rules.count() >= count)
}
