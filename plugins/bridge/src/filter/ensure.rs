//! One transaction that is content with what is there already.
//!
//! The usual case is tried without looking: if an element is there already, or a chain has another
//! hook, the kernel refuses everything, and only then is it looked at what is in the way.

use cni_common::Result;
use cni_common::nft::{BaseChain, Element, Operation, Set, Table, Value};
use cni_common::sys::nft::Nft;

use super::entry::{self, Entry};

/// What is to be there.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Table, sets, chains, rules; written anew each time, which puts back what was flushed.
    pub(super) base: Vec<Operation>,
    /// The attachment's elements.
    pub(super) elements: Vec<(Table, Set, Element)>,
}

impl Wanted {
    /// The transaction where nothing is in the way.
    pub(super) fn operations(&self) -> Vec<Operation> {
        self.replacing(&[])
    }

    fn replacing(&self, present: &[(&str, &[Value])]) -> Vec<Operation> {
        let mut operations = self.base.clone();
        for (table, set, element) in &self.elements {
            if present.contains(&(set.name.as_str(), element.key.as_slice())) {
                let key = element.key.clone();
                operations.push(Operation::DeleteElement(*table, set.name.clone(), key));
            }
            operations.push(Operation::CreateElement(*table, set.name.clone(), element.clone()));
        }
        operations
    }
}

/// Makes it so. `former` lists what an earlier, killed ADD of the attachment left, if anything is in
/// the way; it goes if it still has the comment.
pub(super) fn ensure(
    nft: &mut Nft,
    wanted: &Wanted,
    former: impl FnOnce(&mut Nft) -> Result<Vec<Entry>>,
) -> Result<()> {
    // What refuses it is something that is there, or a kernel that can't do it: then the second
    // attempt tells so.
    if nft.commit(&wanted.operations(), None).is_ok() {
        return Ok(());
    }
    let former = former(nft)?;
    let comment = wanted.elements.first().map(|(_, _, element)| element.comment.clone());
    nft.change(|nft| {
        let own = |element: &Element| Some(&element.comment) == comment.as_ref();
        let mut operations = entry::deletions(nft, &former, own)?;
        let mut present = Vec::new();
        for (table, set, element) in &wanted.elements {
            let delete = Operation::DeleteElement(*table, set.name.clone(), element.key.clone());
            if !operations.contains(&delete)
                && nft.find_element(*table, set, &element.key)?.is_some()
            {
                present.push((set.name.as_str(), element.key.as_slice()));
            }
        }
        operations.extend(misplaced_chains(nft, wanted)?);
        operations.extend(wanted.replacing(&present));
        Ok(operations)
    })
}

/// Base chains that somebody gave another hook: they can't be changed, only made anew.
fn misplaced_chains(nft: &mut Nft, wanted: &Wanted) -> Result<Vec<Operation>> {
    let mut operations = Vec::new();
    for operation in &wanted.base {
        let Operation::AddChain(table, chain) = operation else { continue };
        if nft.find_chain(*table, &chain.name)?.is_some_and(|found| found.hook != hook(chain)) {
            operations.push(Operation::DeleteChain(*table, chain.name.clone()));
        }
    }
    Ok(operations)
}

/// The hook of a chain as the kernel tells it.
pub(super) fn hook(chain: &BaseChain) -> Option<(String, u32, i32)> {
    Some((chain.kind.to_string(), chain.hook.number(), chain.priority))
}
