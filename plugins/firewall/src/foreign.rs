//! Chains of others that drop what is forwarded, whatever is accepted elsewhere. They can't be
//! opened from outside; that they drop can be said.

use std::collections::BTreeMap;
use std::net::IpAddr;

use cni_common::nft::{
    ConnectionState, Family, FoundChain, FoundRule, Hook, Packet, Passage, Policy, Rule, Statement,
    Verdict, Via,
};
use cni_common::sys::Netlink;
use cni_common::sys::iptables::{Protocol, has_legacy_table};
use cni_common::sys::nft::Nft;
use cni_common::types::IfName;
use cni_common::types::net::Link;
use cni_common::{Code, Error, Result, log};

use crate::subject::Subject;
use crate::text::{FORWARD, TABLE};

/// The name of firewalld's table.
const FIREWALLD: &str = "firewalld";

/// Fails where iptables has its table in the old kind of tables, which netlink does not reach.
pub fn require_no_old_table(protocols: &[Protocol]) -> Result<()> {
    match protocols.iter().find(|one| has_legacy_table(**one, TABLE)) {
        None => Ok(()),
        Some(protocol) => {
            let message = format!(
                "{} keeps its table filter in the old kind of tables: backend \"nftables\" can't \
                 let anything through",
                protocol.program()
            );
            Err(Error::new(Code::UnsupportedField, message))
        }
    }
}

/// Fails (with this code) where the rules of a firewalld are that can't be asked: what its zones drop is
/// dropped.
pub fn require_no_firewalld(nft: &mut Nft, code: Code) -> Result<()> {
    let tables = nft.list_tables()?;
    match tables.iter().find(|table| table.name == FIREWALLD) {
        None => Ok(()),
        Some(table) => {
            let message = format!(
                "table {table}: firewalld drops what is forwarded, and can't be asked over the \
                 system bus to let containers through"
            );
            let details = "with \"backend\": \"nftables\" or \"iptables\" the zones of firewalld \
                           have to let the containers' addresses through";
            Err(Error::new(code, message).with_details(details))
        }
    }
}

/// Whose packets chains are asked about.
#[derive(Clone, Debug, Default)]
pub struct Senders {
    /// The protocols of containers.
    pub protocols: Vec<Protocol>,
    /// The first packet of a connection of a container that is known.
    pub packets: Vec<Packet>,
    /// Whether firewalld lets them through, by a zone.
    pub have_zone: bool,
}

impl Senders {
    /// An attachment's, and which link its packets come in by.
    pub fn of(subject: &Subject) -> Result<Self> {
        Self::of_all([subject])
    }

    /// Those of many attachments.
    pub fn of_all<'a>(subjects: impl IntoIterator<Item = &'a Subject>) -> Result<Self> {
        let mut senders = Self::default();
        let mut links: BTreeMap<&str, Option<Link>> = BTreeMap::new();
        for subject in subjects {
            let new =
                subject.protocols().into_iter().filter(|one| !senders.protocols.contains(one));
            let new: Vec<Protocol> = new.collect();
            senders.protocols.extend(new);
            let Some(bridge) = subject.bridge.as_ref().map(IfName::as_str) else { continue };
            if !links.contains_key(bridge) {
                links.insert(bridge, Netlink::open()?.find_link(bridge)?);
            }
            let Some(Some(link)) = links.get(bridge) else { continue };
            let input = Via { name: link.name.clone(), index: link.index };
            let packet = |ip: &IpAddr| Packet { input: input.clone(), output: None, source: *ip };
            senders.packets.extend(subject.addresses.iter().map(packet));
        }
        Ok(senders)
    }
}

/// Fails (with this code) where a chain is sure to drop what they send.
pub fn require_none(nft: &mut Nft, senders: &Senders, code: Code) -> Result<()> {
    let dropping = list_dropping(nft, senders)?;
    let is_opened = |chain: &&Dropping| {
        chain.is_iptables || (senders.have_zone && chain.table.ends_with(FIREWALLD))
    };
    let Some(chain) = dropping.iter().find(|chain| !is_opened(chain)) else { return Ok(()) };
    let place = format!("table {}, chain {}", chain.table, chain.name);
    let message =
        format!("{place} drops what containers send, and nothing outside of it can change that");
    let details = "accept the containers' traffic in that chain, or make its policy accept";
    Err(Error::new(code, message).with_details(details))
}

