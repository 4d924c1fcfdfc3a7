//! Elements by their keys, and deleting those that still belong to their owner.

use crate::Result;
use crate::nft::{Element, Operation, Set, Table, Value};
use crate::sys::nft::Nft;

/// How many are deleted in one transaction. Each is looked for first, and any change that comes in
/// between makes the kernel refuse the transaction: with few, that is seldom.
const AT_ONCE: usize = 32;

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
    pub fn deletion(&self) -> Operation {
        Operation::DeleteElement(self.table, self.set.name.clone(), self.key.clone())
    }
}

/// The operations that delete those elements that are there now and wanted. To be called within
/// [`Nft::change`].
pub fn deletions(
    nft: &mut Nft,
    keys: &[ElementKey],
    wanted: impl Fn(&Element) -> bool,
) -> Result<Vec<Operation>> {
    let mut operations = Vec::new();
    for key in keys {
        if key.find(nft)?.is_some_and(|element| wanted(&element)) {
            operations.push(key.deletion());
        }
    }
    Ok(operations)
}

/// Removes those that are there and wanted, some at a time.
pub fn remove(nft: &mut Nft, keys: &[ElementKey], wanted: impl Fn(&Element) -> bool) -> Result<()> {
    keys.chunks(AT_ONCE).try_for_each(|some| nft.change(|nft| deletions(nft, some, &wanted)))
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
