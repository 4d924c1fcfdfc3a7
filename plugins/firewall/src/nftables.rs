//! Making, removing and comparing what [`plan`] describes.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use cni_common::nft::{Element, Set, Table, Value};
use cni_common::packet_filter::table::{BRIDGE, INET};
use cni_common::packet_filter::{self, ElementKey, Report, Unit, element, owner};
use cni_common::sys::attacher;
use cni_common::sys::nft::Nft;
use cni_common::types::{Attachment, NetworkName};
use cni_common::{Context, Result, names};

use crate::config::{Config, IngressPolicy};
use crate::subject::Subject;
use crate::{isolation, plan};

/// Makes the attachment's part, and whatever of the rest is missing.
pub fn ensure(nft: &mut Nft, subject: &Subject, config: &Config) -> Result<()> {
    let doing = || format!("let pass what is forwarded for {}", subject.attachment);
    let wanted = plan::wanted(subject, config);
    let former = |nft: &mut Nft| Ok(own_entries(nft, subject)?.0);
    packet_filter::ensure(nft, &wanted, former).with_context(doing)?;
    match &subject.bridge {
        Some(bridge) if config.policy != IngressPolicy::Open => {
            isolation::ensure(nft, bridge.as_str(), config.policy).with_context(doing)
        }
        Some(_) | None => Ok(()),
    }
}

/// Makes the parts of many attachments that have none yet, and whatever of the rest is missing.
pub fn ensure_together(nft: &mut Nft, all: &[&Subject], config: &Config) -> Result<()> {
    let doing = || format!("let pass what is forwarded for {} attachments", all.len());
    let wanted = all.iter().map(|subject| plan::wanted(subject, config)).collect();
    packet_filter::ensure_together(nft, wanted).with_context(doing)?;
    if config.policy != IngressPolicy::Open {
        let bridges: BTreeSet<&str> =
            all.iter().filter_map(|subject| Some(subject.bridge.as_ref()?.as_str())).collect();
        for bridge in bridges {
            isolation::ensure(nft, bridge, config.policy).with_context(doing)?;
        }
    }
    Ok(())
}

/// The addresses that are let through, each with the comment of its attachment; none where attachments have more than
/// that, on a bridge with a policy or in a zone.
pub fn list_addresses(nft: &mut Nft) -> Result<HashSet<(String, IpAddr)>> {
    let sets = nft.list_sets(INET)?;
    let has_more = |set: &String| plan::bridge_of(set).is_some() || plan::zone_of(set).is_some();
    if sets.iter().any(has_more) {
        return Ok(HashSet::new());
    }
    let mut addresses = HashSet::new();
    for set in plan::all_addresses() {
        addresses.extend(element::list_addresses(nft, (INET, &set))?);
    }
    Ok(addresses)
}

/// Records the addresses of an attachment whose rules iptables makes.
pub fn record(nft: &mut Nft, subject: &Subject) -> Result<()> {
    let former = |nft: &mut Nft| Ok(own_entries(nft, subject)?.0);
    packet_filter::ensure(nft, &plan::recorded(subject), former)
        .with_context(|| format!("record the addresses of {}", subject.attachment))
}

/// What attachments had here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Their addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// The zones of firewalld that the addresses are in.
    pub zones: BTreeSet<String>,
}

/// Removes what is the attachment's; `subject` need not know any address. Says what it had here; `None`
/// if nothing was recorded of it.
pub fn remove(nft: &mut Nft, subject: &Subject) -> Result<Option<Removed>> {
    let doing = || format!("remove what is of {}", subject.attachment);
    let comment = subject.comment();
    let own = |element: &Element| element.comment == comment;
    let (entries, units) = own_entries(nft, subject).with_context(doing)?;
    let removed = remove_entries(nft, &entries, &units, own).with_context(doing)?;
    Ok((!entries.is_empty()).then_some(removed))
}

/// Removes what is of attachments of the network that live no more. Says what they had here.
pub fn sweep(nft: &mut Nft, network: &NetworkName, living: &owner::Living<'_>) -> Result<Removed> {
    let doing = || format!("remove what is of dead attachments of network {network}");
    let stale = |element: &Element| living.is_stale(&element.comment);
    let units = units(nft).with_context(doing)?;
    let mut entries = Vec::new();
    for (table, set) in sets(&units) {
        entries.extend(element::search(nft, (table, set), usize::MAX, stale).with_context(doing)?);
    }
    // Last: without it nothing proves any more that an attachment is dead.
    let registry = plan::attachments();
    entries.sort_by_key(|entry| entry.set == *registry.set());
    remove_entries(nft, &entries, &units, stale).with_context(doing)
}

fn remove_entries(
    nft: &mut Nft,
    entries: &[ElementKey],
    units: &[Unit],
    wanted: impl Fn(&Element) -> bool,
) -> Result<Removed> {
    if !units.is_empty() {
        element::remove(nft, entries, units, wanted)?;
    }
    // Also where a DEL of the last attachment was killed before it came to this.
    isolation::release(nft)?;
    let addresses = entries.iter().filter_map(|entry| match entry.key.first() {
        Some(Value::Ip(ip)) => Some(*ip),
        _ => None,
    });
    let zones = entries.iter().filter_map(|entry| plan::zone_of(&entry.set.name));
    Ok(Removed { addresses: addresses.collect(), zones: zones.map(str::to_owned).collect() })
}

