//! What attachments that are alive lack of what their network list says: what `check` reports and `repair`
//! puts back, both by the plugins' own code.
//!
//! - `rules`: those of an attachment in the packet filter, and its limits.
//! - `mend`: putting back what is missing.

mod mend;
mod rules;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::net::IpAddr;

use causeway_bridge::filter::masquerade;
use causeway_bridge::operation::Operation;
use causeway_bridge::shared;
use causeway_firewall::nftables as firewall;
use cni_common::packet_filter::owner;
use cni_common::spec::{CniResult, Ip};
use cni_common::sys::Netlink;
use cni_common::sys::nft::Nft;
use cni_common::types::Attachment;
use cni_common::{Context, Error, Result, log};
use ipnetwork::IpNetwork;

use crate::attachments::{Attached, Attachments, Key, Rules, State};
use crate::fault::Fault;
use crate::networks::{Network, Networks};
use crate::progress;

pub(crate) use mend::mend_all;

/// One thing that is missing.
#[derive(Clone, Debug)]
pub(crate) struct Lack {
    /// The network.
    pub(crate) network: String,
    /// Whose it is; `None` for what all attachments of the network share.
    pub(crate) key: Option<Key>,
    /// What is wrong without it.
    pub(crate) fault: Fault,
    /// What is missing.
    pub(crate) what: What,
}

/// What is missing.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// A step that an ADD would do to what all attachments share.
    Shared(Operation),
    /// The pair is no port of its bridge.
    Port(String),
    /// Rules in the packet filter.
    Rules(Rules),
    /// The file of an address that the container has.
    Lease(Vec<IpAddr>),
}

impl What {
    /// The word for it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Shared(Operation::EnableForwarding { .. }) => "forwarding-off",
            Self::Shared(Operation::AddAddress { .. }) => "bridge-without-address",
            Self::Shared(_) => "bridge-altered",
            Self::Port(_) => "port-off-bridge",
            Self::Rules(_) => "attachment-without-rules",
            Self::Lease(_) => "interface-without-lease",
        }
    }
}

impl Lack {
    /// Whose it is: the attachment, or the network whose attachments share it.
    fn whose(&self) -> String {
        self.key.as_ref().map_or(self.network.clone(), Key::to_string)
    }

    /// Whose it is, and the first part of its fault.
    pub(crate) fn in_short(&self) -> String {
        format!("{}: {}", self.whose(), self.fault.first())
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.whose(), self.fault)
    }
}

/// Everything that is missing. What can't be looked at is an error of its network, which does not keep
/// the others from being looked at.
pub(crate) fn find(
    networks: &Networks,
    attachments: &Attachments,
) -> Result<(Vec<Lack>, Vec<Error>)> {
    let (mut host, mut nft) = (Netlink::open()?, Nft::open()?);
    let (mut lacks, mut errors) = (Vec::new(), Vec::new());
    let let_through = firewall::list_addresses(&mut nft).unwrap_or_else(|error| {
        log::debug(|| format!("each is looked at by itself: {error}"));
        HashSet::new()
    });
    for network in networks.all.values() {
        let masqueraded = masquerade::list_addresses(&mut nft, &network.name);
        let found = masqueraded.and_then(|masqueraded| {
            let masqueraded = masqueraded.into_iter().collect();
            let let_through = &let_through;
            let (sound, without_table) = (HashSet::new(), BTreeMap::new());
            let mut finding = Finding {
                network,
                attachments,
                lacks: &mut lacks,
                masqueraded,
                let_through,
                sound,
                without_table,
            };
            finding.shared(&mut host).and_then(|()| finding.each())
        });
        errors.extend(found.with_context(|| format!("network {}", network.name)).err());
    }
    Ok((lacks, errors))
}

struct Finding<'a> {
    network: &'a Network,
    attachments: &'a Attachments,
    lacks: &'a mut Vec<Lack>,
    /// Every address that is masqueraded, by the comment that says whose it is.
    masqueraded: HashSet<(String, IpAddr)>,
    /// Every address that `firewall` lets through, likewise; none where there is more to look at.
    let_through: &'a HashSet<(String, IpAddr)>,
    /// Of which rules, for which subnets, everything that attachments share is there.
    sound: HashSet<(Rules, Vec<IpNetwork>)>,
    /// Of which rules not even the table is there, in words.
    without_table: BTreeMap<Rules, Fault>,
}

