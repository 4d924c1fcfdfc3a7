//! One transaction that accepts what is there already.
//!
//! Chains that are as they should be are not written, and one that is missing is not emptied:
//! replacing a chain's rules removes the former ones, and whoever removes something waits until the
//! kernel has freed it, some 12 ms, or starts a process that does. For the elements the usual case is
//! tried without looking. If one is there already, or a chain has another hook, the kernel refuses the
//! whole transaction; only then it is looked what is in the way.

use crate::Result;
use crate::nft::{BaseChain, Element, Generation, Operation, Rule, Set, Table, Value};
use crate::sys::nft::Nft;

use super::element::{self, ElementKey};

/// What is to be there.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Table, sets, chains, rules; written anew if a chain is not as it should be.
    pub base: Vec<Operation>,
    /// The attachment's elements.
    pub elements: Vec<(Table, Set, Element)>,
}

impl Wanted {
    /// The transaction where nothing is in the way.
    pub fn operations(&self) -> Vec<Operation> {
        self.replacing(&[])
    }

    /// The transaction where these chains are as found, and no element is in the way.
    fn beside(&self, chains: &[(Table, &str, State)]) -> Vec<Operation> {
        let is = |table: &Table, name: &str, state| chains.contains(&(*table, name, state));
        let needed = |operation: &Operation| match operation {
            Operation::AddChain(table, chain) => !is(table, &chain.name, State::Complete),
            Operation::AddRegularChain(table, name, _) | Operation::AddRule(table, name, _) => {
                !is(table, name, State::Complete)
            }
            Operation::FlushChain(table, name) => is(table, name, State::Different),
            _ => !are_complete(chains),
        };
        let base = self.base.iter().filter(|operation| needed(operation)).cloned();
        self.with_elements(base.collect(), &[])
    }

    /// The chains, each with its hook if it has one.
    fn chains(&self) -> impl Iterator<Item = (Table, &str, Option<&BaseChain>)> {
        self.base.iter().filter_map(|operation| match operation {
            Operation::AddChain(table, chain) => Some((*table, chain.name.as_str(), Some(chain))),
            Operation::AddRegularChain(table, name, _comment) => Some((*table, name, None)),
            _ => None,
        })
    }

    /// The rules that the chain of this name is to have.
    fn rules<'a>(&'a self, chain: &'a str) -> impl Iterator<Item = &'a Rule> {
        self.base.iter().filter_map(move |operation| match operation {
            Operation::AddRule(_, name, rule) if name == chain => Some(rule),
            _ => None,
        })
    }

    fn replacing(&self, present: &[(&str, &[Value])]) -> Vec<Operation> {
        self.with_elements(self.base.clone(), present)
    }

    fn with_elements(
        &self,
        mut operations: Vec<Operation>,
        present: &[(&str, &[Value])],
    ) -> Vec<Operation> {
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
pub fn ensure(
    nft: &mut Nft,
    wanted: &Wanted,
    former: impl FnOnce(&mut Nft) -> Result<Vec<ElementKey>>,
) -> Result<()> {
    ensure_unless_held(nft, wanted, (former, |_nft, _set, _element| Ok(())))
}

/// The same, where not every element of another attachment may be replaced: `require_free` fails for
/// one that may not, before anything is changed.
pub fn ensure_unless_held(
    nft: &mut Nft,
    wanted: &Wanted,
    (former, require_free): (
        impl FnOnce(&mut Nft) -> Result<Vec<ElementKey>>,
        impl Fn(&mut Nft, &Set, &Element) -> Result<()>,
    ),
) -> Result<()> {
    if let Ok((operations, expected)) = beside_what_is_there(nft, wanted)
        && nft.commit(&operations, expected).is_ok()
    {
        return Ok(());
    }
    // What refuses it is something that is there, or a kernel that can't do it: then the last
    // attempt tells so.
    if nft.commit(&wanted.operations(), None).is_ok() {
        return Ok(());
    }
    let former = former(nft)?;
    let comment = wanted.elements.first().map(|(_, _, element)| element.comment.clone());
    nft.change(|nft| {
        let own = |element: &Element| Some(&element.comment) == comment.as_ref();
        let mut operations = element::deletions(nft, &former, own)?;
        let mut present = Vec::new();
        for (table, set, element) in &wanted.elements {
            let Some(found) = nft.find_element(*table, set, &element.key)? else { continue };
            if !own(&found) {
                require_free(nft, set, &found)?;
            }
            let delete = Operation::DeleteElement(*table, set.name.clone(), element.key.clone());
            if !operations.contains(&delete) {
                present.push((set.name.as_str(), element.key.as_slice()));
            }
        }
        operations.extend(misplaced_chains(nft, wanted)?);
        operations.extend(wanted.replacing(&present));
        Ok(operations)
    })
}

/// What a chain was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is not there.
    Missing,
    /// It has its hook and exactly its rules.
    Complete,
    /// Anything else.
    Different,
}

/// The transaction that adds what is missing, and the generation of rules that it holds for. Elements
/// alone hold for any: should the last DEL of the place take set and chain away in between, the set is
/// missing and nothing of this is done.
pub(super) fn beside_what_is_there(
    nft: &mut Nft,
    wanted: &Wanted,
) -> Result<(Vec<Operation>, Option<Generation>)> {
    let generation = nft.generation()?;
    let mut chains = Vec::new();
    for (table, name, hooked) in wanted.chains() {
        chains.push((table, name, state_of(nft, wanted, (table, name, hooked))?));
    }
    Ok((wanted.beside(&chains), generation.filter(|_| !are_complete(&chains))))
}

fn are_complete(chains: &[(Table, &str, State)]) -> bool {
    chains.iter().all(|(_, _, state)| *state == State::Complete)
}

fn state_of(
    nft: &mut Nft,
    wanted: &Wanted,
    (table, name, hooked): (Table, &str, Option<&BaseChain>),
) -> Result<State> {
    let Some(found) = nft.find_chain(table, name)? else { return Ok(State::Missing) };
    let is_placed = match hooked {
        Some(chain) => found.is_placed_as(chain),
        None => found.hook.is_none(),
    };
    let rules: Vec<&Rule> = wanted.rules(name).collect();
    let found = nft.list_rules(table, name)?;
    let has_rules =
        found.len() == rules.len() && found.iter().zip(rules).all(|(found, rule)| found.does(rule));
    Ok(if is_placed && has_rules { State::Complete } else { State::Different })
}

/// Base chains that somebody gave another hook: they can't be changed, only made anew.
fn misplaced_chains(nft: &mut Nft, wanted: &Wanted) -> Result<Vec<Operation>> {
    let mut operations = Vec::new();
    for operation in &wanted.base {
        let Operation::AddChain(table, chain) = operation else { continue };
        if nft.find_chain(*table, &chain.name)?.is_some_and(|found| !found.is_placed_as(chain)) {
            operations.push(Operation::DeleteChain(*table, chain.name.clone()));
        }
    }
    Ok(operations)
}
