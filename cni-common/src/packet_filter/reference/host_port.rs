//! The rules of the reference's `portmap` on nftables, in tables `cni_hostport`. The layout is that of
//! release 1.9.1. Its chains of iptables are those of this suite's `portmap`, too.

use std::collections::HashSet;
use std::net::IpAddr;

use super::found;
use crate::nft::{Family, FoundRule, Operation, Table};
use crate::spec::ValidAttachments;
use crate::sys::nft::Nft;
use crate::types::Attachment;
use crate::{Context, Error, Result};

const TABLES: [Table; 2] = [
    Table { family: Family::Ip, name: "cni_hostport" },
    Table { family: Family::Ip6, name: "cni_hostport" },
];
/// The chains that have a container's rules; the first two lead to it.
const CHAINS: [&str; 3] = ["hostports", "hostip_hostports", "masquerading"];
/// The chain of iptables that leads to containers' chains.
const IPTABLES_CHAIN: &str = "CNI-HOSTPORT-DNAT";

/// Removes its rules of the attachment. They know neither interface nor network: those of all
/// interfaces of the container go.
pub fn remove(nft: &mut Nft, attachment: &Attachment) -> Result<()> {
    let container = attachment.container.as_str();
    let is_own = |rule: &FoundRule| rule.comment == container;
    let removed = TABLES.map(|table| remove_rules(nft, table, is_own).err());
    let doing = || format!("remove the reference plugin's host ports of {attachment}");
    Error::join(removed.into_iter().flatten()).with_context(doing)
}

/// Removes its rules that lead to addresses of a network, of containers that live no more in it. The
/// rules name no network: `is_of_network` says which addresses are its.
pub fn sweep(
    nft: &mut Nft,
    is_of_network: impl Fn(IpAddr) -> bool,
    valid: &ValidAttachments<'_>,
) -> Result<()> {
    let is_stale = |rule: &FoundRule| {
        let target = rule.new_destination().or_else(|| rule.destination());
        target.is_some_and(&is_of_network) && !valid.contains_container(&rule.comment)
    };
    let swept = TABLES.map(|table| remove_rules(nft, table, is_stale).err());
    Error::join(swept.into_iter().flatten()).context("sweep the reference plugin's host ports")
}

/// Whether it has this many rules of the container for one of its addresses.
pub fn has_rules(
    nft: &mut Nft,
    ip: IpAddr,
    (attachment, count): (&Attachment, usize),
) -> Result<bool> {
    let [four, six] = TABLES;
    let table = if ip.is_ipv4() { four } else { six };
    let [hostports, hostip_hostports, _masquerading] = CHAINS;
    let mut rules = nft.list_rules(table, hostports)?;
    rules.extend(nft.list_rules(table, hostip_hostports)?);
    let container = attachment.container.as_str();
    Ok(rules.iter().filter(|rule| rule.comment == container).count() >= count)
}

/// Whether it has a rule of any of these containers.
pub fn has_any_of(nft: &mut Nft, containers: &HashSet<&str>) -> Result<bool> {
    for table in TABLES {
        if !nft.has_table(table)? {
            continue;
        }
        for chain in CHAINS {
            let rules = nft.list_rules(table, chain)?;
            if rules.iter().any(|rule| containers.contains(rule.comment.as_str())) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether it has a rule for any container's IPv4 address, on nftables or on the iptables that are kept
/// there.
pub fn has_any_ipv4(nft: &mut Nft) -> Result<bool> {
    let [four, _six] = TABLES;
    let nat = Table { family: Family::Ip, name: "nat" };
    for (table, chain) in [(four, CHAINS[0]), (four, CHAINS[1]), (nat, IPTABLES_CHAIN)] {
        if !nft.list_rules(table, chain)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn remove_rules(nft: &mut Nft, table: Table, wanted: impl Fn(&FoundRule) -> bool) -> Result<()> {
    if !found(nft.has_table(table)) {
        return Ok(());
    }
    nft.change_unmistakable(|nft| {
        let mut operations = Vec::new();
        for chain in CHAINS {
            let rules = found(nft.list_rules(table, chain));
            let own = rules.iter().filter(|rule| wanted(rule));
            let delete =
                |rule: &FoundRule| Operation::DeleteRule(table, chain.to_owned(), rule.handle);
            operations.extend(own.map(delete));
        }
        Ok(operations)
    })
}
