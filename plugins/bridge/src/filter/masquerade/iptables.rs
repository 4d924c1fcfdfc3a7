//! Masquerading on iptables, in the reference's chains.
//!
//! ADD runs one `restore` per protocol. Removing needs no program where iptables keeps its rules in
//! nf_tables.

use std::collections::BTreeSet;

use cni_common::nft::FoundRule;
use cni_common::packet_filter::iptables::{self, Jump, PROTOCOLS};
use cni_common::packet_filter::{Report, iptables_text};
use cni_common::spec::ValidAttachments;
use cni_common::sys::iptables::Protocol;
use cni_common::sys::nft::Nft;
use cni_common::types::NetworkName;
use cni_common::{Context, Error, Result};
use ipnetwork::IpNetwork;

use super::text::{self, Rules, TABLE};
use crate::filter::Subject;

/// Adds the rules. On failure nothing of them is left.
pub(super) fn ensure(nft: &mut Nft, subject: &Subject<'_>, addresses: &[IpNetwork]) -> Result<()> {
    for (protocol, rules) in by_protocol(subject, addresses) {
        let again = |save: &str| match text::has_any(save, rules.chain()) {
            true => rules.replacement(save),
            false => rules.creation(),
        };
        if let Err(error) = iptables::ensure((protocol, TABLE), rules.creation(), again) {
            let undone = remove(nft, subject, addresses).err();
            return Err(error
                .context(format!("masquerade {}", subject.attachment))
                .with_undo_failures(undone.into_iter().collect()));
        }
    }
    Ok(())
}

/// Says which rules are missing, and whether any is there.
pub(super) fn check(
    subject: &Subject<'_>,
    addresses: &[IpNetwork],
    report: &mut Report,
) -> Result<bool> {
    let mut any = false;
    for (protocol, rules) in by_protocol(subject, addresses) {
        let save = iptables::save(protocol, TABLE)?;
        any |= text::has_any(&save, rules.chain());
        for line in rules.lines() {
            if !save.lines().any(|found| found == line) {
                let program = protocol.program();
                report.fault(format!("{program} table nat: the rule \"{line}\" is missing"));
            }
        }
    }
    Ok(any)
}

/// Removes the rules of the container in the network: those of the known addresses, or all.
pub(super) fn remove(nft: &mut Nft, subject: &Subject<'_>, known: &[IpNetwork]) -> Result<()> {
    let attachment = subject.attachment;
    let chain = text::chain(attachment.network.as_str(), attachment.container.as_str());
    let sources: Vec<_> = known.iter().map(IpNetwork::ip).collect();
    let is_known = |rule: &FoundRule| {
        sources.is_empty() || rule.source().is_some_and(|source| sources.contains(&source))
    };
    let mut errors = Vec::new();
    for protocol in PROTOCOLS {
        let jump = (protocol, jump_to(&chain));
        errors.extend(iptables::remove_in_nftables(nft, jump, is_known).err());
        let is_known = |line: &str| text::is_of(line, &sources);
        errors.extend(iptables::remove_in_legacy(jump, is_known).err());
    }
    let doing = || format!("remove the iptables rules of {attachment}");
    Error::join(errors).with_context(doing)
}

/// Removes the rules of the network's containers that live no more.
pub(super) fn sweep(
    nft: &mut Nft,
    network: &NetworkName,
    valid: &ValidAttachments<'_>,
) -> Result<()> {
    let stale = |comment: &str| {
        text::stale_chain(comment, network.as_str(), |container| {
            valid.contains_container(container)
        })
    };
    let mut errors = Vec::new();
    for protocol in PROTOCOLS {
        let rules = nft.list_all_rules(iptables::nftables_table(protocol, TABLE))?;
        let chains: BTreeSet<_> = rules.iter().filter_map(|rule| stale(&rule.comment)).collect();
        for chain in &chains {
            let jump = (protocol, jump_to(chain));
            errors.extend(iptables::remove_in_nftables(nft, jump, |_all| true).err());
        }
        let next = |save: &str| {
            let comments = iptables_text::comments(save);
            let mut chains = comments.iter().filter_map(|comment| stale(comment));
            chains.find_map(|chain| text::removal(save, &chain, &[]))
        };
        errors.extend(iptables::change_legacy((protocol, TABLE), next).err());
    }
    let doing = || format!("sweep the iptables rules of network {network}");
    Error::join(errors).with_context(doing)
}

fn jump_to(chain: &str) -> Jump<'_> {
    Jump { table: TABLE, from: text::POSTROUTING, to: chain }
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