/// A chain that is sure to drop what containers send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropping {
    /// The table it is in.
    pub table: String,
    /// Its name.
    pub name: String,
    /// The handle of the rule that drops; `None`: its policy does.
    pub rule: Option<u64>,
    /// Whether it is the chain `FORWARD` of iptables, which ADD opens for its containers.
    pub is_iptables: bool,
}

/// All chains that are sure to drop what they send.
fn list_dropping(nft: &mut Nft, senders: &Senders) -> Result<Vec<Dropping>> {
    let mut dropping = Vec::new();
    let chains = nft.list_chains()?;
    for chain in chains.iter().filter(|chain| concerns(chain, &senders.protocols)) {
        let rules = nft.list_rules_of(chain)?;
        let rule = rules.iter().find(|rule| rule.drops_everything()).map(|rule| rule.handle);
        if rule.is_none() && chain.policy != Some(Policy::Drop) {
            continue;
        }
        let (table, name) = (chain.table.to_string(), chain.name.clone());
        let is_asked = rules.iter().any(may_let_pass);
        if is_asked && !is_dropped(nft, (chain, &chains), senders)? {
            // Its rules may be the administrator's for these containers.
            log::debug(|| format!("{table} {name} drops what its own rules do not accept"));
            continue;
        }
        dropping.push(Dropping { table, name, rule, is_iptables: is_iptables(chain) });
    }
    Ok(dropping)
}

/// Whether the chain drops a packet that is known, whatever its rules look at that is not.
fn is_dropped(
    nft: &mut Nft,
    (chain, chains): (&FoundChain, &[FoundChain]),
    senders: &Senders,
) -> Result<bool> {
    // What opens these is another part of this plugin.
    if senders.packets.is_empty() || is_iptables(chain) {
        return Ok(false);
    }
    let mut rules = Vec::new();
    for other in chains.iter().filter(|other| other.table == chain.table) {
        rules.extend(nft.list_rules_of(other)?);
    }
    let is_seen = |packet: &&Packet| match chain.table.family {
        Family::Ip => packet.source.is_ipv4(),
        Family::Ip6 => packet.source.is_ipv6(),
        _ => true,
    };
    let drops = |packet: &Packet| matches!(packet.passage(chain, &rules), Passage::Dropped(_));
    Ok(senders.packets.iter().filter(is_seen).any(drops))
}

fn is_iptables(chain: &FoundChain) -> bool {
    chain.table.family != Family::Inet
        && (chain.table.name.as_str(), chain.name.as_str()) == (TABLE, FORWARD)
}

/// Whether forwarded packets of the protocols go through the chain.
fn concerns(chain: &FoundChain, protocols: &[Protocol]) -> bool {
    let is_forwarding = chain
        .hook
        .as_ref()
        .is_some_and(|hook| hook.number == Hook::Forward.number() && hook.kind == "filter");
    let is_seen = match chain.table.family {
        Family::Inet => true,
        Family::Ip => protocols.contains(&Protocol::Ipv4),
        Family::Ip6 => protocols.contains(&Protocol::Ipv6),
        Family::Bridge | Family::Arp | Family::Netdev => false,
    };
    is_forwarding && is_seen
}

/// Whether the rule may accept what begins a connection.
fn may_let_pass(rule: &FoundRule) -> bool {
    let leads_on = match rule.verdict() {
        Some(Verdict::Accept | Verdict::Jump(_) | Verdict::Goto(_)) => true,
        Some(Verdict::Drop | Verdict::Return | Verdict::Continue) => false,
        // A map of verdicts, or none at all.
        None => !rule.sets().is_empty(),
    };
    leads_on && !is_for_replies(rule)
}

fn is_for_replies(rule: &FoundRule) -> bool {
    use ConnectionState::{Established, Related};
    let accept = || Statement::Verdict(Verdict::Accept);
    [vec![Established, Related], vec![Established]].into_iter().any(|states| {
        let state = Statement::ConnectionState(states);
        let counted = vec![state.clone(), Statement::Counter, accept()];
        [vec![state, accept()], counted]
            .into_iter()
            .any(|statements| rule.does(&Rule { statements, comment: String::new() }))
    })
}
