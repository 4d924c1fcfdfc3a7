//! What the rule set should hold for an attachment that masquerades. Pure.
//!
//! Table `inet causeway`: for every (network, subnet) a set of the container addresses and a base
//! chain of one rule. A packet costs one look into a hash per network, however many containers
//! there are; so does an ADD, because sets without verdicts need no validation by the kernel.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cni_common::nft::{
    BaseChain, ChainType, Element, Field, Hook, KeyType, Operation, Policy, Presence, Rule, Set,
    Statement, Value,
};
use cni_common::packet_filter::table::{self, INET as TABLE};
use cni_common::packet_filter::{Registry, Unit, Wanted, owner};
use cni_common::types::NetworkName;
use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};

use crate::filter::Subject;

/// `NF_IP_PRI_NAT_SRC`, which `nft` prints as `srcnat`.
const PRIORITY: i32 = 100;

/// Multicast is never masqueraded.
const MULTICAST_4: (std::net::Ipv4Addr, u8) = (std::net::Ipv4Addr::new(224, 0, 0, 0), 4);
const MULTICAST_6: (std::net::Ipv6Addr, u8) =
    (std::net::Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8);

/// A network and one of its subnets: what has a set and a chain of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    network: NetworkName,
    subnet: IpNetwork,
}

impl Place {
    /// The place of an address with its prefix.
    pub(super) fn of(network: &NetworkName, address: &IpNetwork) -> Self {
        Self { network: network.clone(), subnet: subnet_of(address) }
    }

    /// The place whose name this is, if it is one of the network's.
    pub(super) fn named(network: &NetworkName, name: &str) -> Option<Self> {
        let subnet = name.strip_prefix(&prefix(network))?.replace('-', ":");
        let place = Self::of(network, &cni_common::types::parse_cidr(&subnet)?);
        (place.name() == name).then_some(place)
    }

    /// The name of its set and its chain: `masq/<network>/<subnet>`, in words that `nft` takes
    /// unquoted, so with `-` for the `:` of IPv6.
    pub(super) fn name(&self) -> String {
        format!("{}{}", prefix(&self.network), self.subnet.to_string().replace(':', "-"))
    }

    /// Its set of container addresses.
    pub(super) fn set(&self) -> Set {
        let key = if self.subnet.is_ipv4() { KeyType::Ipv4 } else { KeyType::Ipv6 };
        let network = owner::network_part(&self.network);
        Set::new(self.name(), &[key], format!("addresses in network {network}"))
    }

    /// Its chain.
    pub(super) fn chain(&self) -> BaseChain {
        BaseChain {
            name: self.name(),
            kind: ChainType::Nat,
            hook: Hook::Postrouting,
            priority: PRIORITY,
            policy: Policy::Accept,
            comment: format!(
                "network {}: what leaves {} for elsewhere",
                owner::network_part(&self.network),
                self.subnet
            ),
        }
    }

    /// The chain's only rule.
    pub(super) fn rule(&self) -> Rule {
        let (source, destination, multicast) = match self.subnet {
            IpNetwork::V4(_) => (
                Field::Ip4Source,
                Field::Ip4Destination,
                Ipv4Network::new(MULTICAST_4.0, MULTICAST_4.1).map(IpNetwork::V4),
            ),
            IpNetwork::V6(_) => (
                Field::Ip6Source,
                Field::Ip6Destination,
                Ipv6Network::new(MULTICAST_6.0, MULTICAST_6.1).map(IpNetwork::V6),
            ),
        };
        let mut statements = vec![
            Statement::Lookup(vec![source], Presence::In, self.name()),
            Statement::Outside(destination, self.subnet),
        ];
        statements.extend(multicast.ok().map(|range| Statement::Outside(destination, range)));
        statements.push(Statement::Masquerade);
        Rule { statements, comment: String::new() }
    }

    /// What is removed with its last address.
    pub(super) fn unit(&self) -> Unit {
        Unit { table: TABLE, chains: vec![self.name()], sets: vec![self.set()] }
    }

    /// What makes it, or puts back what is missing of it.
    fn base(&self) -> [Operation; 4] {
        let name = self.name();
        [
            Operation::AddSet(TABLE, self.set()),
            Operation::AddChain(TABLE, self.chain()),
            Operation::FlushChain(TABLE, name.clone()),
            Operation::AddRule(TABLE, name, self.rule()),
        ]
    }
}

