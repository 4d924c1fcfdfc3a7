//! The reference's rules of addresses, which name no container: found and removed, where iptables
//! keeps them in nf_tables. For the old tables the removal needs their program.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cni_common::nft::{FoundRule, Operation, Verdict};
use cni_common::packet_filter::iptables::{self, PROTOCOLS, nftables_table};
use cni_common::sys::iptables::Protocol;
use cni_common::sys::nft::Nft;
use cni_common::{Error, Result};

use crate::subject::Subject;
use crate::text::{self, CHAIN, TABLE};

/// Whether both rules of every address are there.
pub fn has_all(nft: &mut Nft, subject: &Subject) -> Result<bool> {
    for protocol in subject.protocols() {
        let rules = nft.list_rules(nftables_table(protocol, TABLE), CHAIN)?;
        let accepts = |of: fn(&FoundRule) -> Option<IpAddr>, ip: IpAddr| {
            let mut accepted = rules.iter().filter(|rule| rule.verdict() == Some(Verdict::Accept));
            accepted.any(|rule| of(rule) == Some(ip))
        };
        let is_four = protocol == Protocol::Ipv4;
        let mut addresses = subject.addresses.iter().filter(|ip| ip.is_ipv4() == is_four);
        if !addresses
            .all(|ip| accepts(FoundRule::source, *ip) && accepts(FoundRule::destination, *ip))
        {
            return Ok(false);
        }
    }
    Ok(!subject.addresses.is_empty())
}

/// Removes the rules of these addresses. Goes on after a failure.
pub fn remove(nft: &mut Nft, addresses: &BTreeSet<IpAddr>) -> Result<()> {
    if addresses.is_empty() {
        return Ok(());
    }
    let is_known = |ip: Option<IpAddr>| ip.is_some_and(|ip| addresses.contains(&ip));
    let mut failures = Vec::new();
    for protocol in PROTOCOLS {
        let table = nftables_table(protocol, TABLE);
        let removed = nft.change_unmistakable(|nft| {
            let mut rules = nft.list_rules(table, CHAIN)?;
            rules.retain(|rule| {
                rule.verdict() == Some(Verdict::Accept)
                    && (is_known(rule.source()) || is_known(rule.destination()))
            });
            let delete = |rule: FoundRule| Operation::DeleteRule(table, rule.chain, rule.handle);
            Ok(rules.into_iter().map(delete).collect())
        });
        failures.extend(removed.err());
        let next = |save: &str| text::removal(save, addresses);
        failures.extend(iptables::change_legacy((protocol, TABLE), next).err());
    }
    Error::join(failures)
}
