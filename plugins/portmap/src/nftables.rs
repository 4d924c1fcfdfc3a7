//! Mapped ports on nf_tables: making, removing, checking and sweeping what `plan` describes.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use cni_common::names;
use cni_common::nft::{Element, Operation, Set, Value};
use cni_common::packet_filter::owner::{self, Living};
use cni_common::packet_filter::table::INET as TABLE;
use cni_common::packet_filter::{self, ElementKey, Report, Unit, Wanted, element};
use cni_common::sys::netns;
use cni_common::sys::nft::Nft;
use cni_common::types::{Attachment, NetworkName};
use cni_common::{Code, Context, Error, Result};

use crate::config::Config;
use crate::localnet::Closing;
use crate::plan::{self, Place, conditional};
use crate::target::Targets;

/// Makes the attachment's part of the rule set, in one transaction. A port that another attachment
/// has is an error, unless that is proved to be dead.
pub fn ensure(nft: &mut Nft, attachment: &Attachment, wanted: &Wanted) -> Result<()> {
    let doing = || format!("map the ports of {attachment}");
    let mut former_chains = BTreeSet::new();
    let former = |nft: &mut Nft| {
        let found = find_all(nft, attachment)?;
        former_chains = own_chains(found.iter().map(|(_, element)| element));
        Ok(found.iter().map(|(set, element)| key(set, element)).collect())
    };
    packet_filter::ensure_unless_held(nft, wanted, (former, require_free)).with_context(doing)?;
    former_chains.retain(|chain| !makes(wanted, chain));
    if former_chains.is_empty() {
        return Ok(());
    }
    // Nothing leads there any more.
    let units = units(&BTreeSet::new(), former_chains);
    element::remove(nft, &[], &units, |_none| false).with_context(doing)
}

fn makes(wanted: &Wanted, chain: &str) -> bool {
    let is_it = |operation: &Operation| matches!(operation, Operation::AddRegularChain(_, name, _) if name == chain);
    wanted.base.iter().any(is_it)
}

/// The chains of attachments that these elements lead to.
fn own_chains<'a>(elements: impl Iterator<Item = &'a Element>) -> BTreeSet<String> {
    elements.filter_map(conditional::chain_of).map(str::to_owned).collect()
}

/// Fails for an element that says where a port of a living attachment leads.
fn require_free(nft: &mut Nft, set: &Set, found: &Element) -> Result<()> {
    if !plan::is_map_of_ports(set) {
        return Ok(());
    }
    let holder = owner::parse_comment(&found.comment);
    if let Some(holder) = &holder
        && is_dead(nft, holder)?
    {
        return Ok(());
    }
    let key: Vec<String> = found.key.iter().map(ToString::to_string).collect();
    let message = format!("host port {} is held by {}", key.join(" "), found.comment);
    Err(Error::new(Code::Conflict, message)
        .with_details(format!("element of map {TABLE} {}", set.name)))
}

/// Whether the container's namespace is gone, and with it the attachment.
pub fn is_dead(nft: &mut Nft, attachment: &Attachment) -> Result<bool> {
    let found = plan::namespace_key(attachment).find(nft)?;
    Ok(found.is_some_and(|element| netns::is_gone(Path::new(&element.comment))))
}

/// Removes what is the attachment's, and returns it. `known` are the elements that it is said to
/// have; without them, or if they are not all, they are looked for.
pub fn remove(
    nft: &mut Nft,
    attachment: &Attachment,
    known: &[(Set, Element)],
) -> Result<Vec<Element>> {
    let doing = || format!("remove the mapped ports of {attachment}");
    let port = names::host_interface(attachment);
    let comment = owner::comment(attachment);
    let registry = plan::attachments();
    let Some(count) = registry.count(nft, &port, &comment).with_context(doing)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for (set, element) in known {
        let element = key(set, element).find(nft).with_context(doing)?;
        found.extend(element.filter(|one| one.comment == comment).map(|one| (set.clone(), one)));
    }
    if found.len() != count {
        found = find_all(nft, attachment).with_context(doing)?;
    }
    let places = all_places(nft, &attachment.network).with_context(doing)?;
    let mut keys: Vec<_> = found.iter().map(|(set, element)| key(set, element)).collect();
    keys.extend([plan::namespace_key(attachment), registry.key(&port)]);
    let own_key = [Value::Name(port.clone())];
    let own = |element: &Element| element.comment == comment || element.key == own_key;
    let mut chains = own_chains(found.iter().map(|(_, element)| element));
    if found.len() != count {
        // Others have taken ports over, perhaps all that led to a chain.
        chains.extend(conditional::possible_chains(&port));
    }
    remove_all(nft, keys, &units(&places, chains), own).with_context(doing)?;
    Ok(found.into_iter().map(|(_, element)| element).collect())
}

