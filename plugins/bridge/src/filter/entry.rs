//! Elements by their keys, and deleting those that still are whose they were.

use cni_common::Result;
use cni_common::nft::{Element, Operation, Set, Table, Value};
use cni_common::sys::nft::Nft;

/// So few that asking for them takes no longer than changes of others stay away.
const AT_ONCE: usize = 32;

/// Where an element is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// In which table.
    pub(super) table: Table,
    /// In which set of it.
    pub(super) set: Set,
    /// Under which key.
    pub(super) key: Vec<Value>,
}

impl Entry {
    /// The element that is there.
    pub(super) fn find(&self, nft: &mut Nft) -> Result<Option<Element>> {
        nft.find_element(self.table, &self.set, &self.key)
    }

    /// What deletes it.
    pub(super) fn deletion(&self) -> Operation {
        Operation::DeleteElement(self.table, self.set.name.clone(), self.key.clone())
    }
}

/// What deletes those entries that hold a wanted element now. To be asked within [`Nft::change`]:
/// each is asked for by its key, which is quick, so that changes of others seldom come between.
pub(super) fn deletions(
    nft: &mut Nft,
    entries: &[Entry],
    wanted: impl Fn(&Element) -> bool,
) -> Result<Vec<Operation>> {
    let mut operations = Vec::new();
    for entry in entries {
        if entry.find(nft)?.is_some_and(|element| wanted(&element)) {
            operations.push(entry.deletion());
        }
    }
    Ok(operations)
}

/// Takes the wanted ones of the entries away, some at a time.
pub(super) fn remove(
    nft: &mut Nft,
    entries: &[Entry],
    wanted: impl Fn(&Element) -> bool,
) -> Result<()> {
    entries.chunks(AT_ONCE).try_for_each(|some| nft.change(|nft| deletions(nft, some, &wanted)))
}
