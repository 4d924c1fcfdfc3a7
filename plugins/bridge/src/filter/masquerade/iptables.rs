//! Masquerading on iptables, in the reference's chains.
//!
//! ADD runs one `restore` per protocol. Taking away works on nf_tables directly where iptables
//! keeps its rules there, so it needs no program; only the old kind of tables does.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cni_common::log;
use cni_common::nft::{Family, FoundRule, Operation, Table};
use cni_common::packet_filter::Report;
use cni_common::spec::ValidAttachments;
use cni_common::sys::iptables::{Iptables, Kind, Protocol, has_legacy_table};
use cni_common::sys::nft::Nft;
use cni_common::types::NetworkName;
use cni_common::{Context, Error, Result};
use ipnetwork::IpNetwork;

use super::text::{self, Rules};
use crate::filter::Subject;

/// Programs that work on the same table at the same time make each other fail now and then.
const ATTEMPTS: usize = 20;
const POSTROUTING: &str = "POSTROUTING";
const PROTOCOLS: [Protocol; 2] = [Protocol::Ipv4, Protocol::Ipv6];

/// Adds the rules. On failure nothing of them is left.
pub(super) fn ensure(nft: &mut Nft, subject: &Subject<'_>, addresses: &[IpNetwork]) -> Result<()> {
    for (protocol, rules) in by_protocol(subject, addresses) {
        if let Err(error) = ensure_rules(protocol, &rules) {
            let undone = remove(nft, subject, addresses).err();
            return Err(error
                .context(format!("masquerade {}", subject.attachment))
                .with_undo_failures(undone.into_iter().collect()));
        }
    }
    Ok(())
}

fn ensure_rules(protocol: Protocol, rules: &Rules) -> Result<()> {
    let iptables = Iptables { protocol, kind: Kind::Default };
    let mut input = rules.creation();
    let mut attempt = 1;
    loop {
        let error = match iptables.restore(&input) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if attempt == ATTEMPTS || !iptables.is_installed() {
            return Err(error);
        }
        attempt += 1;
        input = match iptables.save("nat")? {
            save if text::removal(&save, rules.chain(), &[]).is_some() => rules.replacement(&save),
            _not_there => rules.creation(),
        };
    }
}

/// Says which rules are missing.
pub(super) fn check(
    subject: &Subject<'_>,
    addresses: &[IpNetwork],
    report: &mut Report,
) -> Result<()> {
    for (protocol, rules) in by_protocol(subject, addresses) {
        let save = Iptables { protocol, kind: Kind::Default }.save("nat")?;
        for line in rules.lines() {
            if !save.lines().any(|found| found == line) {
                let program = protocol.program();
                report.fault(format!("{program} table nat: the rule \"{line}\" is missing"));
            }
        }
    }
    Ok(())
}

/// Takes away the rules of the container in the network: those of the known addresses, or all.
pub(super) fn remove(nft: &mut Nft, subject: &Subject<'_>, known: &[IpNetwork]) -> Result<()> {
    let attachment = subject.attachment;
    let chain = text::chain(attachment.network.as_str(), attachment.container.as_str());
    let sources: Vec<_> = known.iter().map(IpNetwork::ip).collect();
    let mut errors = Vec::new();
    for protocol in PROTOCOLS {
        errors.extend(remove_natively(nft, table(protocol), (&chain, &sources)).err());
        errors.extend(change_legacy(protocol, |save| text::removal(save, &chain, &sources)).err());
    }
    let doing = || format!("take away the iptables rules of {attachment}");
    Error::join(errors).map_or(Ok(()), Err).with_context(doing)
}

/// Takes away the rules of the network's containers that live no more.
pub(super) fn sweep(
    nft: &mut Nft,
    network: &NetworkName,
    valid: &ValidAttachments<'_>,
) -> Result<()> {
    let lives = |container: &str| valid.contains_container(container);
    let mut errors = Vec::new();
    for protocol in PROTOCOLS {
        let table = table(protocol);
        let chains: BTreeSet<_> = nft
            .list_all_rules(table)?
            .iter()
            .filter_map(|rule| text::stale_chain(&rule.comment, network.as_str(), lives))
            .collect();
        for chain in &chains {
            errors.extend(remove_natively(nft, table, (chain, &[])).err());
        }
        let next = |save: &str| {
            let stale = text::stale_chains(save, network.as_str(), lives);
            stale.iter().find_map(|chain| text::removal(save, chain, &[]))
        };
        errors.extend(change_legacy(protocol, next).err());
    }
    let doing = || format!("sweep the iptables rules of network {network}");
    Error::join(errors).map_or(Ok(()), Err).with_context(doing)
}

/// Takes rules that iptables keeps in nf_tables away without it. One look when there are none.
fn remove_natively(nft: &mut Nft, table: Table, (chain, sources): (&str, &[IpAddr])) -> Result<()> {
    let wanted = |rule: &FoundRule| {
        sources.is_empty() || rule.source().is_some_and(|source| sources.contains(&source))
    };
    nft.change_unmistakable(|nft| {
        if nft.find_chain(table, chain)?.is_none() {
            return Ok(Vec::new());
        }
        let mut rules = nft.list_rules(table, POSTROUTING)?;
        rules.retain(|rule| rule.target().as_deref() == Some(chain));
        let (gone, staying): (Vec<_>, Vec<_>) = rules.iter().partition(|rule| wanted(rule));
        let delete =
            |rule: &&FoundRule| Operation::DeleteRule(table, POSTROUTING.to_owned(), rule.handle);
        let mut operations: Vec<_> = gone.iter().map(delete).collect();
        if staying.is_empty() {
            operations.push(Operation::DeleteChain(table, chain.to_owned()));
        }
        Ok(operations)
    })
}

/// Changes the old kind of table `nat`, if there is one, until `next` wants no more. Without the
/// program nothing can have put rules there.
fn change_legacy(protocol: Protocol, next: impl Fn(&str) -> Option<String>) -> Result<()> {
    if !has_legacy_table(protocol, "nat") {
        return Ok(());
    }
    let kinds = [Kind::Legacy, Kind::Default].map(|kind| Iptables { protocol, kind });
    let Some(iptables) = kinds.into_iter().find(|program| program.is_installed()) else {
        log::debug(|| format!("no {} program for the old tables", protocol.program()));
        return Ok(());
    };
    let mut failures = 0;
    while let Some(input) = next(&iptables.save("nat")?) {
        if let Err(error) = iptables.restore(&input) {
            failures += 1;
            if failures == ATTEMPTS {
                return Err(error);
            }
        }
    }
    Ok(())
}

fn table(protocol: Protocol) -> Table {
    match protocol {
        Protocol::Ipv4 => Table { family: Family::Ip, name: "nat" },
        Protocol::Ipv6 => Table { family: Family::Ip6, name: "nat" },
    }
}

fn by_protocol(subject: &Subject<'_>, addresses: &[IpNetwork]) -> Vec<(Protocol, Rules)> {
    let attachment = subject.attachment;
    let (four, six): (Vec<IpNetwork>, Vec<IpNetwork>) =
        addresses.iter().copied().partition(IpNetwork::is_ipv4);
    [(Protocol::Ipv4, four), (Protocol::Ipv6, six)]
        .into_iter()
        .filter(|(_, addresses)| !addresses.is_empty())
        .map(|(protocol, addresses)| {
            let (network, container) = (attachment.network.as_str(), attachment.container.as_str());
            (protocol, Rules::new(network, container, &addresses))
        })
        .collect()
}
