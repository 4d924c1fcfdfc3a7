//! The parts of many attachments in one transaction, for who puts back what they lack and holds the
//! locks of them all. Nothing that is there is replaced.

use super::ensure::{Wanted, beside_what_is_there};
use crate::nft::{Element, Operation, Set, Table};
use crate::sys::nft::Nft;
use crate::{Code, Error, Result};

/// Makes what all of them want, or nothing of it. Fails where something is in the way: then each is to be
/// ensured by itself, which tells the one that can't be from the others.
pub fn ensure_together(nft: &mut Nft, all: Vec<Wanted>) -> Result<()> {
    let mut wanted = merge(all)?;
    if commit(nft, &wanted).is_ok() {
        return Ok(());
    }
    // Some may be there already. Their attachments' locks are held: nobody takes them away meanwhile.
    let mut missing = Vec::new();
    for (table, set, element) in wanted.elements {
        if !is_there(nft, (table, &set), &element)? {
            missing.push((table, set, element));
        }
    }
    wanted.elements = missing;
    commit(nft, &wanted)
}

fn commit(nft: &mut Nft, wanted: &Wanted) -> Result<()> {
    let (operations, expected) = beside_what_is_there(nft, wanted)?;
    if operations.is_empty() {
        return Ok(());
    }
    nft.commit(&operations, expected).map_err(|refusal| refusal.error)
}

fn is_there(nft: &mut Nft, (table, set): (Table, &Set), element: &Element) -> Result<bool> {
    Ok(nft.find_element(table, set, &element.key)?.as_ref() == Some(element))
}

/// All of them as one. Fails where two want different things of one chain.
fn merge(all: Vec<Wanted>) -> Result<Wanted> {
    let mut merged = Wanted::default();
    let mut bases: Vec<Vec<Operation>> = Vec::new();
    for wanted in all {
        merged.elements.extend(wanted.elements);
        if bases.contains(&wanted.base) {
            continue;
        }
        for chain in wanted.base.iter().filter_map(chain_of) {
            let is_other = |base: &Vec<Operation>| {
                about(base, chain).next().is_some()
                    && !about(base, chain).eq(about(&wanted.base, chain))
            };
            if bases.iter().any(is_other) {
                let message =
                    format!("chain {} {} is wanted with different rules", chain.0, chain.1);
                return Err(Error::new(Code::Conflict, message));
            }
        }
        let is_new = |one: &&Operation| !merged.base.contains(one);
        let new: Vec<Operation> = wanted.base.iter().filter(is_new).cloned().collect();
        merged.base.extend(new);
        bases.push(wanted.base);
    }
    Ok(merged)
}

/// The chain that an operation is about.
fn chain_of(operation: &Operation) -> Option<(Table, &str)> {
    match operation {
        Operation::AddChain(table, chain) => Some((*table, &chain.name)),
        Operation::AddRegularChain(table, name, _)
        | Operation::FlushChain(table, name)
        | Operation::AddRule(table, name, _) => Some((*table, name)),
        _ => None,
    }
}

/// What a base does with the chain.
fn about<'a>(
    base: &'a [Operation],
    chain: (Table, &'a str),
) -> impl Iterator<Item = &'a Operation> {
    base.iter().filter(move |one| chain_of(one) == Some(chain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nft::{Rule, Statement, Verdict};
    use crate::packet_filter::table::{self, INET};

    /// A chain of its own with one rule.
    fn wanted(chain: &str, verdict: Verdict, key: &str) -> Wanted {
        let rule = Rule { statements: vec![Statement::Verdict(verdict)], comment: String::new() };
        let set = Set::new("guarded", &[crate::nft::KeyType::Ifname], "");
        let element = Element::new(vec![crate::nft::Value::Name(key.to_owned())], "net/c/eth0");
        Wanted {
            base: vec![
                table::add_inet(),
                Operation::AddRegularChain(INET, chain.to_owned(), String::new()),
                Operation::FlushChain(INET, chain.to_owned()),
                Operation::AddRule(INET, chain.to_owned(), rule.clone()),
                Operation::AddRule(INET, chain.to_owned(), rule),
            ],
            elements: vec![(INET, set, element)],
        }
    }

    #[test]
    fn what_many_share_is_made_once_and_what_is_their_own_for_each() {
        let accept = |key| wanted("a", Verdict::Accept, key);
        let merged =
            merge(vec![accept("e0"), accept("e1"), wanted("b", Verdict::Drop, "e2")]).unwrap();
        let [one, other] = [accept("e0").base, wanted("b", Verdict::Drop, "e2").base];
        assert_eq!(merged.base, [one.as_slice(), &other[1..]].concat());
        assert_eq!(merged.elements.len(), 3);
    }

    #[test]
    fn a_chain_that_two_want_differently_is_refused() {
        let error =
            merge(vec![wanted("a", Verdict::Accept, "e0"), wanted("a", Verdict::Drop, "e1")]);
        let error = error.unwrap_err();
        assert!(error.message().contains("chain inet causeway a"), "{error}");
    }
}
