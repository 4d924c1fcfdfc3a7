//! What the suite's own tables hold for `firewall`. Pure.
//!
//! Table `inet causeway`: sets of the addresses of all containers, and a chain before those of
//! others that marks what is from or for them; a packet costs the same whatever their number. The
//! mark is what `FORWARD` of iptables accepts, and is cleared behind it. Bridges with an
//! `ingressPolicy` stand in a set and a map. Table `bridge causeway`: the ports that hear nothing
//! from other ports.

use std::net::IpAddr;

use cni_common::nft::{
    BaseChain, ChainType, ConnectionState, ConnectionStatus, Element, Field, Hook, KeyType,
    Operation, Policy, Presence, Rule, Set, Statement, Table, Value, Verdict,
};
use cni_common::packet_filter::table::{self, BRIDGE, INET};
use cni_common::packet_filter::{ElementKey, Registry, Unit, Wanted};
use cni_common::types::IfName;

use crate::config::{Config, IngressPolicy};
use crate::subject::Subject;

/// Added to the number of elements in the map of attachments: the host interface proves whether
/// the container lives.
pub const PROVABLE: usize = 1 << 16;
/// `NF_IP_PRI_FILTER`, and `NF_BR_PRI_FILTER_BRIDGED` of linux/netfilter_bridge.h.
const FILTER: i32 = 0;
const BRIDGE_FILTER: i32 = -200;
/// What the names of sets of one bridge's attachments begin with.
const ON: &str = "firewall/on/";
/// What the names of sets of the attachments in one zone of firewalld begin with.
const ZONE: &str = "firewall/zone/";

/// The attachments, each with the number of its other elements.
pub fn attachments() -> Registry {
    Registry::new(INET, "firewall/attachments", "attachment : how many elements it has")
}

/// Addresses of one protocol.
pub fn addresses(of: IpAddr) -> Set {
    let (name, key) = match of {
        IpAddr::V4(_) => ("firewall/ipv4", KeyType::Ipv4),
        IpAddr::V6(_) => ("firewall/ipv6", KeyType::Ipv6),
    };
    Set::new(name, &[key], "addresses of containers")
}

/// Both sets of addresses.
pub fn all_addresses() -> [Set; 2] {
    [addresses([0; 4].into()), addresses([0; 16].into())]
}

/// The attachments with a policy on the bridge.
pub fn on_bridge(bridge: &str) -> Set {
    let name = format!("{ON}{bridge}");
    Set::new(name, &[KeyType::Ifname], "attachments with an ingressPolicy on the bridge")
}

/// The bridge whose attachments the set of this name holds.
pub fn bridge_of(set: &str) -> Option<&str> {
    set.strip_prefix(ON)
}

/// The attachments whose addresses are in the zone of firewalld.
pub fn in_zone(zone: &str) -> Set {
    let name = format!("{ZONE}{zone}");
    Set::new(name, &[KeyType::Ifname], "attachments whose addresses are in the zone of firewalld")
}

/// The zone whose attachments the set of this name holds.
pub fn zone_of(set: &str) -> Option<&str> {
    set.strip_prefix(ZONE)
}

/// The bridges with a policy.
pub fn bridges() -> Set {
    Set::new("firewall/bridges", &[KeyType::Ifname], "bridges with an ingressPolicy")
}

/// What becomes of packets from a bridge to itself.
pub fn within() -> Set {
    let key = [KeyType::Ifname, KeyType::Ifname];
    Set::new("firewall/within", &key, "from a bridge to itself").to(&[KeyType::Verdict])
}

/// The ports that hear nothing from other ports, in table `bridge causeway`.
pub fn isolated_ports() -> Set {
    Set::new("firewall/isolated", &[KeyType::Ifname], "ports with ingressPolicy isolated")
}

/// A chain that the packet filter enters when something is forwarded, and its rules.
type Chain = (BaseChain, Vec<Rule>);

