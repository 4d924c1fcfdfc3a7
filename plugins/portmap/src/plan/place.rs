//! Where packets to a mapped port must get the host's address: a set of containers and a chain.

use std::net::IpAddr;

use cni_common::nft::{
    BaseChain, ChainType, ConnectionStatus, Hook, IpVersion, Operation, Presence, Rule, Set,
    Statement,
};
use cni_common::packet_filter::table::INET as TABLE;
use cni_common::packet_filter::{Unit, owner};
use cni_common::types::{NetworkName, parse_cidr};
use ipnetwork::IpNetwork;

use super::maps::{address_type, destination, source};
use super::shared::{BEFORE_SOURCE, base_chain, loopback, refilled, rule};

/// What the names of the sets and chains begin with.
const SNAT: &str = "portmap/snat/";

/// A network and one of its subnets: where packets to a mapped port must get the host's address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    network: NetworkName,
    /// Whose packets; everybody's if its prefix has no bits.
    sources: IpNetwork,
}

impl Place {
    /// That of these sources.
    pub(super) fn of(network: &NetworkName, sources: IpNetwork) -> Self {
        let base = IpNetwork::new(sources.network(), sources.prefix());
        Self { network: network.clone(), sources: base.unwrap_or(sources) }
    }

    /// The place whose name this is, if it is one of the network's.
    pub fn named(network: &NetworkName, name: &str) -> Option<Self> {
        let subnet = name.strip_prefix(&prefix(network))?.replace('-', ":");
        let place = Self::of(network, parse_cidr(&subnet)?);
        (place.name() == name).then_some(place)
    }

    /// Whether the address is one of its subnet; none is where everybody is masqueraded.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.sources.prefix() > 0 && self.sources.contains(ip)
    }

    fn version(&self) -> IpVersion {
        crate::mapping::version_of(self.sources.ip())
    }

    /// The name of its set and its chain, with `-` for the `:` of IPv6.
    pub(super) fn name(&self) -> String {
        format!("{}{}", prefix(&self.network), self.sources.to_string().replace(':', "-"))
    }

    /// Its set of container addresses.
    pub fn set(&self) -> Set {
        let network = owner::network_part(&self.network);
        let comment = format!("containers with mapped ports in network {network}");
        Set::new(self.name(), &[address_type(self.version())], comment)
    }

    /// Its chain and rules.
    pub fn chain(&self) -> (BaseChain, Vec<Rule>) {
        let comment = format!(
            "network {}: what comes from {} or 127.0.0.0/8 to a mapped port",
            owner::network_part(&self.network),
            self.sources
        );
        let name = self.name();
        let hook = (Hook::Postrouting, BEFORE_SOURCE);
        let chain = base_chain((&name, ChainType::Nat), hook, &comment);
        let masquerade = |sources: Option<IpNetwork>| {
            let version = self.version();
            let mut statements = vec![
                Statement::ConnectionStatus(ConnectionStatus::DestinationTranslated),
                Statement::Lookup(vec![destination(version)], Presence::In, name.clone()),
            ];
            statements.extend(sources.map(|sources| Statement::Inside(source(version), sources)));
            statements.push(Statement::Masquerade);
            rule(statements)
        };
        if self.sources.prefix() == 0 {
            return (chain, vec![masquerade(None)]);
        }
        let mut rules = vec![masquerade(Some(self.sources))];
        if self.version() == IpVersion::V4 {
            rules.push(masquerade(loopback()));
        }
        (chain, rules)
    }

    /// What is removed with its last address.
    pub fn unit(&self) -> Unit {
        Unit { table: TABLE, chains: vec![self.name()], sets: vec![self.set()] }
    }

    /// What makes both.
    pub(super) fn base(&self) -> Vec<Operation> {
        let (chain, rules) = self.chain();
        let mut base = vec![Operation::AddSet(TABLE, self.set())];
        base.extend(refilled(chain, rules));
        base
    }
}

/// What the names of a network's places begin with.
fn prefix(network: &NetworkName) -> String {
    format!("{SNAT}{}/", owner::network_part(network).replace(owner::CUT, "/"))
}