/// The addresses of all attachments in the zone.
pub fn addresses_in_zone(nft: &mut Nft, zone: &str) -> Result<BTreeSet<IpAddr>> {
    let mut owners = BTreeSet::new();
    let set = plan::in_zone(zone);
    for element in nft.search_elements((INET, &set), usize::MAX, |_any| true)? {
        owners.insert(element.comment);
    }
    let mut addresses = BTreeSet::new();
    for set in plan::all_addresses() {
        let is_in_zone = |element: &Element| owners.contains(&element.comment);
        let found = nft.search_elements((INET, &set), usize::MAX, is_in_zone)?;
        addresses.extend(found.iter().filter_map(|element| match element.key.first() {
            Some(Value::Ip(ip)) => Some(*ip),
            _ => None,
        }));
    }
    Ok(addresses)
}

/// The zone that the attachment is recorded in, if it is in one.
pub fn zone_of(nft: &mut Nft, subject: &Subject) -> Result<Option<String>> {
    for set in nft.list_sets(INET)? {
        let Some(zone) = plan::zone_of(&set) else { continue };
        let key = [Value::Name(subject.name.clone())];
        let found = nft.find_element(INET, &plan::in_zone(zone), &key)?;
        if found.is_some_and(|element| element.comment == subject.comment()) {
            return Ok(Some(zone.to_owned()));
        }
    }
    Ok(None)
}

/// Whether the attachment is proved to be dead: its host interface is this suite's and is gone.
pub fn is_dead(nft: &RefCell<Nft>, attachment: &Attachment) -> bool {
    let name = names::host_interface(attachment);
    let Ok(mut nft) = nft.try_borrow_mut() else { return false };
    let count = plan::attachments().count(&mut nft, &name, &owner::comment(attachment));
    matches!(count, Ok(Some(count)) if count >= plan::PROVABLE) && attacher::is_dead(&name)
}

/// Whether the attachment has anything here.
pub fn is_registered(nft: &mut Nft, subject: &Subject) -> Result<bool> {
    Ok(plan::attachments().count(nft, &subject.name, &subject.comment())?.is_some())
}

/// Whose the address is now, if it is anybody's.
pub fn owner_of(nft: &mut Nft, address: IpAddr) -> Result<Option<String>> {
    Ok(plan::address_key(address).find(nft)?.map(|element| element.comment))
}

/// Says what is missing or not as ADD made it.
pub fn check(
    nft: &mut Nft,
    (subject, config): (&Subject, &Config),
    report: &mut Report,
) -> Result<()> {
    for (chain, rules) in [plan::marking(config.mark), plan::clearing(config.mark)] {
        report.chain(nft, INET, (&chain, &rules))?;
    }
    if let Some(bridge) = subject.bridge.as_ref().filter(|_| config.policy != IngressPolicy::Open) {
        let (chain, rules) = plan::isolation();
        report.chain(nft, INET, (&chain, &rules))?;
        for (set, element) in plan::bridge_elements(bridge.as_str(), config.policy) {
            report.element(nft, INET, (&set, &element))?;
        }
    }
    if config.policy == IngressPolicy::Isolated && subject.port.is_some() {
        let (chain, rules) = plan::port_isolation();
        report.chain(nft, BRIDGE, (&chain, &rules))?;
    }
    for (table, set, element) in &plan::wanted(subject, config).elements {
        report.element(nft, *table, (set, element))?;
    }
    Ok(())
}

/// All that the plugin may have in the tables for attachments.
fn units(nft: &mut Nft) -> Result<Vec<Unit>> {
    let sets = nft.list_sets(INET)?;
    let mut units = Vec::new();
    if sets.contains(&plan::attachments().set().name) {
        units.push(plan::forward_unit());
        units.extend(sets.iter().filter_map(|set| plan::bridge_of(set)).map(plan::bridge_unit));
        units.extend(sets.iter().filter_map(|set| plan::zone_of(set)).map(plan::zone_unit));
        units.push(plan::port_unit());
    }
    Ok(units)
}

fn sets(units: &[Unit]) -> impl Iterator<Item = (Table, &Set)> {
    units.iter().flat_map(|unit| unit.sets.iter().map(|set| (unit.table, set)))
}

/// The attachment's entries, and the units that they are in. They are looked for by their keys, and
/// in whole sets only when that is not all.
fn own_entries(nft: &mut Nft, subject: &Subject) -> Result<(Vec<ElementKey>, Vec<Unit>)> {
    let units = units(nft)?;
    let registry = plan::attachments();
    let comment = subject.comment();
    let Some(count) = registry.count(nft, &subject.name, &comment)? else {
        return Ok((Vec::new(), units));
    };
    let count = count % plan::PROVABLE;
    let own = |element: &Element| element.comment == comment;
    let mut entries: Vec<_> = subject.addresses.iter().map(|ip| plan::address_key(*ip)).collect();
    // Behind the first unit they are named by the host interface.
    for (table, set) in sets(units.get(1..).unwrap_or_default()) {
        let key = vec![Value::Name(subject.name.clone())];
        entries.push(ElementKey { table, set: set.clone(), key });
    }
    if element::deletions(nft, &entries, own)?.len() < count {
        entries.clear();
        for (table, set) in sets(&units).filter(|(_, set)| *set != registry.set()) {
            entries.extend(element::search(nft, (table, set), count, own)?);
        }
    }
    entries.push(registry.key(&subject.name));
    Ok((entries, units))
}
