//! Ports of containers with conditions, which are looked up before all others. Pure.
//!
//! Beside each map of ports stand two of the same keys: one leads to a chain of the container, which
//! looks at its conditions, the other from there to the container's address and port. So a packet
//! passes the conditions of one container at most. None of it is there before a container has
//! conditions.

use cni_common::nft::{
    BaseChain, Element, Hook, KeyType, Operation, Rule, Set, Statement, Value, Verdict,
};
use cni_common::packet_filter::Unit;
use cni_common::packet_filter::table::INET as TABLE;

use super::maps::{VERSIONS, addresses, key_fields, plain, ports, version_of};
use super::shared::{DESTINATION, redirecting, refilled, rule};

const PREROUTING: &str = "portmap/conditional/prerouting";
const OUTPUT: &str = "portmap/conditional/output";
/// The chain that looks into the maps of chains.
pub const REDIRECT: &str = "portmap/conditional/redirect";
const REDIRECT_COMMENT: &str = "ports that lead to containers with conditions";
/// Before the chains of ports without conditions.
const PRIORITY: i32 = DESTINATION - 1;

/// What the name of a map of ports begins with, and those of the maps beside it.
const PORTS: &str = "portmap/";
const CHAINS: &str = "portmap/conditional/chains/";
const TARGETS: &str = "portmap/conditional/";

fn beside(map: &Set, prefix: &str) -> String {
    format!("{prefix}{}", map.name.strip_prefix(PORTS).unwrap_or(&map.name))
}

/// The map of chains beside this map of ports.
pub(super) fn chains(map: &Set) -> Set {
    Set::new(
        beside(map, CHAINS),
        &map.key,
        "port of the host : chain with the container's conditions",
    )
    .to(&[KeyType::Verdict])
}

/// The map of container addresses and ports beside this map of ports.
pub(super) fn targets(map: &Set) -> Set {
    Set::new(beside(map, TARGETS), &map.key, map.comment.clone()).to(&map.data)
}

/// The name of the attachment's chain for this map of ports.
fn chain(map: &Set, host_interface: &str) -> String {
    format!("{}/{host_interface}", beside(map, TARGETS))
}

/// What stands for an element of a map of ports: a way to the attachment's chain, and the element
/// itself.
pub(super) fn elements(
    (map, element): (Set, Element),
    host_interface: &str,
) -> [(Set, Element); 2] {
    let verdict = Value::Verdict(Verdict::Jump(chain(&map, host_interface)));
    let lead = Element::new(element.key.clone(), element.comment.clone()).with_data(vec![verdict]);
    [(chains(&map), lead), (targets(&map), element)]
}

/// The attachment's chain for a map of ports and its rules, one for each way in which its conditions
/// can be met.
pub(super) fn own_chain(
    map: &Set,
    host_interface: &str,
    alternatives: &[Vec<Statement>],
) -> (String, Vec<Rule>) {
    let redirect = || Statement::DnatToMap(version_of(map), key_fields(map), targets(map).name);
    let rules = alternatives.iter().map(|conditions| {
        let mut statements = conditions.clone();
        statements.push(redirect());
        rule(statements)
    });
    (chain(map, host_interface), rules.collect())
}

/// The chain of an attachment that the element of a map of chains leads to.
pub fn chain_of(element: &Element) -> Option<&str> {
    match element.data.as_slice() {
        [Value::Verdict(verdict)] => verdict.chain(),
        _ => None,
    }
}

/// The chains with a hook, each with its only rule.
pub fn hooked_chains() -> [(BaseChain, Rule); 2] {
    let chain = |name, hook, comment| redirecting((name, REDIRECT), (hook, PRIORITY), comment);
    [
        chain(PREROUTING, Hook::Prerouting, "what comes in for a port with conditions"),
        chain(OUTPUT, Hook::Output, "what this host sends to a port of its own with conditions"),
    ]
}

/// The rules of [`REDIRECT`].
pub fn redirect_rules() -> Vec<Rule> {
    let look = |map: Set| rule(vec![Statement::VerdictMap(key_fields(&map), chains(&map).name)]);
    VERSIONS
        .into_iter()
        .flat_map(|version| [look(addresses(version)), look(ports(version))])
        .collect()
}

/// What all containers with conditions share.
pub(super) fn base() -> Vec<Operation> {
    let sets = plain().flat_map(|map| [chains(&map), targets(&map)]);
    let mut base: Vec<Operation> = sets.map(|set| Operation::AddSet(TABLE, set)).collect();
    base.extend(filled(REDIRECT, REDIRECT_COMMENT, redirect_rules()));
    base.extend(hooked_chains().into_iter().flat_map(|(chain, rule)| refilled(chain, vec![rule])));
    base
}

/// What makes the attachment's chain.
pub(super) fn own_base((chain, rules): (String, Vec<Rule>), owner: &str) -> Vec<Operation> {
    filled(&chain, &format!("conditions of {owner}"), rules)
}

fn filled(chain: &str, comment: &str, rules: Vec<Rule>) -> Vec<Operation> {
    let name = || chain.to_owned();
    let mut operations = vec![
        Operation::AddRegularChain(TABLE, name(), comment.to_owned()),
        Operation::FlushChain(TABLE, name()),
    ];
    operations.extend(rules.into_iter().map(|rule| Operation::AddRule(TABLE, name(), rule)));
    operations
}

/// The names of the chains that are not of one attachment.
pub(super) fn shared_chains() -> [String; 3] {
    [PREROUTING, OUTPUT, REDIRECT].map(str::to_owned)
}

/// The names that the chains of an attachment have, if it has any.
pub fn possible_chains(host_interface: &str) -> impl Iterator<Item = String> {
    plain().map(move |map| chain(&map, host_interface))
}

/// What goes with the elements that lead to these chains of attachments.
pub fn own_unit(chains: impl IntoIterator<Item = String>) -> Unit {
    Unit { table: TABLE, chains: chains.into_iter().collect(), sets: Vec::new() }
}
