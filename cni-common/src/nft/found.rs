//! What the kernel has: our own things and those of others.

use std::fmt;
use std::net::IpAddr;

use super::compile::{compile, load};
use super::expression::{Expression, register};
use super::ruleset::{BaseChain, Family, Policy, Table};
use super::statement::{Field, Rule};
use super::value::Verdict;

/// Which state of the rule set an answer described; a transaction can be made to depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(pub(crate) u32);

/// A table as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FoundTable {
    /// Its family.
    pub family: Family,
    /// Its name.
    pub name: String,
}

impl FoundTable {
    /// Whether it is this one.
    pub fn is(&self, table: Table) -> bool {
        self.family == table.family && self.name == table.name
    }
}

impl fmt::Display for FoundTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, self.name)
    }
}

/// A chain as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundChain {
    /// The table it is in.
    pub table: FoundTable,
    /// Its name.
    pub name: String,
    /// Where it is entered; `None` for a chain that others jump to.
    pub hook: Option<FoundHook>,
    /// What becomes of a packet that gets to its end; `None` for a chain without hook.
    pub policy: Option<Policy>,
}

impl FoundChain {
    /// Whether it is entered where `chain` is, and does the same at its end.
    pub fn is_placed_as(&self, chain: &BaseChain) -> bool {
        self.hook.as_ref().is_some_and(|hook| hook.is_of(chain))
            && self.policy == Some(chain.policy)
    }
}

/// Where a base chain is entered, as the kernel says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundHook {
    /// Its type: `filter`, `nat`, `route`.
    pub kind: String,
    /// The hook's number, which means another hook in `arp` and `netdev` tables.
    pub number: u32,
    /// Lower ones come first.
    pub priority: i32,
}

impl FoundHook {
    /// Whether it is that of the chain.
    pub fn is_of(&self, chain: &BaseChain) -> bool {
        let wanted = (chain.kind.to_string(), chain.hook.number(), chain.priority);
        (&self.kind, self.number, self.priority) == (&wanted.0, wanted.1, wanted.2)
    }
}

/// A rule as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRule {
    /// The table it is in.
    pub table: FoundTable,
    /// What it is deleted by.
    pub handle: u64,
    /// The chain it stands in.
    pub chain: String,
    /// Its comment, `nft`'s or `iptables`'; empty for none.
    pub comment: String,
    pub(super) expressions: Vec<Expression>,
}

impl FoundRule {
    /// Whether the rule does what `rule` says. The kernel may add attributes that were not given.
    pub fn does(&self, rule: &Rule) -> bool {
        let wanted = compile(rule);
        self.expressions.len() == wanted.len()
            && self.expressions.iter().zip(&wanted).all(|(found, wanted)| found.covers(wanted))
    }

    /// The verdict that the rule ends with, if it has one of its own.
    pub fn verdict(&self) -> Option<Verdict> {
        self.expressions.iter().find_map(Expression::as_verdict)
    }

    /// The chain that the rule jumps or goes to, if any.
    pub fn target(&self) -> Option<String> {
        self.verdict()?.chain().map(str::to_owned)
    }

    /// The sets and maps that the rule looks into, anonymous ones (`__set0`) too.
    pub fn sets(&self) -> Vec<String> {
        self.expressions.iter().filter_map(Expression::set).collect()
    }

    /// The one source address that the rule is for, if it is for one.
    pub fn source(&self) -> Option<IpAddr> {
        self.address([Field::Ip4Source, Field::Ip6Source])
    }

    /// The one destination address that the rule is for, if it is for one.
    pub fn destination(&self) -> Option<IpAddr> {
        self.address([Field::Ip4Destination, Field::Ip6Destination])
    }

    /// The one address that the rule gives packets as their destination, if it does.
    pub fn new_destination(&self) -> Option<IpAddr> {
        let register = self.expressions.iter().find_map(Expression::destination_register)?;
        let mut loads = self.expressions.iter().filter_map(Expression::loaded);
        loads.find(|(loaded, _)| *loaded == register).and_then(|(_, value)| address(value))
    }

    /// Whether the rule drops or rejects whatever comes to it.
    pub fn drops_everything(&self) -> bool {
        let drops = |one: &Expression| one.is("reject") || one.as_verdict() == Some(Verdict::Drop);
        let is_aside = |one: &Expression| one.is("counter") || one.is("log") || one.is_comment();
        self.expressions.iter().any(drops)
            && self.expressions.iter().all(|one| drops(one) || is_aside(one))
    }

    fn address(&self, fields: [Field; 2]) -> Option<IpAddr> {
        let loads = fields.map(|field| load(field, register(0)));
        self.expressions.windows(2).find_map(|pair| {
            let [found, compared] = pair else { return None };
            if !loads.iter().any(|load| found.covers(load)) {
                return None;
            }
            address(compared.compared()?)
        })
    }
}

fn address(value: &[u8]) -> Option<IpAddr> {
    let ip = <[u8; 4]>::try_from(value).map(IpAddr::from);
    ip.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from)).ok()
}
