//! The rules of the reference's `portmap` on nftables, in tables `cni_hostport`. The layout is that of
//! release 1.9.1. Its chains of iptables are those of this suite's `portmap`, too.

use std::net::IpAddr;

use super::found;
use crate::nft::{Family, FoundRule, Operation, Table};
use crate::sys::nft::Nft;
use crate::types::Attachment;
use crate::{Context, Error, Result};

const TABLES: [Table; 2] = [
    Table { family: Family::Ip, name: "cni_hostport" },
    Table { family: Family::Ip6, name: "cni_hostport" },
];
/// The chains that have a container's rules; the first two lead to it.
const CHAINS: [&str; 3] = ["hostports", "hostip_hostports", "masquerading"];
/// Removes its rules of the attachment. They know neither interface nor network: those of all
/// interfaces of the container go.
pub fn remove(nft: &mut Nft, attachment: &Attachment) -> Result<()> {
    let container = attachment.container.as_str();
    let removed = TABLES.map(|table| remove_from(nft, table, container).err());
    let doing = || format!("remove the reference plugin's host ports of {attachment}");
    Error::join(removed.into_iter().flatten()).with_context(doing)
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

fn remove_from(nft: &mut Nft, table: Table, container: &str) -> Result<()> {
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
