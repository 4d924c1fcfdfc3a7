//! Masquerading on nf_tables: making, taking away, checking and sweeping what `plan` describes.

use std::collections::{BTreeSet, HashSet};

use cni_common::nft::{Element, Operation, Value};
use cni_common::spec::ValidAttachments;
use cni_common::sys::nft::Nft;
use cni_common::types::NetworkName;
use cni_common::{Context, Result};
use ipnetwork::IpNetwork;

use super::plan::{Place, TABLE, attachment_key, attachments, wanted};
use crate::filter::report::Report;
use crate::filter::{Subject, ensure, owner};

/// Elements deleted in one transaction; more would not fit a socket's send buffer.
const AT_ONCE: usize = 500;

/// Makes the attachment's part of the rule set, and whatever of the rest is missing.
pub(super) fn ensure(nft: &mut Nft, subject: &Subject<'_>, addresses: &[IpNetwork]) -> Result<()> {
    let wanted = wanted(subject, addresses);
    let stale = |nft: &mut Nft| match registered(nft, subject)? {
        None => Ok(Vec::new()),
        Some(_) => Ok(deletions(&owned(nft, subject)?)),
    };
    ensure::ensure(nft, &wanted, stale)
        .with_context(|| format!("masquerade {}", subject.attachment))
}

/// Takes away what is the attachment's. `known` are the addresses it is said to have; without
/// them, or if they are not all of it, they are looked for.
pub(super) fn remove(nft: &mut Nft, subject: &Subject<'_>, known: &[IpNetwork]) -> Result<()> {
    let network = &subject.attachment.network;
    let mut touched: BTreeSet<Place> = known.iter().map(|one| Place::of(network, one)).collect();
    nft.change(|nft| {
        let mut found = find(nft, subject, known)?;
        let count = registered(nft, subject)?;
        if count.is_some_and(|count| found.len() != count) {
            touched.extend(places(nft, network)?);
            found = owned(nft, subject)?;
        }
        let mut operations = deletions(&found);
        if count.is_some() {
            let key = attachment_key(subject);
            operations.push(Operation::DeleteElement(TABLE, attachments().name, key));
        }
        Ok(operations)
    })
    .with_context(|| format!("take away the masquerading of {}", subject.attachment))?;
    touched.iter().try_for_each(|place| remove_if_unused(nft, place))
}

/// Takes away what belongs to attachments of the network that live no more.
pub(super) fn sweep(
    nft: &mut Nft,
    network: &NetworkName,
    valid: &ValidAttachments<'_>,
) -> Result<()> {
    let (prefix, living) = (owner::prefix(network), owner::comments(network, valid));
    let stale = |element: &Element| is_stale(element, &prefix, &living);
    let mut more = true;
    while more {
        nft.change(|nft| {
            let mut operations = Vec::new();
            for place in places(nft, network)? {
                let elements = nft.list_elements(TABLE, &place.set())?;
                let stale = elements.into_iter().filter(stale);
                operations
                    .extend(deletions(&stale.map(|e| (place.clone(), e)).collect::<Vec<_>>()));
            }
            let set = attachments();
            let elements = nft.list_elements(TABLE, &set)?;
            operations.extend(
                elements
                    .into_iter()
                    .filter(stale)
                    .map(|element| Operation::DeleteElement(TABLE, set.name.clone(), element.key)),
            );
            more = operations.len() > AT_ONCE;
            operations.truncate(AT_ONCE);
            Ok(operations)
        })
        .with_context(|| format!("sweep the masquerading of network {network}"))?;
    }
    for place in places(nft, network)? {
        remove_if_unused(nft, &place)?;
    }
    Ok(())
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

/// Those of the known addresses that are the attachment's.
fn find(
    nft: &mut Nft,
    subject: &Subject<'_>,
    known: &[IpNetwork],
) -> Result<Vec<(Place, Element)>> {
    let comment = owner::comment(subject.attachment);
    let mut found = Vec::new();
    for address in known {
        let place = Place::of(&subject.attachment.network, address);
        let element = nft.find_element(TABLE, &place.set(), &[Value::Ip(address.ip())])?;
        found.extend(element.filter(|one| one.comment == comment).map(|one| (place, one)));
    }
    Ok(found)
}

/// All addresses of the attachment, found by their comments among all of the network's.
fn owned(nft: &mut Nft, subject: &Subject<'_>) -> Result<Vec<(Place, Element)>> {
    let comment = owner::comment(subject.attachment);
    let mut found = Vec::new();
    for place in places(nft, &subject.attachment.network)? {
        let elements = nft.list_elements(TABLE, &place.set())?;
        let own = elements.into_iter().filter(|element| element.comment == comment);
        found.extend(own.map(|element| (place.clone(), element)));
    }
    Ok(found)
}

/// How many addresses the attachment has here; `None` if nothing of it is there.
fn registered(nft: &mut Nft, subject: &Subject<'_>) -> Result<Option<usize>> {
    let found = nft.find_element(TABLE, &attachments(), &attachment_key(subject))?;
    let own = found.filter(|element| element.comment == owner::comment(subject.attachment));
    Ok(own.map(|element| match element.data {
        Some(Value::Mark(count)) => usize::try_from(count).unwrap_or(usize::MAX),
        _ => usize::MAX,
    }))
}

fn places(nft: &mut Nft, network: &NetworkName) -> Result<Vec<Place>> {
    let names = nft.list_sets(TABLE)?;
    Ok(names.iter().filter_map(|name| Place::named(network, name)).collect())
}

fn deletions(found: &[(Place, Element)]) -> Vec<Operation> {
    found
        .iter()
        .map(|(place, element)| Operation::DeleteElement(TABLE, place.name(), element.key.clone()))
        .collect()
}

fn is_stale(element: &Element, prefix: &str, living: &HashSet<String>) -> bool {
    element.comment.starts_with(prefix) && !living.contains(&element.comment)
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
