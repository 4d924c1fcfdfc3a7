//! What CHECK finds: every missing or altered part by its name, all of them in one error.

use crate::nft::{BaseChain, Element, Rule, Set, Table};
use crate::sys::nft::Nft;
use crate::{Code, Context, Error, Result};

/// The faults found so far.
#[derive(Debug, Default)]
pub struct Report(Vec<String>);

impl Report {
    /// Notes a fault.
    pub fn fault(&mut self, fault: String) {
        self.0.push(fault);
    }

    /// Whether the table is there, without which nothing of it is to be looked at.
    pub fn table(&mut self, nft: &mut Nft, table: Table) -> Result<bool> {
        let is_there = nft.has_table(table)?;
        if !is_there {
            self.fault(format!("table {table}: missing"));
        }
        Ok(is_there)
    }

    /// Looks at a base chain and all its rules.
    pub fn chain(
        &mut self,
        nft: &mut Nft,
        table: Table,
        (chain, rules): (&BaseChain, &[Rule]),
    ) -> Result<()> {
        let name = format!("chain {table} {}", chain.name);
        let Some(found) = nft.find_chain(table, &chain.name)? else {
            self.fault(format!("{name}: missing"));
            return Ok(());
        };
        if !found.is_placed_as(chain) {
            self.fault(format!(
                "{name}: its hook is not \"type {} hook {} priority {}; policy {}\"",
                chain.kind, chain.hook, chain.priority, chain.policy
            ));
        }
        self.rules(nft, table, (&chain.name, rules))
    }

    /// Looks at a chain without hook and all its rules.
    pub fn regular_chain(
        &mut self,
        nft: &mut Nft,
        table: Table,
        (chain, rules): (&str, &[Rule]),
    ) -> Result<()> {
        match nft.find_chain(table, chain)? {
            None => self.fault(format!("chain {table} {chain}: missing")),
            Some(_chain) => self.rules(nft, table, (chain, rules))?,
        }
        Ok(())
    }

    fn rules(
        &mut self,
        nft: &mut Nft,
        table: Table,
        (chain, rules): (&str, &[Rule]),
    ) -> Result<()> {
        let name = format!("chain {table} {chain}");
        let found = nft.list_rules(table, chain)?;
        for rule in rules {
            if !found.iter().any(|found| found.does(rule)) {
                self.fault(format!("{name}: the rule \"{rule}\" is missing or altered"));
            }
        }
        let foreign = found.iter().filter(|found| !rules.iter().any(|rule| found.does(rule)));
        for rule in foreign {
            self.fault(format!("{name}: the rule of handle {} is not ours", rule.handle));
        }
        Ok(())
    }

    /// Looks at an element and whose it is.
    pub fn element(
        &mut self,
        nft: &mut Nft,
        table: Table,
        (set, wanted): (&Set, &Element),
    ) -> Result<()> {
        let key: Vec<_> = wanted.key.iter().map(ToString::to_string).collect();
        let name = format!("element {} of set {table} {}", key.join(" . "), set.name);
        match nft.find_element(table, set, &wanted.key)? {
            None => self.fault(format!("{name}: missing")),
            Some(found) if found.comment != wanted.comment => self.fault(format!(
                "{name}: belongs to \"{}\", not to \"{}\"",
                found.comment, wanted.comment
            )),
            Some(found) if found.data != wanted.data => self.fault(format!("{name}: altered")),
            Some(_) => {}
        }
        Ok(())
    }

    /// Whether no fault was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The error that names all faults, if there were any.
    pub fn into_result(self, what: &str) -> Result<()> {
        let errors = self.0.into_iter().map(|fault| Error::new(Code::CheckFailed, fault));
        Error::join(errors).with_context(|| what)
    }
}