/// Removes what belongs to attachments of the network that live no more, and returns it.
pub fn sweep(nft: &mut Nft, network: &NetworkName, living: &Living<'_>) -> Result<Vec<Element>> {
    let doing = || format!("sweep the mapped ports of network {network}");
    let stale = |element: &Element| living.is_stale(&element.comment);
    let registry = plan::attachments();
    let registered =
        element::search(nft, (TABLE, registry.set()), usize::MAX, stale).with_context(doing)?;
    let places = all_places(nft, network).with_context(doing)?;
    let mut found = Vec::new();
    let mut keys = Vec::new();
    for set in plan::maps().chain(places.iter().map(Place::set)) {
        let elements = nft.search_elements((TABLE, &set), usize::MAX, stale).with_context(doing)?;
        keys.extend(elements.iter().map(|element| key(&set, element)));
        found.extend(elements);
    }
    let own_keys: HashSet<Vec<Value>> = registered.iter().map(|one| one.key.clone()).collect();
    let namespace = |one: &ElementKey| ElementKey { set: plan::namespaces(), ..one.clone() };
    keys.extend(registered.iter().map(namespace));
    keys.extend(registered.iter().cloned());
    let gone = |element: &Element| stale(element) || own_keys.contains(&element.key);
    let name = |key: &ElementKey| match key.key.as_slice() {
        [Value::Name(name)] => Some(name.clone()),
        _ => None,
    };
    let names = registered.iter().filter_map(name);
    let chains = names.flat_map(|name| conditional::possible_chains(&name).collect::<Vec<_>>());
    let units = units(&places, chains.collect());
    remove_all(nft, keys, &units, gone).with_context(doing)?;
    Ok(found)
}

/// Removes the elements that are leaving, and with the host's last ports the links that these let in.
fn remove_all(
    nft: &mut Nft,
    mut keys: Vec<ElementKey>,
    units: &[Unit],
    leaves: impl Fn(&Element) -> bool,
) -> Result<()> {
    let mut closing = Closing::of(nft)?;
    keys.extend_from_slice(closing.keys());
    let goes = |nft: &mut Nft, element: &Element| match closing.has(element) {
        true => closing.closes(nft, element, &leaves),
        false => Ok(leaves(element)),
    };
    element::remove_if(nft, &keys, units, goes)
}

/// The attachments of the network whose namespace is gone.
pub fn dead(nft: &mut Nft, network: &NetworkName) -> Result<HashSet<Attachment>> {
    let owners = plan::attachments().list_owners(nft)?;
    let mut dead = HashSet::new();
    for attachment in owners.iter().filter_map(|one| owner::parse_comment(one)) {
        if attachment.network == *network && is_dead(nft, &attachment)? {
            dead.insert(attachment);
        }
    }
    Ok(dead)
}

/// Says what is missing or not as ADD made it.
pub fn check(
    nft: &mut Nft,
    attachment: &Attachment,
    (config, targets): (&Config, &Targets),
    report: &mut Report,
) -> Result<()> {
    if !report.table(nft, TABLE)? {
        return Ok(());
    }
    for (chain, rule) in plan::shared_chains() {
        report.chain(nft, TABLE, (&chain, &[rule]))?;
    }
    report.regular_chain(nft, TABLE, (plan::REDIRECT, &plan::redirect_rules()))?;
    for place in plan::places(attachment, config, targets) {
        let (chain, rules) = place.chain();
        report.chain(nft, TABLE, (&chain, &rules))?;
    }
    let own_chains = plan::own_chains(attachment, config, targets);
    if !own_chains.is_empty() {
        for (chain, rule) in conditional::hooked_chains() {
            report.chain(nft, TABLE, (&chain, &[rule]))?;
        }
        let rules = conditional::redirect_rules();
        report.regular_chain(nft, TABLE, (conditional::REDIRECT, &rules))?;
    }
    for (chain, rules) in &own_chains {
        report.regular_chain(nft, TABLE, (chain, rules))?;
    }
    let own = plan::elements(attachment, config, targets);
    let registry = plan::attachments();
    let port = names::host_interface(attachment);
    let registration = registry.element(&port, own.len(), &owner::comment(attachment));
    report.element(nft, TABLE, (registry.set(), &registration))?;
    for (set, element) in &own {
        report.element(nft, TABLE, (set, element))?;
    }
    Ok(())
}

/// All elements of the attachment but those that say that there are some.
fn find_all(nft: &mut Nft, attachment: &Attachment) -> Result<Vec<(Set, Element)>> {
    let comment = owner::comment(attachment);
    let port = names::host_interface(attachment);
    let count = plan::attachments().count(nft, &port, &comment)?;
    let mut missing = count.unwrap_or(0);
    let places = all_places(nft, &attachment.network)?;
    let mut all = Vec::new();
    for set in plan::maps().chain(places.iter().map(Place::set)) {
        if missing == 0 {
            break;
        }
        let own = |element: &Element| element.comment == comment;
        let found = nft.search_elements((TABLE, &set), missing, own)?;
        missing = missing.saturating_sub(found.len());
        all.extend(found.into_iter().map(|element| (set.clone(), element)));
    }
    Ok(all)
}

fn key(set: &Set, element: &Element) -> ElementKey {
    ElementKey { table: TABLE, set: set.clone(), key: element.key.clone() }
}

/// What may be unused when elements have gone, among it these chains of attachments: before the maps
/// that their rules look into.
fn units(places: &BTreeSet<Place>, chains: BTreeSet<String>) -> Vec<Unit> {
    let own = [conditional::own_unit(chains)].into_iter();
    own.chain(places.iter().map(Place::unit)).chain(plan::shared_units()).collect()
}

/// All (network, subnet) of the network's attachments.
pub fn all_places(nft: &mut Nft, network: &NetworkName) -> Result<BTreeSet<Place>> {
    let names = nft.list_sets(TABLE)?;
    Ok(names.iter().filter_map(|name| Place::named(network, name)).collect())
}
