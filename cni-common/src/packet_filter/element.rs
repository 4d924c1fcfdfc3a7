//! Elements by their keys, and deleting those that still belong to their owner.

use std::net::IpAddr;

use crate::Result;
use crate::nft::{Element, KeyType, Operation, Set, Table, Value};
use crate::sys::nft::Nft;

use super::table::{self, Unit};

/// How many are deleted in one transaction. Each is looked for first, and any change that comes in
/// between makes the kernel refuse the transaction: with few, that is seldom.
const MAX_AT_ONCE: usize = 32;

/// Where an element is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementKey {
    /// In which table.
    pub table: Table,
    /// In which set of it.
    pub set: Set,
    /// Under which key.
    pub key: Vec<Value>,
}

impl ElementKey {
    /// The element that is there, if any.
    pub fn find(&self, nft: &mut Nft) -> Result<Option<Element>> {
        nft.find_element(self.table, &self.set, &self.key)
    }

    /// The operation that deletes it.
    pub(crate) fn deletion(&self) -> Operation {
        Operation::DeleteElement(self.table, self.set.name.clone(), self.key.clone())
    }
}

/// The comments of all elements of a set, which say whose they are.
pub fn list_owners(nft: &mut Nft, (table, set): (Table, &Set)) -> Result<Vec<String>> {
    let found = nft.list_elements(table, set)?;
    Ok(found.into_iter().map(|element| element.comment).collect())
}

/// The addresses that are the keys of a set, each with the comment that says whose it is.
pub fn list_addresses(nft: &mut Nft, (table, set): (Table, &Set)) -> Result<Vec<(String, IpAddr)>> {
    let mut addresses = Vec::new();
    for element in nft.list_elements(table, set)? {
        if let [Value::Ip(ip)] = element.key[..] {
            addresses.push((element.comment, ip));
        }
    }
    Ok(addresses)
}

/// Those elements that are there now and wanted.
fn present(
    nft: &mut Nft,
    keys: &[ElementKey],
    mut wanted: impl FnMut(&mut Nft, &Element) -> Result<bool>,
) -> Result<Vec<ElementKey>> {
    let mut present = Vec::new();
    for key in keys {
        let Some(element) = key.find(nft)? else { continue };
        if wanted(nft, &element)? {
            present.push(key.clone());
        }
    }
    Ok(present)
}

/// Whether the set holds an element that is not leaving.
pub fn holds_others(
    nft: &mut Nft,
    (table, set): (Table, &Set),
    leaves: impl Fn(&Element) -> bool,
) -> Result<bool> {
    let first = nft.first_elements(table, set)?;
    if first.is_empty() {
        return Ok(false);
    }
    if !first.iter().all(&leaves) {
        return Ok(true);
    }
    // The first answer need not be all of it.
    let others = nft.search_elements((table, set), 1, |element| !leaves(element))?;
    Ok(!others.is_empty())
}

/// The operations that delete those elements that are there now and wanted. To be called within
/// [`Nft::change`].
pub fn deletions(
    nft: &mut Nft,
    keys: &[ElementKey],
    wanted: impl Fn(&Element) -> bool,
) -> Result<Vec<Operation>> {
    let present = present(nft, keys, |_nft, element| Ok(wanted(element)))?;
    Ok(present.iter().map(ElementKey::deletion).collect())
}

/// Removes those elements that are there and wanted, and with the last element of a unit the unit:
/// in one transaction, but for a long list.
///
/// `wanted` is asked after the generation was read that the transaction depends on: what it looks
/// at itself (whether a link is still there, for example) can't have been replaced together with
/// the element before the element is deleted.
pub fn remove(
    nft: &mut Nft,
    keys: &[ElementKey],
    units: &[Unit],
    wanted: impl Fn(&Element) -> bool,
) -> Result<()> {
    remove_if(nft, keys, units, |_nft, element| Ok(wanted(element)))
}

/// The same, where `wanted` has to look at the packet filter itself.
pub fn remove_if(
    nft: &mut Nft,
    keys: &[ElementKey],
    units: &[Unit],
    mut wanted: impl FnMut(&mut Nft, &Element) -> Result<bool>,
) -> Result<()> {
    let (early, last) = keys.split_at(keys.len().saturating_sub(1) / MAX_AT_ONCE * MAX_AT_ONCE);
    for some in early.chunks(MAX_AT_ONCE) {
        let deletions = |keys: Vec<ElementKey>| keys.iter().map(ElementKey::deletion).collect();
        nft.change(|nft| present(nft, some, &mut wanted).map(deletions))?;
    }
    let mut touched = Vec::new();
    nft.change(|nft| {
        let leaving = present(nft, last, &mut wanted)?;
        let mut operations = table::unused(nft, units, &leaving)?;
        touched = operations.iter().filter_map(partly_removed).collect();
        let goes = |key: &ElementKey| operations.iter().any(|operation| covers(operation, key));
        let (_, stay): (Vec<_>, Vec<_>) = leaving.iter().partition(|key| goes(key));
        let deletions: Vec<_> = stay.into_iter().map(ElementKey::deletion).collect();
        operations.splice(0..0, deletions);
        Ok(operations)
    })?;
    // Seldom: something was counted that went with a chain, as a set that stands in a rule.
    touched.dedup();
    touched.into_iter().try_for_each(|table| table::remove_if_empty(nft, table))
}

/// The table, if the operation removes a unit's part and not the table.
fn partly_removed(operation: &Operation) -> Option<Table> {
    match operation {
        Operation::DeleteChain(table, _) | Operation::DeleteSet(table, _) => Some(*table),
        _ => None,
    }
}

/// Whether the element goes with what the operation removes. One that leads to a chain is deleted
/// for itself: the chain may go before the map does.
fn covers(operation: &Operation, key: &ElementKey) -> bool {
    match operation {
        Operation::DeleteTable(table) => *table == key.table,
        Operation::DeleteSet(table, set) => {
            let is_lead = key.set.data.contains(&KeyType::Verdict);
            *table == key.table && *set == key.set.name && !is_lead
        }
        _ => false,
    }
}

/// The keys of the elements of a set that are wanted. `expected` says after how many to stop looking.
pub fn search(
    nft: &mut Nft,
    (table, set): (Table, &Set),
    expected: usize,
    wanted: impl Fn(&Element) -> bool,
) -> Result<Vec<ElementKey>> {
    let found = nft.search_elements((table, set), expected, wanted)?;
    let key = |element: Element| ElementKey { table, set: set.clone(), key: element.key };
    Ok(found.into_iter().map(key).collect())
}
