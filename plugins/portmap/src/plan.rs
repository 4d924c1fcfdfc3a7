//! What the packet filter should hold for an attachment with mapped ports. Pure.
//!
//! Table `inet causeway`. For each IP version two maps lead from a port of the host to a container's
//! address and port: one with the host's address in its key, which is asked first, and one without.
//! Four rules look into them, however many ports are mapped. Whoever is on the container's own
//! subnet would be answered past the host, where nobody translates back: so for every (network,
//! subnet) a set of the containers' addresses and a chain that masquerades what comes from there.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;

use cni_common::names;
use cni_common::nft::{
    BaseChain, ChainType, Comparison, ConnectionStatus, Element, Field, Hook, IpVersion, KeyType,
    MAX_COMMENT, Operation, Policy, Presence, Rule, Set, Statement, Value, Verdict,
};
use cni_common::packet_filter::table::{self, INET as TABLE};
use cni_common::packet_filter::{ElementKey, Registry, Unit, Wanted, owner};
use cni_common::types::{Attachment, NetworkName, parse_cidr};
use ipnetwork::{IpNetwork, Ipv4Network};

use crate::config::{Config, Snat};
use crate::mapping::Mapping;
use crate::target::Targets;

/// `NF_IP_PRI_NAT_DST`, `NF_IP_PRI_RAW`, and just before `NF_IP_PRI_NAT_SRC`, where `bridge`
/// masquerades.
const DESTINATION: i32 = -100;
const RAW: i32 = -300;
const BEFORE_SOURCE: i32 = 99;

const PREROUTING: &str = "portmap/prerouting";
const OUTPUT: &str = "portmap/output";
const LOCALNET: &str = "portmap/localnet";
/// The chain that looks into the maps.
pub const REDIRECT: &str = "portmap/redirect";
const REDIRECT_COMMENT: &str = "ports of the host that lead to containers";
const SNAT: &str = "portmap/snat/";

/// Both IP versions.
const VERSIONS: [IpVersion; 2] = [IpVersion::V4, IpVersion::V6];

/// How many elements each attachment has in the other maps and sets.
pub fn attachments() -> Registry {
    let comment = "host interface of a container with mapped ports : how many elements it has";
    Registry::new(TABLE, "portmap/attachments", comment)
}

/// The paths of the containers' namespaces, as comments: with that its attachment ends.
pub fn namespaces() -> Set {
    Set::new("portmap/namespaces", &[KeyType::Ifname], "comments: the containers' namespaces")
}

/// The key of an attachment in [`namespaces`].
pub fn namespace_key(attachment: &Attachment) -> ElementKey {
    let key = vec![Value::Name(names::host_interface(attachment))];
    ElementKey { table: TABLE, set: namespaces(), key }
}

/// The map of the ports at all addresses of the host.
fn ports(version: IpVersion) -> Set {
    let key = [KeyType::Protocol, KeyType::Port];
    let name = format!("portmap/ports/{version}");
    Set::new(name, &key, "port of the host : container").to(&[address_type(version), KeyType::Port])
}

/// The map of the ports at one address of the host.
fn addresses(version: IpVersion) -> Set {
    let key = [address_type(version), KeyType::Protocol, KeyType::Port];
    let name = format!("portmap/addresses/{version}");
    let comment = "address and port of the host : container";
    Set::new(name, &key, comment).to(&[address_type(version), KeyType::Port])
}

/// All maps of ports.
pub fn maps() -> impl Iterator<Item = Set> {
    VERSIONS.into_iter().flat_map(|version| [addresses(version), ports(version)])
}

/// Whether it is one of the maps of ports, whose elements only their owner may replace.
pub fn is_map_of_ports(set: &Set) -> bool {
    maps().any(|map| map.name == set.name)
}

fn address_type(version: IpVersion) -> KeyType {
    destination(version).key_type()
}

fn destination(version: IpVersion) -> Field {
    match version {
        IpVersion::V4 => Field::Ip4Destination,
        IpVersion::V6 => Field::Ip6Destination,
    }
}

fn source(version: IpVersion) -> Field {
    match version {
        IpVersion::V4 => Field::Ip4Source,
        IpVersion::V6 => Field::Ip6Source,
    }
}

fn rule(statements: Vec<Statement>) -> Rule {
    Rule { statements, comment: String::new() }
}

/// The rules of [`REDIRECT`].
pub fn redirect_rules() -> Vec<Rule> {
    let look = |version: IpVersion| {
        let port = [Field::L4Protocol, Field::DestinationPort];
        let mut with_address = vec![destination(version)];
        with_address.extend(port);
        [
            rule(vec![Statement::DnatToMap(version, with_address, addresses(version).name)]),
            rule(vec![Statement::DnatToMap(version, port.to_vec(), ports(version).name)]),
        ]
    };
    VERSIONS.into_iter().flat_map(look).collect()
}

