//! nf_tables as values: tables, sets, chains, rules, elements, and the operations of a transaction,
//! which print as `nft` reads them. Pure: [`crate::sys::nft`] carries them to the kernel.
//!
//! - `ruleset`: the objects and the [`Operation`]s on them.
//! - `statement`: what a rule does, in the order of an `nft` line.
//! - `encode`, `expression`: operations as netlink messages.
//! - `decode`: the kernel's answers as our values.
//! - `userdata`: comments as `nft` stores and prints them.

mod decode;
mod encode;
mod expression;
mod ruleset;
mod statement;
mod userdata;

pub(crate) use decode::{chain, elements, generation, rule, set_name, table_use};
pub(crate) use encode::{encode, header, key_attribute, table_attribute};
pub use ruleset::{
    BaseChain, ChainType, Element, Family, Hook, KeyType, Operation, Set, Table, Value,
};
pub use statement::{Field, Presence, Rule, Statement};
pub use userdata::LONGEST_COMMENT;

/// A base chain as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundChain {
    /// Its name.
    pub name: String,
    /// Its type, hook number and priority; `None` for a chain without hook.
    pub hook: Option<(String, u32, i32)>,
}

/// A rule as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRule {
    /// What it is deleted by.
    pub handle: u64,
    /// The chain it stands in.
    pub chain: String,
    /// Its comment, `nft`'s or `iptables`'; empty for none.
    pub comment: String,
    expressions: Vec<expression::Flat>,
}

impl FoundRule {
    /// Whether the rule does what `rule` says. The kernel may add attributes that were not given.
    pub fn does(&self, rule: &Rule) -> bool {
        let wanted = expression::flat(&expression::of_rule(rule));
        self.expressions.len() == wanted.len()
            && self.expressions.iter().zip(&wanted).all(|(found, wanted)| found.covers(wanted))
    }

    /// The chain that the rule jumps or goes to, if any.
    pub fn target(&self) -> Option<String> {
        self.expressions.iter().find_map(expression::Flat::target)
    }

    /// The one source address that the rule is for, if it is for one.
    pub fn source(&self) -> Option<std::net::IpAddr> {
        expression::source(&self.expressions)
    }
}

/// Which state of the rule set an answer described; a transaction can be made to depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(pub(crate) u32);
