//! What all attachments share: chains, their rules, and the maps that they look into.

use std::net::Ipv4Addr;

use cni_common::nft::{
    BaseChain, ChainType, Comparison, Field, Hook, Operation, Policy, Rule, Set, Statement, Value,
    Verdict,
};
use cni_common::packet_filter::Unit;
use cni_common::packet_filter::table::{self, INET as TABLE};
use ipnetwork::{IpNetwork, Ipv4Network};

use super::conditional;
use super::maps::{
    VERSIONS, addresses, attachments, key_fields, maps, namespaces, plain, ports, routed_links,
    version_of,
};

/// `NF_IP_PRI_NAT_DST`, `NF_IP_PRI_RAW`, and just before `NF_IP_PRI_NAT_SRC`, where `bridge`
/// masquerades.
pub(super) const DESTINATION: i32 = -100;
const RAW: i32 = -300;
pub(super) const BEFORE_SOURCE: i32 = 99;

const PREROUTING: &str = "portmap/prerouting";
const OUTPUT: &str = "portmap/output";
/// The chain that keeps everybody but the host itself away from its 127.0.0.0/8.
pub const LOCALNET: &str = "portmap/localnet";
/// The chain that looks into the maps.
pub const REDIRECT: &str = "portmap/redirect";
const REDIRECT_COMMENT: &str = "ports of the host that lead to containers";

/// The rules of [`REDIRECT`].
pub fn redirect_rules() -> Vec<Rule> {
    let look = |map: Set| {
        let version = version_of(&map);
        rule(vec![Statement::DnatToMap(version, key_fields(&map), map.name)])
    };
    VERSIONS
        .into_iter()
        .flat_map(|version| [look(addresses(version)), look(ports(version))])
        .collect()
}

/// The chains with a hook that all attachments share, each with its only rule.
pub fn shared_chains() -> Vec<(BaseChain, Rule)> {
    let redirect =
        |name, hook, comment| redirecting((name, REDIRECT), (hook, DESTINATION), comment);
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
        redirect(PREROUTING, Hook::Prerouting, "what comes in for a mapped port"),
        redirect(OUTPUT, Hook::Output, "what this host sends to a mapped port of its own"),
        (guard, rule(statements)),
    ]
}

/// What is removed with the last attachment. It is the last when the map of attachments has no other,
/// so that is looked into first.
pub fn shared_units() -> [Unit; 3] {
    let own = [PREROUTING, OUTPUT, REDIRECT].map(str::to_owned);
    let chains = conditional::shared_chains().into_iter().chain(own).collect();
    let attachments = attachments().set().clone();
    let sets = [attachments.clone()].into_iter().chain(maps()).collect();
    let namespaces = Unit { table: TABLE, chains: Vec::new(), sets: vec![namespaces()] };
    // The guard stays while a link that packets were led out by lets them in.
    let guard = vec![attachments, routed_links()];
    let guard = Unit { table: TABLE, chains: vec![LOCALNET.to_owned()], sets: guard };
    [Unit { table: TABLE, chains, sets }, namespaces, guard]
}

/// What makes the shared part, or puts back what is missing of it.
pub(super) fn shared_base() -> Vec<Operation> {
    let sets = [attachments().set().clone(), namespaces()].into_iter().chain(plain());
    let mut base = vec![table::add_inet()];
    base.extend(sets.map(|set| Operation::AddSet(TABLE, set)));
    base.push(Operation::AddRegularChain(TABLE, REDIRECT.to_owned(), REDIRECT_COMMENT.to_owned()));
    base.push(Operation::FlushChain(TABLE, REDIRECT.to_owned()));
    let add = |rule| Operation::AddRule(TABLE, REDIRECT.to_owned(), rule);
    base.extend(redirect_rules().into_iter().map(add));
    base.extend(shared_chains().into_iter().flat_map(|(chain, rule)| refilled(chain, vec![rule])));
    base
}

/// A chain that leads to another one what is for an address of this host, and its rule.
pub(super) fn redirecting(
    (name, to): (&str, &str),
    hook: (Hook, i32),
    comment: &str,
) -> (BaseChain, Rule) {
    let jump = Statement::Verdict(Verdict::Jump(to.to_owned()));
    let chain = base_chain((name, ChainType::Nat), hook, comment);
    (chain, rule(vec![Statement::DestinationIsLocal, jump]))
}

/// A chain with this hook that accepts what it has no verdict for.
pub(super) fn base_chain(
    (name, kind): (&str, ChainType),
    (hook, priority): (Hook, i32),
    comment: &str,
) -> BaseChain {
    let (name, comment) = (name.to_owned(), comment.to_owned());
    BaseChain { name, kind, hook, priority, policy: Policy::Accept, comment }
}

/// `127.0.0.0/8`.
pub(super) fn loopback() -> Option<IpNetwork> {
    Ipv4Network::new(Ipv4Addr::new(127, 0, 0, 0), 8).ok().map(IpNetwork::V4)
}

/// What makes the chain with these rules and no others.
pub(super) fn refilled(chain: BaseChain, rules: Vec<Rule>) -> Vec<Operation> {
    let name = chain.name.clone();
    let mut operations =
        vec![Operation::AddChain(TABLE, chain), Operation::FlushChain(TABLE, name.clone())];
    let add = |rule| Operation::AddRule(TABLE, name.clone(), rule);
    operations.extend(rules.into_iter().map(add));
    operations
}

/// A rule without a comment.
pub(super) fn rule(statements: Vec<Statement>) -> Rule {
    Rule { statements, comment: String::new() }
}