const ATTACHMENTS_COMMENT: &str =
    "host interface of a masqueraded container : how many addresses it has";

/// How many addresses each attachment has here.
pub(super) fn attachments() -> Registry {
    Registry::new(TABLE, "masq/attachments", ATTACHMENTS_COMMENT)
}

/// The same map as it was called when no other plugin had one in the table. Containers that run may
/// have entries in it; no new ones are made.
pub(super) fn former_attachments() -> Registry {
    Registry::new(TABLE, "attachments", ATTACHMENTS_COMMENT)
}

/// What is removed with the last attachment.
pub(super) fn registries() -> [Unit; 2] {
    [attachments(), former_attachments()].map(|registry| Unit {
        table: TABLE,
        chains: Vec::new(),
        sets: vec![registry.set().clone()],
    })
}

/// All that is to be there for the attachment.
pub(super) fn wanted(subject: &Subject<'_>, addresses: &[IpNetwork]) -> Wanted {
    let network = &subject.attachment.network;
    let comment = owner::comment(subject.attachment);
    let mut base = vec![table::add_inet(), Operation::AddSet(TABLE, attachments().set().clone())];
    let places: BTreeSet<Place> = addresses.iter().map(|one| Place::of(network, one)).collect();
    base.extend(places.iter().flat_map(Place::base));

    let unique: BTreeSet<&IpNetwork> = addresses.iter().collect();
    let registry = attachments();
    let registration = registry.element(subject.port, unique.len(), &comment);
    let mut elements = vec![(TABLE, registry.set().clone(), registration)];
    elements.extend(unique.into_iter().map(|address| {
        let key = vec![Value::Ip(address.ip())];
        let element = Element::new(key, comment.clone());
        (TABLE, Place::of(network, address).set(), element)
    }));
    Wanted { base, elements }
}

/// What the names of a network's sets and chains begin with.
fn prefix(network: &NetworkName) -> String {
    format!("masq/{}/", owner::network_part(network).replace(owner::CUT, "/"))
}

/// The subnet of an address: the same without the host's part.
fn subnet_of(address: &IpNetwork) -> IpNetwork {
    let network: IpAddr = address.network();
    IpNetwork::new(network, address.prefix()).unwrap_or(*address)
}

#[cfg(test)]
mod tests {
    use cni_common::types::Attachment;

    use super::*;

    fn plan(network: &str, addresses: &[&str]) -> String {
        let attachment = Attachment {
            network: network.parse().unwrap(),
            container: "3b1c0ffee5".parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
        };
        let subject = Subject { attachment: &attachment, port: "veth0123456789a" };
        let addresses: Vec<_> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let operations = wanted(&subject, &addresses).operations();
        operations.iter().map(|operation| format!("{operation}\n")).collect()
    }

    #[test]
    fn the_transaction_reads_as_nft_lines() {
        let text = plan("podman", &["10.88.0.5/16", "10.88.0.6/16", "2001:4860:4860::5/64"]);
        testsupport::golden::assert_matches("testdata/bridge/filter/masquerade.nft", &text);
    }

    #[test]
    fn a_name_leads_back_to_its_place_only() {
        let network: NetworkName = "podman".parse().unwrap();
        for address in ["10.88.0.5/16", "fd00::5/64"] {
            let place = Place::of(&network, &address.parse().unwrap());
            assert_eq!(Place::named(&network, &place.name()), Some(place));
        }
        for other in ["masq/podman2/10.88.0.0/16", "masq/podman/10.88.0.1/16", "masq/attachments"] {
            assert_eq!(Place::named(&network, other), None, "{other}");
        }
    }

    #[test]
    fn a_cut_network_name_is_told_from_a_short_one() {
        let long: NetworkName = "n".repeat(200).parse().unwrap();
        let cut = owner::network_part(&long);
        let short: NetworkName = cut.split('~').next().unwrap().parse().unwrap();
        let name = Place::of(&long, &"10.0.0.1/8".parse().unwrap()).name();
        assert!(Place::named(&long, &name).is_some());
        assert_eq!(Place::named(&short, &name), None);
    }
}