impl Finding<'_> {
    fn note(&mut self, key: Option<&Key>, what: What, fault: impl Into<Fault>) {
        let network = self.network.name.to_string();
        self.lacks.push(Lack { network, key: key.cloned(), fault: fault.into(), what });
    }

    /// Bridge, gateway addresses, forwarding: while anybody is attached.
    fn shared(&mut self, host: &mut Netlink) -> Result<()> {
        let Some(config) = &self.network.bridge else { return Ok(()) };
        let living = || living(self.network, self.attachments);
        let Some(attachment) = living().find_map(|(key, _)| key.attachment()) else {
            return Ok(());
        };
        let addresses: Vec<IpNetwork> = living().flat_map(|(_, one)| one.addresses()).collect();
        let result = result_of(self.network, &addresses);
        for (operation, fault) in shared::missing(host, config, (&attachment, &result))? {
            self.note(None, What::Shared(operation), fault);
        }
        Ok(())
    }

    fn each(&mut self) -> Result<()> {
        let living: Vec<_> = living(self.network, self.attachments).collect();
        for (key, attached) in progress::each(("checked", "attachments"), living) {
            self.port(key, attached);
            self.rules(key, attached)?;
            self.lease(key, attached);
        }
        Ok(())
    }

    fn port(&mut self, key: &Key, attached: &Attached) {
        let (Some(config), Some(link)) = (&self.network.bridge, &attached.host) else { return };
        let bridge = config.bridge.as_str();
        if attached.is_ours && self.attachments.bridge(link.master) != Some(bridge) {
            let fault = format!("its host interface {} is no port of {bridge}", link.name);
            self.note(Some(key), What::Port(link.name.clone()), fault);
        }
    }

    fn rules(&mut self, key: &Key, attached: &Attached) -> Result<()> {
        let Some(attachment) = key.attachment() else { return Ok(()) };
        for kind in rules::wanted(self.network, attached) {
            let shared = (kind, rules::subnets(self.network, attached));
            if self.sound.contains(&shared) && self.has_its_own(&attachment, attached, kind) {
                continue;
            }
            if let Some(fault) =
                self.without_table.get(&kind).filter(|_| rules::needs(attached, kind))
            {
                self.note(Some(key), What::Rules(kind), fault.clone());
                continue;
            }
            let Err(fault) = rules::check(self.network, (&attachment, attached), kind)? else {
                self.sound.insert(shared);
                continue;
            };
            let fault = Fault::from(&fault);
            if rules::is_without_table(&fault.to_string()) {
                self.without_table.insert(kind, fault.clone());
            }
            self.note(Some(key), What::Rules(kind), fault);
        }
        Ok(())
    }

    /// Whether its own part of the rules is there, by what was read of all at once; `false` where that
    /// does not tell.
    fn has_its_own(&self, attachment: &Attachment, attached: &Attached, rules: Rules) -> bool {
        if !attached.rules.contains(&rules) {
            return false;
        }
        match rules {
            Rules::Masquerading => {
                let comment = owner::comment(attachment);
                let is_there = |ip| self.masqueraded.contains(&(comment.clone(), ip));
                rules::own_addresses(self.network, attached).iter().all(|one| is_there(one.ip()))
            }
            Rules::Ports => {
                let cached = attached.cached.as_ref();
                let wanted = cached.and_then(|cached| {
                    cached.attachment.capability_args.get("portMappings")?.as_array()
                });
                // A mapping is an element for each IP version, unless it says which.
                let addresses = rules::own_addresses(self.network, attached);
                let has = |is: fn(&IpNetwork) -> bool| usize::from(addresses.iter().any(is));
                let versions = has(IpNetwork::is_ipv4) + has(IpNetwork::is_ipv6);
                wanted.is_some_and(|wanted| wanted.len() * versions <= attached.ports.len())
            }
            Rules::Firewall => {
                let comment = owner::comment(attachment);
                let addresses = rules::of_result(attached);
                let is_there = |ip: &IpAddr| self.let_through.contains(&(comment.clone(), *ip));
                !addresses.is_empty() && addresses.iter().all(is_there)
            }
            Rules::MacCheck | Rules::Limits => false,
        }
    }

    /// An address that the container has out of the ranges, and that nobody holds.
    fn lease(&mut self, key: &Key, attached: &Attached) {
        if attached.state != State::OnlyLink || key.attachment().is_none() {
            return;
        }
        let sets = self.network.ranges.iter().flat_map(|config| &config.sets);
        let sets: Vec<_> = sets.collect();
        let inside = attached.inside.iter().flat_map(|inside| &inside.addresses);
        let of_ranges = |ip: &IpAddr| sets.iter().any(|set| set.range_of(*ip).is_some());
        // What can't be read may be its file.
        let is_free = |ip: &IpAddr| {
            let nobodys = Key::of_nobody(self.network.name.to_string(), *ip);
            !self.attachments.all.contains_key(&nobodys)
        };
        let addresses: Vec<IpAddr> =
            inside.map(IpNetwork::ip).filter(of_ranges).filter(is_free).collect();
        if !addresses.is_empty() {
            let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let fault = format!("no address file holds its {}", list.join(", "));
            self.note(Some(key), What::Lease(addresses), fault);
        }
    }
}

/// The attachments of a network whose containers are there.
fn living<'a>(
    network: &'a Network,
    attachments: &'a Attachments,
) -> impl Iterator<Item = (&'a Key, &'a Attached)> {
    let is_living = |attached: &Attached| {
        matches!(attached.state, State::Alive | State::OnlyLink) && attached.inside.is_some()
    };
    attachments.of(network.name.as_str()).filter(move |(_, attached)| is_living(attached))
}

/// What an ADD of the network would have answered, as far as it is about what all share: the gateway of
/// every range that one of the addresses is of.
fn result_of(network: &Network, addresses: &[IpNetwork]) -> CniResult {
    let sets = network.ranges.iter().flat_map(|config| &config.sets);
    let ranges = sets.flat_map(|set| set.ranges());
    let used = ranges.filter(|range| addresses.iter().any(|one| range.subnet.contains(one.ip())));
    let ip = |range: &causeway_host_local::range::Range| {
        let address = addresses.iter().find(|one| range.subnet.contains(one.ip()))?.ip();
        let address = IpNetwork::new(address, range.subnet.prefix()).ok()?;
        Some(Ip { interface: None, address, gateway: Some(range.gateway) })
    };
    CniResult { ips: used.filter_map(ip).collect(), ..CniResult::default() }
}