/// The chains with a hook that all attachments share, each with its only rule.
pub fn shared_chains() -> Vec<(BaseChain, Rule)> {
    let redirecting = |name: &str, hook, comment: &str| {
        let jump = Statement::Verdict(Verdict::Jump(REDIRECT.to_owned()));
        let chain = base_chain((name, ChainType::Nat), (hook, DESTINATION), comment);
        (chain, rule(vec![Statement::DestinationIsLocal, jump]))
    };
    let guard = base_chain(
        (LOCALNET, ChainType::Filter),
        (Hook::Prerouting, RAW),
        "nobody but the host itself reaches its 127.0.0.0/8",
    );
    let from_elsewhere =
        Statement::Compare(Field::InputName, Comparison::NotEqual, Value::Name("lo".to_owned()));
    let mut statements = vec![from_elsewhere];
    statements.extend(loopback().map(|net| Statement::Inside(Field::Ip4Destination, net)));
    statements.push(Statement::Verdict(Verdict::Drop));
    vec![
        redirecting(PREROUTING, Hook::Prerouting, "what comes in for a mapped port"),
        redirecting(OUTPUT, Hook::Output, "what this host sends to a mapped port of its own"),
        (guard, rule(statements)),
    ]
}

fn base_chain(
    (name, kind): (&str, ChainType),
    (hook, priority): (Hook, i32),
    comment: &str,
) -> BaseChain {
    let (name, comment) = (name.to_owned(), comment.to_owned());
    BaseChain { name, kind, hook, priority, policy: Policy::Accept, comment }
}

/// `127.0.0.0/8`.
fn loopback() -> Option<IpNetwork> {
    Ipv4Network::new(Ipv4Addr::new(127, 0, 0, 0), 8).ok().map(IpNetwork::V4)
}

/// What is removed with the last attachment.
pub fn shared_units() -> [Unit; 3] {
    let registry = |set: Set| Unit { table: TABLE, chains: Vec::new(), sets: vec![set] };
    let chains = [PREROUTING, OUTPUT, LOCALNET, REDIRECT].map(str::to_owned).to_vec();
    let maps = Unit { table: TABLE, chains, sets: maps().collect() };
    [maps, registry(attachments().set().clone()), registry(namespaces())]
}

/// What makes the shared part, or puts back what is missing of it.
fn shared_base() -> Vec<Operation> {
    let sets = [attachments().set().clone(), namespaces()].into_iter().chain(maps());
    let mut base = vec![table::add_inet()];
    base.extend(sets.map(|set| Operation::AddSet(TABLE, set)));
    base.push(Operation::AddRegularChain(TABLE, REDIRECT.to_owned(), REDIRECT_COMMENT.to_owned()));
    base.push(Operation::FlushChain(TABLE, REDIRECT.to_owned()));
    let add = |rule| Operation::AddRule(TABLE, REDIRECT.to_owned(), rule);
    base.extend(redirect_rules().into_iter().map(add));
    base.extend(shared_chains().into_iter().flat_map(|(chain, rule)| refilled(chain, vec![rule])));
    base
}

fn refilled(chain: BaseChain, rules: Vec<Rule>) -> Vec<Operation> {
    let name = chain.name.clone();
    let mut operations =
        vec![Operation::AddChain(TABLE, chain), Operation::FlushChain(TABLE, name.clone())];
    let add = |rule| Operation::AddRule(TABLE, name.clone(), rule);
    operations.extend(rules.into_iter().map(add));
    operations
}

/// A network and one of its subnets: where packets to a mapped port must get the host's address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    network: NetworkName,
    /// Whose packets; everybody's if its prefix has no bits.
    sources: IpNetwork,
}

impl Place {
    fn of(network: &NetworkName, sources: IpNetwork) -> Self {
        let base = IpNetwork::new(sources.network(), sources.prefix());
        Self { network: network.clone(), sources: base.unwrap_or(sources) }
    }

    /// The place whose name this is, if it is one of the network's.
    pub fn named(network: &NetworkName, name: &str) -> Option<Self> {
        let subnet = name.strip_prefix(&prefix(network))?.replace('-', ":");
        let place = Self::of(network, parse_cidr(&subnet)?);
        (place.name() == name).then_some(place)
    }

    fn version(&self) -> IpVersion {
        crate::mapping::version_of(self.sources.ip())
    }