fn chain((name, comment): (&str, &str), priority: i32, rules: Vec<Vec<Statement>>) -> Chain {
    let chain = BaseChain {
        name: name.to_owned(),
        kind: ChainType::Filter,
        hook: Hook::Forward,
        priority,
        policy: Policy::Accept,
        comment: comment.to_owned(),
    };
    let rule = |statements| Rule { statements, comment: String::new() };
    (chain, rules.into_iter().map(rule).collect())
}

fn holds(fields: Vec<Field>, set: &Set) -> Statement {
    Statement::Lookup(fields, Presence::In, set.name.clone())
}

/// Marks what is from or for containers, before anybody's default priority.
pub fn marking(mark: u32) -> Chain {
    let add = Statement::AddMark(mark);
    let replies =
        Statement::ConnectionState(vec![ConnectionState::Established, ConnectionState::Related]);
    // A published port, whoever publishes it.
    let published = Statement::ConnectionStatus(ConnectionStatus::DestinationTranslated);
    let mut rules = vec![vec![Statement::ClearMark(mark)]];
    let fields =
        [(Field::Ip4Source, Field::Ip4Destination), (Field::Ip6Source, Field::Ip6Destination)];
    for (set, (source, destination)) in all_addresses().iter().zip(fields) {
        let to = holds(vec![destination], set);
        rules.push(vec![holds(vec![source], set), add.clone()]);
        rules.push(vec![to.clone(), replies.clone(), add.clone()]);
        rules.push(vec![to, published.clone(), add.clone()]);
    }
    chain(("firewall/forward", "marks what containers may forward"), FILTER - 1, rules)
}

/// Clears the mark behind the chains that look at it.
pub fn clearing(mark: u32) -> Chain {
    let rules = vec![vec![Statement::ClearMark(mark)]];
    chain(("firewall/forwarded", "clears the mark"), FILTER + 1, rules)
}

/// Keeps bridges with a policy apart.
pub fn isolation() -> Chain {
    let (input, output) = (Field::InputName, Field::OutputName);
    let rules = vec![
        vec![Statement::VerdictMap(vec![input, output], within().name)],
        vec![
            holds(vec![input], &bridges()),
            holds(vec![output], &bridges()),
            Statement::Verdict(Verdict::Drop),
        ],
    ];
    chain(("firewall/isolation", "ingressPolicy of bridges"), FILTER - 2, rules)
}

/// Keeps ports of one bridge apart, in table `bridge causeway`.
pub fn port_isolation() -> Chain {
    let drops =
        |field| vec![holds(vec![field], &isolated_ports()), Statement::Verdict(Verdict::Drop)];
    let rules = vec![drops(Field::InputName), drops(Field::OutputName)];
    chain(("firewall/isolated", "ingressPolicy isolated"), BRIDGE_FILTER, rules)
}

fn made(table: Table, (chain, rules): Chain) -> Vec<Operation> {
    let name = chain.name.clone();
    let mut operations =
        vec![Operation::AddChain(table, chain), Operation::FlushChain(table, name.clone())];
    operations.extend(rules.into_iter().map(|rule| Operation::AddRule(table, name.clone(), rule)));
    operations
}

/// What makes the chain that keeps bridges apart, in a table that is there.
pub fn isolation_base() -> Vec<Operation> {
    let mut base = vec![table::add_inet()];
    base.extend([bridges(), within()].map(|set| Operation::AddSet(INET, set)));
    base.extend(made(INET, isolation()));
    base
}

/// The elements of a bridge: that it has a policy, and what passes within it.
pub fn bridge_elements(bridge: &str, policy: IngressPolicy) -> [(Set, Element); 2] {
    let name = || Value::Name(bridge.to_owned());
    let comment = format!("ingressPolicy {}", policy.word());
    let verdict = match policy {
        IngressPolicy::Isolated => Verdict::Drop,
        IngressPolicy::Open | IngressPolicy::SameBridge => Verdict::Accept,
    };
    let within_it = Element::new(vec![name(), name()], comment.clone());
    [
        (bridges(), Element::new(vec![name()], comment)),
        (within(), within_it.with_data(vec![Value::Verdict(verdict)])),
    ]
}

/// What is to be there for an attachment whose rules are iptables': DEL finds by its addresses the
/// rules, which name nobody.
pub fn recorded(subject: &Subject) -> Wanted {
    Wanted { base: record_base(subject), elements: elements(subject, record_entries(subject)) }
}

