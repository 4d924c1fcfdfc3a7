//! Masquerading on nf_tables: making, removing, checking and sweeping what `plan` describes.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cni_common::nft::{Element, Set, Value};
use cni_common::packet_filter::table::INET as TABLE;
use cni_common::packet_filter::{self, ElementKey, Report, Unit, element, owner};
use cni_common::sys::nft::Nft;
use cni_common::types::NetworkName;
use cni_common::{Context, Result};
use ipnetwork::IpNetwork;

use super::plan::{Place, attachments, former_attachments, registries, wanted};
use crate::filter::Subject;

/// Makes the attachment's part of the rule set, and whatever of the rest is missing.
pub(super) fn ensure(nft: &mut Nft, subject: &Subject<'_>, addresses: &[IpNetwork]) -> Result<()> {
    let wanted = wanted(subject, addresses);
    let former = |nft: &mut Nft| {
        let places = places(nft, &subject.attachment.network)?;
        registered(nft, subject)?.all_entries(nft, subject, &places)
    };
    packet_filter::ensure(nft, &wanted, former)
        .with_context(|| format!("masquerade {}", subject.attachment))
}

/// The same for many attachments at once.
pub(super) fn ensure_together(nft: &mut Nft, all: &[(Subject<'_>, Vec<IpNetwork>)]) -> Result<()> {
    let with_any = all.iter().filter(|(_, addresses)| !addresses.is_empty());
    let wanted = with_any.map(|(subject, addresses)| wanted(subject, addresses));
    packet_filter::ensure_together(nft, wanted.collect())
        .with_context(|| format!("masquerade {} attachments", all.len()))
}

/// Removes what is the attachment's. `known` are the addresses it is said to have; without them,
/// or if they are not all of it, they are looked for.
pub(super) fn remove(nft: &mut Nft, subject: &Subject<'_>, known: &[IpNetwork]) -> Result<()> {
    let doing = || format!("remove the masquerading of {}", subject.attachment);
    remove_known(nft, subject, known).with_context(doing)
}

fn remove_known(nft: &mut Nft, subject: &Subject<'_>, known: &[IpNetwork]) -> Result<()> {
    if !nft.has_table(TABLE)? {
        return Ok(());
    }
    let network = &subject.attachment.network;
    let comment = owner::comment(subject.attachment);
    let own = |element: &Element| element.comment == comment;

    let mut touched: BTreeSet<Place> = known.iter().map(|one| Place::of(network, one)).collect();
    let mut entries: Vec<_> = known.iter().map(|address| entry(network, address)).collect();
    let registered = registered(nft, subject)?;
    if registered.count == 0 {
        // A DEL that was killed may have left a place that nothing is in.
        touched.extend(places(nft, network)?);
    } else if element::deletions(nft, &entries, own)?.len() == registered.count {
        entries.extend(registered.entries);
    } else {
        touched.extend(places(nft, network)?);
        entries = registered.all_entries(nft, subject, &touched)?;
    }
    let units: Vec<Unit> = touched.iter().map(Place::unit).chain(registries()).collect();
    element::remove(nft, &entries, &units, own)
}

/// Removes what belongs to attachments of the network that live no more.
pub(super) fn sweep(
    nft: &mut Nft,
    network: &NetworkName,
    living: &owner::Living<'_>,
) -> Result<()> {
    let stale = |element: &Element| living.is_stale(&element.comment);
    let doing = || format!("sweep the masquerading of network {network}");
    let places = places(nft, network).with_context(doing)?;
    let units: Vec<Unit> = places.iter().map(Place::unit).chain(registries()).collect();
    let mut entries = Vec::new();
    for set in units.iter().flat_map(|unit| &unit.sets) {
        let found = element::search(nft, (TABLE, set), usize::MAX, stale);
        entries.extend(found.with_context(doing)?);
    }
    element::remove(nft, &entries, &units, stale).with_context(doing)
}

/// Says what is missing or not as ADD made it.
pub(super) fn check(
    nft: &mut Nft,
    subject: &Subject<'_>,
    addresses: &[IpNetwork],
    report: &mut Report,
) -> Result<()> {
    if !report.table(nft, TABLE)? {
        return Ok(());
    }
    let places: BTreeSet<Place> =
        addresses.iter().map(|one| Place::of(&subject.attachment.network, one)).collect();
    for place in &places {
        report.chain(nft, TABLE, (&place.chain(), &[place.rule()]))?;
    }
    let former = former_attachments();
    let is_former = former.count(nft, subject.port, &owner::comment(subject.attachment))?.is_some();
    for (table, set, element) in &wanted(subject, addresses).elements {
        let is_registration = *set == *attachments().set();
        let set: &Set = if is_registration && is_former { former.set() } else { set };
        report.element(nft, *table, (set, element))?;
    }
    Ok(())
}

/// The comments of all that is in the maps of attachments.
pub(super) fn list_owners(nft: &mut Nft) -> Result<Vec<String>> {
    let mut owners = Vec::new();
    for registry in [attachments(), former_attachments()] {
        owners.extend(registry.list_owners(nft)?);
    }
    Ok(owners)
}

/// All addresses of the network's places, with the comments that say whose they are.
pub(super) fn list_addresses(
    nft: &mut Nft,
    network: &NetworkName,
) -> Result<Vec<(String, IpAddr)>> {
    let mut addresses = Vec::new();
    for place in places(nft, network)? {
        addresses.extend(element::list_addresses(nft, (TABLE, &place.set()))?);
    }
    Ok(addresses)
}

/// Whether the attachment is in one of the maps.
pub(super) fn is_registered(nft: &mut Nft, subject: &Subject<'_>) -> Result<bool> {
    Ok(registered(nft, subject)?.count > 0)
}

/// What the maps of attachments say of one.
struct Registered {
    /// How many addresses it has; 0 if it is in none of the maps.
    count: usize,
    /// Its entries in the maps.
    entries: Vec<ElementKey>,
}

impl Registered {
    /// These and all its addresses, found by their comments among all of the places.
    fn all_entries<'a>(
        self,
        nft: &mut Nft,
        subject: &Subject<'_>,
        places: impl IntoIterator<Item = &'a Place>,
    ) -> Result<Vec<ElementKey>> {
        let comment = owner::comment(subject.attachment);
        let own = |element: &Element| element.comment == comment;
        let (mut found, mut missing) = (self.entries, self.count);
        for place in places {
            if missing == 0 {
                break;
            }
            let addresses = element::search(nft, (TABLE, &place.set()), missing, own)?;
            missing = missing.saturating_sub(addresses.len());
            found.extend(addresses);
        }
        Ok(found)
    }
}

fn registered(nft: &mut Nft, subject: &Subject<'_>) -> Result<Registered> {
    let comment = owner::comment(subject.attachment);
    let mut registered = Registered { count: 0, entries: Vec::new() };
    for registry in [attachments(), former_attachments()] {
        if let Some(count) = registry.count(nft, subject.port, &comment)? {
            registered.count = registered.count.saturating_add(count);
            registered.entries.push(registry.key(subject.port));
        }
    }
    Ok(registered)
}

fn entry(network: &NetworkName, address: &IpNetwork) -> ElementKey {
    let set = Place::of(network, address).set();
    ElementKey { table: TABLE, set, key: vec![Value::Ip(address.ip())] }
}

fn places(nft: &mut Nft, network: &NetworkName) -> Result<BTreeSet<Place>> {
    let names = nft.list_sets(TABLE)?;
    Ok(names.iter().filter_map(|name| Place::named(network, name)).collect())
}
