//! What the reference plugin put into nf_tables for an attachment that it made: found by the names
//! and comments it gave, removed by our DEL and GC. Its iptables rules are ours too, by name.
//!
//! Looking costs one query each when there is nothing. A look that fails is logged and nothing more:
//! whoever never had a container of the reference must not have a DEL fail for it.

pub mod check;
pub mod host_port;

use crate::nft::{Family, FoundRule, Operation, Table};
use crate::spec::ValidAttachments;
use crate::sys::nft::Nft;
use crate::types::{Attachment, NetworkName, hash};
use crate::{Context, Result, log};

const MASQUERADE: Table = Table { family: Family::Inet, name: "cni_plugins_masquerade" };
const MASQUERADE_CHAIN: &str = "masq_checks";
const SPOOFCHECK: Table = Table { family: Family::Bridge, name: "nat" };
const SPOOFCHECK_CHAIN: &str = "PREROUTING";
/// The longest name of a chain: `NFT_NAME_MAXLEN` of linux/netfilter/nf_tables.h, less its NUL.
const MAX_NAME: usize = 255;
/// Digits of the hashes in its comments.
const DIGITS: usize = 16;

/// Removes its masquerading of the attachment.
pub fn remove_masquerading(nft: &mut Nft, attachment: &Attachment) -> Result<()> {
    let own =
        comment(&attachment.network, (attachment.container.as_str(), attachment.ifname.as_str()));
    remove_rules(nft, |rule| rule.comment.starts_with(&own))
        .with_context(|| format!("remove the reference plugin's rules of {attachment}"))
}

/// Removes its masquerading of the network's attachments that live no more.
pub fn sweep_masquerading(
    nft: &mut Nft,
    network: &NetworkName,
    valid: &ValidAttachments<'_>,
) -> Result<()> {
    let ours = format!("{}-", hash::sha512(network.as_str(), DIGITS));
    let living: Vec<_> = valid.iter().map(|one| comment(network, one)).collect();
    let stale = |rule: &FoundRule| {
        rule.comment.starts_with(&ours)
            && !living.iter().any(|living| rule.comment.starts_with(living))
    };
    remove_rules(nft, stale)
        .with_context(|| format!("sweep the reference plugin's rules of network {network}"))
}

/// Removes its MAC check of the attachment. The names hold no network, so GC can't tell whose
/// another one is and leaves it.
pub fn remove_spoofcheck(nft: &mut Nft, attachment: &Attachment) -> Result<()> {
    let chains = spoofcheck_chains(attachment);
    let chains: Vec<String> = chains.into_iter().filter(|name| fits(name)).collect();
    nft.change_unmistakable(|nft| Ok(found(spoofcheck_removal(nft, &chains))))
        .with_context(|| format!("remove the reference plugin's MAC check of {attachment}"))
}

/// The chain of the port, and the one that it jumps to.
fn spoofcheck_chains(attachment: &Attachment) -> [String; 2] {
    let chain = format!("cni-br-iface-{}-{}", attachment.container, attachment.ifname);
    let mac_chain = format!("{chain}-mac");
    [chain, mac_chain]
}

/// Whether a chain can have the name. If not it is not there, and the kernel refuses to look for it.
fn fits(name: &str) -> bool {
    name.len() <= MAX_NAME
}

fn spoofcheck_removal(nft: &mut Nft, chains: &[String]) -> Result<Vec<Operation>> {
    let mut operations = Vec::new();
    for name in chains {
        if nft.find_chain(SPOOFCHECK, name)?.is_some() {
            operations.push(Operation::DeleteChain(SPOOFCHECK, name.clone()));
        }
    }
    if operations.is_empty() {
        return Ok(operations);
    }
    let rules = nft.list_rules(SPOOFCHECK, SPOOFCHECK_CHAIN)?;
    let leads_there = |rule: &&FoundRule| rule.target().as_ref() == chains.first();
    let jumps = rules
        .iter()
        .filter(leads_there)
        .map(|rule| Operation::DeleteRule(SPOOFCHECK, SPOOFCHECK_CHAIN.to_owned(), rule.handle));
    Ok(jumps.chain(operations).collect())
}

fn remove_rules(nft: &mut Nft, wanted: impl Fn(&FoundRule) -> bool) -> Result<()> {
    nft.change_unmistakable(|nft| {
        let rules = found(nft.list_rules(MASQUERADE, MASQUERADE_CHAIN));
        let delete = |rule: &FoundRule| {
            Operation::DeleteRule(MASQUERADE, MASQUERADE_CHAIN.to_owned(), rule.handle)
        };
        Ok(rules.iter().filter(|rule| wanted(rule)).map(delete).collect())
    })
}

/// What a look found; nothing if it failed.
fn found<T: Default>(look: Result<T>) -> T {
    look.unwrap_or_else(|error| {
        log::debug(|| format!("look for rules of the reference plugin: {error}"));
        T::default()
    })
}

/// What its comments on the rules of an attachment begin with.
fn comment(network: &NetworkName, (container, ifname): (&str, &str)) -> String {
    format!(
        "{}-{},",
        hash::sha512(network.as_str(), DIGITS),
        hash::sha512(&format!("{ifname}:{container}"), DIGITS)
    )
}