    /// The name of its set and its chain, with `-` for the `:` of IPv6.
    fn name(&self) -> String {
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

    fn base(&self) -> Vec<Operation> {
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

/// The places whose sets the attachment's addresses belong in.
pub fn places(attachment: &Attachment, config: &Config, targets: &Targets) -> BTreeSet<Place> {
    let mapped = targets.iter().filter(|(version, _)| is_mapped(config, *version));
    mapped.filter_map(|(_, target)| place(&attachment.network, config.snat, target)).collect()
}

fn place(network: &NetworkName, snat: Snat, target: IpNetwork) -> Option<Place> {
    let sources = match snat {
        Snat::Nobody => return None,
        Snat::Needed => target,
        Snat::Everybody => IpNetwork::new(target.ip(), 0).ok()?,
    };
    Some(Place::of(network, sources))
}

/// Whether any port is mapped at addresses of this version.
pub fn is_mapped(config: &Config, version: IpVersion) -> bool {
    config.mappings.iter().any(|mapping| mapping.host.has(version))
}

/// The attachment's elements, without those that say that there are some.
pub fn elements(
    attachment: &Attachment,
    config: &Config,
    targets: &Targets,
) -> Vec<(Set, Element)> {
    let comment = owner::comment(attachment);
    let mut elements = Vec::new();
    for (version, target) in targets.iter() {
        let mapped = config.mappings.iter().filter(|mapping| mapping.host.has(version));
        elements.extend(mapped.map(|mapping| port_element(mapping, target, &comment)));
        let place = place(&attachment.network, config.snat, target);
        if let Some(place) = place.filter(|_| is_mapped(config, version)) {
            let element = Element::new(vec![Value::Ip(target.ip())], comment.clone());
            elements.push((place.set(), element));
        }
    }
    elements
}

fn port_element(mapping: &Mapping, target: IpNetwork, comment: &str) -> (Set, Element) {
    let version = crate::mapping::version_of(target.ip());
    let mut key = Vec::from_iter(mapping.host.one().map(Value::Ip));
    let map = if key.is_empty() { ports(version) } else { addresses(version) };
    key.extend([Value::Protocol(mapping.protocol.number()), Value::Port(mapping.host_port)]);
    let data = vec![Value::Ip(target.ip()), Value::Port(mapping.container_port)];
    (map, Element::new(key, comment).with_data(data))
}

/// All that is to be there for the attachment. `netns` is the path of the container's namespace.
pub fn wanted(
    attachment: &Attachment,
    (config, targets): (&Config, &Targets),
    netns: &Path,
) -> Wanted {
    let mut base = shared_base();
    base.extend(places(attachment, config, targets).iter().flat_map(Place::base));
    let own = elements(attachment, config, targets);
    let port = names::host_interface(attachment);
    let registry = attachments();
    let registration = registry.element(&port, own.len(), &owner::comment(attachment));
    let mut elements = vec![(TABLE, registry.set().clone(), registration)];
    elements.extend(namespace_element(&port, netns).map(|one| (TABLE, namespaces(), one)));
    elements.extend(own.into_iter().map(|(set, element)| (TABLE, set, element)));
    Wanted { base, elements }
}

/// The element that names the namespace; none for a path that is no comment.
fn namespace_element(port: &str, netns: &Path) -> Option<Element> {
    let is_plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    let path = netns.to_str().filter(|path| {
        path.len() <= MAX_COMMENT && path.starts_with('/') && path.chars().all(is_plain)
    })?;
    Some(Element::new(vec![Value::Name(port.to_owned())], path))
}

#[cfg(test)]
mod tests {
    use cni_common::spec::{CniResult, Ip, NetworkConfig, Object, Version};

    use super::*;

    fn plan(keys: &str) -> String {
        let text = format!(r#"{{"cniVersion":"1.1.0","name":"podman"{keys}}}"#);
        let config = Object::parse(&text, "test").unwrap();
        let config = Config::parse(&NetworkConfig::parse(config, &Version::ALL).unwrap()).unwrap();
        let ip = |address: &str| Ip {
            interface: None,
            address: address.parse().unwrap(),
            gateway: None,
        };
        let ips = vec![ip("10.88.0.5/16"), ip("fd88::5/64")];
        let result = CniResult { ips, ..CniResult::default() };
        let attachment = Attachment {
            network: "podman".parse().unwrap(),
            container: "3b1c0ffee5".parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
        };
        let targets = Targets::of(&result, &attachment.ifname);
        let netns = Path::new("/run/netns/blue");
        let operations = wanted(&attachment, (&config, &targets), netns).operations();
        operations.iter().map(|operation| format!("{operation}\n")).collect()
    }

    const MAPPINGS: &str = r#","runtimeConfig":{"portMappings":[
        {"hostPort":8080,"containerPort":80,"protocol":"tcp"},
        {"hostPort":53,"containerPort":5353,"protocol":"udp","hostIP":"192.0.2.1"},
        {"hostPort":9,"containerPort":9,"protocol":"sctp","hostIP":"::"}]}"#;

    #[test]
    fn the_transaction_reads_as_nft_lines() {
        testsupport::golden::assert_matches("testdata/portmap/ports.nft", &plan(MAPPINGS));
    }

    #[test]
    fn snat_decides_who_is_masqueraded() {
        let none = plan(&format!(r#"{MAPPINGS},"snat":false"#));
        assert!(!none.contains("masquerade"), "{none}");
        let all = plan(&format!(r#"{MAPPINGS},"masqAll":true"#));
        assert!(all.contains("ct status dnat ip daddr @portmap/snat/podman/0.0.0.0/0 masquerade"));
    }

    #[test]
    fn a_name_leads_back_to_its_place_only() {
        let network: NetworkName = "podman".parse().unwrap();
        for address in ["10.88.0.5/16", "fd00::5/64", "::/0"] {
            let place = Place::of(&network, address.parse().unwrap());
            assert_eq!(Place::named(&network, &place.name()), Some(place));
        }
        assert_eq!(Place::named(&network, "portmap/snat/podman2/10.88.0.0/16"), None);
    }
}
