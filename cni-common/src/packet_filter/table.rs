//! The two tables that all plugins share, and removing what nothing is left in.
//!
//! Every chain, set and map in them begins with the name of the plugin that made it, and a slash.
//! The plugin `bridge` was there first and keeps its names, because containers that run have
//! elements there: `spoofcheck`, `guarded`, `senders`, and what begins with `masq/`. Its map of
//! attachments was once called `attachments`: it is read and removed, and no longer written.

use super::ElementKey;
use super::element::holds_others;
use crate::nft::{Element, Family, Operation, Set, Table};
use crate::sys::nft::Nft;
use crate::{Context, Result};

/// For packets of both protocols.
pub const INET: Table = Table { family: Family::Inet, name: "causeway" };
/// For frames on bridges.
pub const BRIDGE: Table = Table { family: Family::Bridge, name: "causeway" };

const INET_COMMENT: &str =
    "Causeway CNI plugins: masquerading; comments: network/container/interface";
const BRIDGE_COMMENT: &str =
    "Causeway CNI plugins: macspoofchk; comments: network/container/interface";

/// The operation that makes the table for packets if it is missing.
pub fn add_inet() -> Operation {
    Operation::AddTable(INET, INET_COMMENT.to_owned())
}

/// The operation that makes the table for frames if it is missing.
pub fn add_bridge() -> Operation {
    Operation::AddTable(BRIDGE, BRIDGE_COMMENT.to_owned())
}

/// What a plugin has in a table for the elements of some sets. It is of use only while one of the
/// sets has an element, and is removed as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The table.
    pub table: Table,
    /// The chains; one that jumps to another stands before it.
    pub chains: Vec<String>,
    /// The sets and maps that the chains' rules look into.
    pub sets: Vec<Set>,
}

/// The operations that remove those units whose sets hold no element but those that are `leaving`:
/// the whole table if nothing of anybody is left in it. To be called within [`Nft::change`].
///
/// `leaving` have to be elements that are there; those in sets that go need no deletion of their
/// own.
pub(super) fn unused(
    nft: &mut Nft,
    units: &[Unit],
    leaving: &[ElementKey],
) -> Result<Vec<Operation>> {
    let mut operations = Vec::new();
    for table in [INET, BRIDGE] {
        let mut units = units.iter().filter(|unit| unit.table == table).peekable();
        if units.peek().is_none() {
            continue;
        }
        let present = nft.list_sets(table)?;
        let mut removed = Vec::new();
        for unit in units {
            for operation in unused_unit(nft, (unit, &present), leaving)? {
                // Units may have a set in common.
                if !removed.contains(&operation) {
                    removed.push(operation);
                }
            }
        }
        let (left, all) = (removed.len(), nft.table_use(table)?);
        if all.is_some_and(|all| usize::try_from(all) == Ok(left)) {
            removed = vec![Operation::DeleteTable(table)];
        }
        operations.extend(removed);
    }
    Ok(operations)
}

/// The operations that remove the unit, one for each object of it that is there; none if it is used.
fn unused_unit(
    nft: &mut Nft,
    (unit, present): (&Unit, &[String]),
    leaving: &[ElementKey],
) -> Result<Vec<Operation>> {
    let table = unit.table;
    let sets: Vec<&Set> = unit.sets.iter().filter(|set| present.contains(&set.name)).collect();
    for set in &sets {
        let leaves = |element: &Element| {
            let is_it = |one: &ElementKey| {
                one.table == table && one.set.name == set.name && one.key == element.key
            };
            leaving.iter().any(is_it)
        };
        if holds_others(nft, (table, set), leaves)? {
            return Ok(Vec::new());
        }
    }
    let mut operations = Vec::new();
    for chain in &unit.chains {
        if nft.find_chain(table, chain)?.is_some() {
            operations.push(Operation::DeleteChain(table, chain.clone()));
        }
    }
    operations.extend(sets.iter().map(|set| Operation::DeleteSet(table, set.name.clone())));
    Ok(operations)
}

/// Removes the table if nothing of anybody is left in it.
pub(super) fn remove_if_empty(nft: &mut Nft, table: Table) -> Result<()> {
    nft.change(|nft| {
        let is_empty = nft.table_use(table)? == Some(0);
        Ok(if is_empty { vec![Operation::DeleteTable(table)] } else { Vec::new() })
    })
    .with_context(|| format!("remove the unused table {table}"))
}