/// The table, and the sets that say which addresses an attachment has, and in which zone.
fn record_base(subject: &Subject) -> Vec<Operation> {
    let mut sets = all_addresses().to_vec();
    sets.push(attachments().set().clone());
    sets.extend(subject.zone.as_deref().map(in_zone));
    let sets = sets.into_iter().map(|set| Operation::AddSet(INET, set));
    [table::add_inet()].into_iter().chain(sets).collect()
}

fn record_entries(subject: &Subject) -> Vec<(Table, Set, Value)> {
    let addresses = subject.addresses.iter().map(|ip| (INET, addresses(*ip), Value::Ip(*ip)));
    let name = || Value::Name(subject.name.clone());
    let zone = subject.zone.as_deref().map(|zone| (INET, in_zone(zone), name()));
    addresses.chain(zone).collect()
}

/// All that is to be there for the attachment, but for what its bridge has.
pub fn wanted(subject: &Subject, config: &Config) -> Wanted {
    let mut base = record_base(subject);
    base.extend(made(INET, marking(config.mark)));
    base.extend(made(INET, clearing(config.mark)));
    let mut own = record_entries(subject);
    let name = |name: &str| Value::Name(name.to_owned());
    let with_policy = |_bridge: &&IfName| config.policy != IngressPolicy::Open;
    if let Some(bridge) = subject.bridge.as_ref().filter(with_policy) {
        let set = on_bridge(bridge.as_str());
        base.push(Operation::AddSet(INET, set.clone()));
        base.extend(isolation_base().into_iter().skip(1));
        own.push((INET, set, name(&subject.name)));
    }
    let isolated = |_port: &&IfName| config.policy == IngressPolicy::Isolated;
    if let Some(port) = subject.port.as_ref().filter(isolated) {
        base.extend([table::add_bridge(), Operation::AddSet(BRIDGE, isolated_ports())]);
        base.extend(made(BRIDGE, port_isolation()));
        own.push((BRIDGE, isolated_ports(), name(port.as_str())));
    }
    Wanted { base, elements: elements(subject, own) }
}

fn elements(subject: &Subject, own: Vec<(Table, Set, Value)>) -> Vec<(Table, Set, Element)> {
    let comment = subject.comment();
    let registry = attachments();
    let count = own.len() + if subject.is_on_own_port() { PROVABLE } else { 0 };
    let registration = registry.element(&subject.name, count, &comment);
    let mut elements = vec![(INET, registry.set().clone(), registration)];
    let element = |key| Element::new(vec![key], comment.clone());
    elements.extend(own.into_iter().map(|(table, set, key)| (table, set, element(key))));
    elements
}

/// What is removed when no attachment is left.
pub fn forward_unit() -> Unit {
    let [four, six] = all_addresses();
    Unit {
        table: INET,
        chains: [marking(0), clearing(0)].map(|(chain, _)| chain.name).to_vec(),
        sets: vec![attachments().set().clone(), four, six],
    }
}

/// What is removed with the last attachment on the bridge that has a policy.
pub fn bridge_unit(bridge: &str) -> Unit {
    Unit { table: INET, chains: Vec::new(), sets: vec![on_bridge(bridge)] }
}

/// What is removed with the last attachment in the zone.
pub fn zone_unit(zone: &str) -> Unit {
    Unit { table: INET, chains: Vec::new(), sets: vec![in_zone(zone)] }
}

/// What is removed with the last bridge that has a policy.
pub fn isolation_unit() -> Unit {
    Unit { table: INET, chains: vec![isolation().0.name], sets: vec![bridges(), within()] }
}

/// What is removed with the last isolated port.
pub fn port_unit() -> Unit {
    Unit { table: BRIDGE, chains: vec![port_isolation().0.name], sets: vec![isolated_ports()] }
}

/// Where the element of an address is.
pub fn address_key(ip: IpAddr) -> ElementKey {
    ElementKey { table: INET, set: addresses(ip), key: vec![Value::Ip(ip)] }
}
