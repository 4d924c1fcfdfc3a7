//! Containers' chains of iptables, whichever suite made them: found and removed. Where iptables keeps
//! them in nf_tables that needs no program.

use std::cell::Cell;

use cni_common::names;
use cni_common::nft::{FoundRule, Table};
use cni_common::packet_filter::iptables::{self, Jump, PROTOCOLS, nftables_table};
use cni_common::packet_filter::iptables_text::{input, parse_comment};
use cni_common::sys::iptables::{Protocol, has_legacy_table};
use cni_common::sys::nft::Nft;
use cni_common::types::{Attachment, NetworkName};
use cni_common::{Context, Error, Result};

use crate::holder::{self, Holder, Living};
use crate::text::{self, COMMENT, DNAT, Owner, TABLE};

/// Removes the attachment's, and says whether there were any. Those of other interfaces stay; the
/// reference's know no interface.
pub fn remove(nft: &mut Nft, attachment: &Attachment) -> Result<bool> {
    let chains = text::chains(attachment);
    let name = names::host_interface(attachment);
    let is_others = |owner: Option<Owner>| owner.is_some_and(|owner| owner.host_interface != name);
    let is_found = Cell::new(false);
    let mut errors = Vec::new();
    for protocol in PROTOCOLS {
        let found = remove_in_nftables(nft, protocol, (&chains, is_others));
        is_found.set(is_found.get() | *found.as_ref().unwrap_or(&false));
        errors.extend(found.err());
        let next = |save: &str| {
            let own = chains.iter().filter(|(_, chain)| !is_others(Owner::of_chain(save, chain)));
            let lines: Vec<String> =
                own.flat_map(|(from, chain)| text::removal(save, from, chain)).collect();
            is_found.set(is_found.get() || !lines.is_empty());
            (!lines.is_empty()).then(|| input(TABLE, lines))
        };
        errors.extend(iptables::change_legacy((protocol, TABLE), next).err());
    }
    let doing = || format!("remove the iptables chains of {attachment}");
    Error::join(errors).with_context(doing)?;
    Ok(is_found.get())
}

fn remove_in_nftables(
    nft: &mut Nft,
    protocol: Protocol,
    (chains, is_others): (&[(&str, String)], impl Fn(Option<Owner>) -> bool),
) -> Result<bool> {
    let table = nftables_table(protocol, TABLE);
    if !nft.has_table(table)? {
        return Ok(false);
    }
    let mut is_found = false;
    for (from, chain) in chains {
        if nft.find_chain(table, chain)?.is_some() && !is_others(owner(nft, table, chain)?) {
            is_found = true;
            let jump = Jump { table: TABLE, from, to: chain };
            iptables::remove_in_nftables(nft, (protocol, jump), |_all| true)?;
        }
    }
    Ok(is_found)
}

/// Whose the chain is, if this suite made it.
fn owner(nft: &mut Nft, table: Table, chain: &str) -> Result<Option<Owner>> {
    let rules = nft.list_rules(table, chain)?;
    Ok(rules.iter().find_map(|rule| Owner::parse(&rule.comment)))
}

/// Removes those of the network's attachments that live no more.
pub fn sweep(nft: &mut Nft, network: &NetworkName, living: &Living<'_>) -> Result<()> {
    let mut errors = Vec::new();
    for protocol in PROTOCOLS {
        errors.extend(sweep_in_nftables(nft, protocol, (network, living)).err());
        let next = |save: &str| {
            let holders = holder::holders(save);
            let mut stale = holders.iter().filter(|holder| living.is_stale(network, holder));
            stale.next().map(|holder| {
                let chains = chains_of(holder);
                let lines = chains.iter().flat_map(|(from, to)| text::removal(save, from, to));
                input(TABLE, lines)
            })
        };
        errors.extend(iptables::change_legacy((protocol, TABLE), next).err());
    }
    let doing = || format!("sweep the iptables chains of network {network}");
    Error::join(errors).with_context(doing)
}

fn sweep_in_nftables(
    nft: &mut Nft,
    protocol: Protocol,
    (network, living): (&NetworkName, &Living<'_>),
) -> Result<()> {
    let table = nftables_table(protocol, TABLE);
    let mut holders: Vec<Holder> = Vec::new();
    for jump in nft.list_rules(table, DNAT)? {
        let Some(chain) = jump.target() else { continue };
        if holders.iter().all(|holder| holder.chain != chain) {
            let owner = owner(nft, table, &chain)?;
            holders.push(Holder { chain, comment: jump.comment, owner });
        }
    }
    for holder in holders.iter().filter(|holder| living.is_stale(network, holder)) {
        for (from, chain) in chains_of(holder) {
            let jump = Jump { table: TABLE, from, to: &chain };
            iptables::remove_in_nftables(nft, (protocol, jump), |_all| true)?;
        }
    }
    Ok(())
}

/// The chain, and the leftover of an old release beside one of the reference.
fn chains_of(holder: &Holder) -> Vec<(&'static str, String)> {
    let mut chains = vec![(DNAT, holder.chain.clone())];
    if holder.owner.is_none() {
        let named = parse_comment(COMMENT, &holder.comment);
        chains.extend(named.map(|(network, container)| text::old_chain(network, container)));
    }
    chains
}

/// Whether the reference's chain is there for an address, with as many rules as it makes at least.
pub fn has_rules(
    nft: &mut Nft,
    protocol: Protocol,
    (attachment, count): (&Attachment, usize),
) -> Result<bool> {
    let [(from, chain), ..] = text::chains(attachment);
    let table = nftables_table(protocol, TABLE);
    let leads = |rule: &FoundRule| rule.target().as_deref() == Some(chain.as_str());
    if nft.list_rules(table, from)?.iter().any(leads) {
        return Ok(nft.list_rules(table, &chain)?.len() >= count);
    }
    if !has_legacy_table(protocol, TABLE) {
        return Ok(false);
    }
    let save = iptables::save(protocol, TABLE)?;
    let is_led_to = text::jumps(&save, from, &chain).next().is_some();
    let rules = text::rules(&save, &chain).filter(|line| line.contains(" -j DNAT "));
    Ok(is_led_to && rules.count() >= count)
}
