//! Masquerading on nf_tables: making, taking away, checking and sweeping what `plan` describes.

use std::collections::BTreeSet;

use cni_common::nft::{Element, Operation, Value};
use cni_common::packet_filter::{self, ElementKey, Report, element, owner};
use cni_common::spec::ValidAttachments;
use cni_common::sys::nft::Nft;
use cni_common::types::NetworkName;
use cni_common::{Context, Result};
use ipnetwork::IpNetwork;

use super::plan::{Place, TABLE, attachment_key, attachments, wanted};
use crate::filter::Subject;

/// Makes the attachment's part of the rule set, and whatever of the rest is missing.
pub(super) fn ensure(nft: &mut Nft, subject: &Subject<'_>, addresses: &[IpNetwork]) -> Result<()> {
    let wanted = wanted(subject, addresses);
    let former = |nft: &mut Nft| match registered(nft, subject)? {
        None => Ok(Vec::new()),
        Some(count) => owned(nft, subject, count),
    };
    packet_filter::ensure(nft, &wanted, former)
        .with_context(|| format!("masquerade {}", subject.attachment))
}

/// Takes away what is the attachment's. `known` are the addresses it is said to have; without
/// them, or if they are not all of it, they are looked for.
pub(super) fn remove(nft: &mut Nft, subject: &Subject<'_>, known: &[IpNetwork]) -> Result<()> {
    let doing = || format!("take away the masquerading of {}", subject.attachment);
    let network = &subject.attachment.network;
    let mut touched: BTreeSet<Place> = known.iter().map(|one| Place::of(network, one)).collect();
    let comment = owner::comment(subject.attachment);
    let own = |element: &Element| element.comment == comment;

    let mut entries: Vec<_> = known.iter().map(|address| entry(network, address)).collect();
    let found = element::deletions(nft, &entries, own).with_context(doing)?.len();
    match registered(nft, subject).with_context(doing)? {
        Some(count) => {
            if found != count {
                touched.extend(places(nft, network)?);
                entries = owned(nft, subject, count).with_context(doing)?;
            }
            entries.push(registration(subject));
        }
        // A DEL that was killed may have come to the elements and not to the chain that they leave
        // unused.
        None => touched.extend(places(nft, network).with_context(doing)?),
    }
    element::remove(nft, &entries, own).with_context(doing)?;
    touched.iter().try_for_each(|place| remove_if_unused(nft, place))
}

/// Takes away what belongs to attachments of the network that live no more.
pub(super) fn sweep(
    nft: &mut Nft,
    network: &NetworkName,
    valid: &ValidAttachments<'_>,
) -> Result<()> {
    let living = owner::Living::of(network, valid);
    let stale = |element: &Element| living.is_stale(&element.comment);
    let doing = || format!("sweep the masquerading of network {network}");
    let places = places(nft, network).with_context(doing)?;
    for set in places.iter().map(Place::set).chain([attachments()]) {
        let found = element::search(nft, (TABLE, &set), usize::MAX, stale).with_context(doing)?;
        element::remove(nft, &found, stale).with_context(doing)?;
    }
    places.iter().try_for_each(|place| remove_if_unused(nft, place))
}

/// Says what is missing or not as ADD made it.
pub(super) fn check(
    nft: &mut Nft,
    subject: &Subject<'_>,
    addresses: &[IpNetwork],
    report: &mut Report,
) -> Result<()> {
    if !nft.has_table(TABLE)? {
        report.fault(format!("table {TABLE}: missing"));
        return Ok(());
    }
    let places: BTreeSet<Place> =
        addresses.iter().map(|one| Place::of(&subject.attachment.network, one)).collect();
    for place in &places {
        report.chain(nft, TABLE, (&place.chain(), &[place.rule()]))?;
    }
    for (table, set, element) in &wanted(subject, addresses).elements {
        report.element(nft, *table, (set, element))?;
    }
    Ok(())
}

/// All addresses of the attachment, found by their comments among all of the network's.
fn owned(nft: &mut Nft, subject: &Subject<'_>, count: usize) -> Result<Vec<ElementKey>> {
    let comment = owner::comment(subject.attachment);
    let own = |element: &Element| element.comment == comment;
    let mut found = Vec::new();
    for place in places(nft, &subject.attachment.network)? {
        let (set, expected) = (place.set(), count.saturating_sub(found.len()));
        found.extend(element::search(nft, (TABLE, &set), expected, own)?);
    }
    Ok(found)
}

fn entry(network: &NetworkName, address: &IpNetwork) -> ElementKey {
    let set = Place::of(network, address).set();
    ElementKey { table: TABLE, set, key: vec![Value::Ip(address.ip())] }
}

fn registration(subject: &Subject<'_>) -> ElementKey {
    ElementKey { table: TABLE, set: attachments(), key: attachment_key(subject) }
}

/// How many addresses the attachment has here; `None` if nothing of it is there.
fn registered(nft: &mut Nft, subject: &Subject<'_>) -> Result<Option<usize>> {
    let own = registration(subject)
        .find(nft)?
        .filter(|element| element.comment == owner::comment(subject.attachment));
    Ok(own.map(|element| match element.data {
        Some(Value::Mark(count)) => usize::try_from(count).unwrap_or(usize::MAX),
        _ => usize::MAX,
    }))
}

fn places(nft: &mut Nft, network: &NetworkName) -> Result<Vec<Place>> {
    let names = nft.list_sets(TABLE)?;
    Ok(names.iter().filter_map(|name| Place::named(network, name)).collect())
}

/// Takes the place's chain and set away once it holds no address, and with the last one the table.
fn remove_if_unused(nft: &mut Nft, place: &Place) -> Result<()> {
    nft.change(|nft| {
        let (name, set) = (place.name(), place.set());
        let sets = nft.list_sets(TABLE)?;
        if !sets.contains(&name) || !nft.is_empty(TABLE, &set)? {
            return Ok(Vec::new());
        }
        let attachments = attachments();
        let others = sets.iter().any(|other| *other != name && *other != attachments.name);
        if !others && nft.is_empty(TABLE, &attachments)? {
            return Ok(vec![Operation::DeleteTable(TABLE)]);
        }
        let mut operations = Vec::new();
        if nft.find_chain(TABLE, &name)?.is_some() {
            operations.push(Operation::DeleteChain(TABLE, name.clone()));
        }
        operations.push(Operation::DeleteSet(TABLE, name));
        Ok(operations)
    })
    .with_context(|| format!("take away the unused chain {TABLE} {}", place.name()))
}
