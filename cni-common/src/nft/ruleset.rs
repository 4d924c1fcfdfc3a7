//! The objects of a rule set and the operations of a transaction, printed as `nft -f` reads them.

use std::fmt;

use super::statement::Rule;
use super::value::{KeyType, Value};

/// The family of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4 only.
    Ip,
    /// IPv6 only.
    Ip6,
    /// Frames that a bridge handles.
    Bridge,
    /// ARP messages.
    Arp,
    /// What comes in by a device, or leaves by one.
    Netdev,
}

impl Family {
    /// `NFPROTO_*` of linux/netfilter.h.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ip => 2,
            Self::Arp => 3,
            Self::Netdev => 5,
            Self::Bridge => 7,
            Self::Ip6 => 10,
        }
    }

    /// The family of this number.
    pub(crate) fn of_number(number: u8) -> Option<Self> {
        let all = [Self::Inet, Self::Ip, Self::Arp, Self::Netdev, Self::Bridge, Self::Ip6];
        all.into_iter().find(|family| family.number() == number)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Bridge => "bridge",
            Self::Arp => "arp",
            Self::Netdev => "netdev",
        })
    }
}

/// A table: family and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Table {
    /// Its family.
    pub family: Family,
    /// Its name.
    pub name: &'static str,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, self.name)
    }
}

/// A set or map: what it is called, what its keys are, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Its name.
    pub name: String,
    /// The fields of its key.
    pub key: Vec<KeyType>,
    /// The fields of what a map has for each key; none for a set.
    pub data: Vec<KeyType>,
    /// Whether its keys are intervals.
    pub keys: Keys,
    /// Its comment.
    pub comment: String,
}

/// What the keys of a set are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// One value each.
    Single,
    /// From one value to another, field by field. They must not overlap.
    Intervals,
}

impl Set {
    /// A set of single keys.
    pub fn new(name: impl Into<String>, key: &[KeyType], comment: impl Into<String>) -> Self {
        let (name, comment) = (name.into(), comment.into());
        Self { name, key: key.to_vec(), data: Vec::new(), keys: Keys::Single, comment }
    }

    /// The same as a map to these fields.
    #[must_use]
    pub fn to(mut self, data: &[KeyType]) -> Self {
        self.data = data.to_vec();
        self
    }

    /// The same with keys that are intervals.
    #[must_use]
    pub fn of_intervals(mut self) -> Self {
        self.keys = Keys::Intervals;
        self
    }
}

/// An element of a set or map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Its key, field by field; of an interval the lowest.
    pub key: Vec<Value>,
    /// Of an interval the highest key, which belongs to it; `None` in a set of single keys.
    pub last: Option<Vec<Value>>,
    /// What the map has for it, field by field.
    pub data: Vec<Value>,
    /// Its comment; empty for none.
    pub comment: String,
}

impl Element {
    /// The element of a set.
    pub fn new(key: Vec<Value>, comment: impl Into<String>) -> Self {
        Self { key, last: None, data: Vec::new(), comment: comment.into() }
    }

    /// The same with what a map has for it.
    #[must_use]
    pub fn with_data(mut self, data: Vec<Value>) -> Self {
        self.data = data;
        self
    }

    /// The same as an interval up to this key.
    #[must_use]
    pub fn up_to(mut self, last: Vec<Value>) -> Self {
        self.last = Some(last);
        self
    }
}

/// What a base chain may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainType {
    /// Translate addresses.
    Nat,
    /// Accept and drop.
    Filter,
    /// Have a packet routed anew that it changed.
    Route,
}

impl fmt::Display for ChainType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nat => "nat",
            Self::Filter => "filter",
            Self::Route => "route",
        })
    }
}

/// Where a base chain is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// As a packet or frame comes in.
    Prerouting,
    /// When it is for this host.
    Input,
    /// When it is passed on.
    Forward,
    /// When this host sends it.
    Output,
    /// As a packet leaves.
    Postrouting,
}

impl Hook {
    /// All of them, in the order of their numbers.
    const ALL: [Self; 5] =
        [Self::Prerouting, Self::Input, Self::Forward, Self::Output, Self::Postrouting];

    /// The hook of this number; not of `ingress` and those of other families.
    pub fn of_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.number() == number)
    }

    /// The kernel's number, the same in `inet` and `bridge`.
    pub fn number(self) -> u32 {
        match self {
            Self::Prerouting => 0,
            Self::Input => 1,
            Self::Forward => 2,
            Self::Output => 3,
            Self::Postrouting => 4,
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
        })
    }
}

/// What becomes of a packet that a chain has no verdict for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// It may pass.
    Accept,
    /// It is gone.
    Drop,
}

impl Policy {
    /// `NF_DROP` and `NF_ACCEPT` of linux/netfilter.h.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Drop => 0,
            Self::Accept => 1,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
        })
    }
}

/// A chain with a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseChain {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub kind: ChainType,
    /// Where it is entered.
    pub hook: Hook,
    /// When, among those of the same hook.
    pub priority: i32,
    /// What becomes of a packet that gets to its end.
    pub policy: Policy,
    /// Its comment.
    pub comment: String,
}

/// One step of a transaction. The names are `nft`'s: `add` is content with what is there already,
/// `create` is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Makes the table if it is missing.
    AddTable(Table, String),
    /// Makes the set if it is missing.
    AddSet(Table, Set),
    /// Makes the chain if it is missing; one of another hook or type is in the way (EEXIST).
    AddChain(Table, BaseChain),
    /// Makes a chain without hook, which others jump to, if it is missing; with its comment.
    AddRegularChain(Table, String, String),
    /// Removes all rules of the chain.
    FlushChain(Table, String),
    /// Appends a rule to the chain.
    AddRule(Table, String, Rule),
    /// Puts a rule before the others of the chain.
    InsertRule(Table, String, Rule),
    /// Adds the element to the set; one of the same key is in the way (EEXIST).
    CreateElement(Table, String, Element),
    /// Removes the element of this key.
    DeleteElement(Table, String, Vec<Value>),
    /// Removes the element that is an interval: named by both its ends.
    DeleteInterval(Table, String, Element),
    /// Removes the rule of this handle.
    DeleteRule(Table, String, u64),
    /// Removes the chain with its rules; one that a rule jumps to can't be (EBUSY).
    DeleteChain(Table, String),
    /// Removes the set with its elements; one that a rule uses can't be (EBUSY).
    DeleteSet(Table, String),
    /// Removes the table with all that is in it.
    DeleteTable(Table),
}

impl Operation {
    /// Whether it takes something away. The kernel frees that later, and who closes the socket waits
    /// for it.
    pub(crate) fn is_deletion(&self) -> bool {
        match self {
            Self::FlushChain(..)
            | Self::DeleteElement(..)
            | Self::DeleteInterval(..)
            | Self::DeleteRule(..)
            | Self::DeleteChain(..)
            | Self::DeleteSet(..)
            | Self::DeleteTable(_) => true,
            Self::AddTable(..)
            | Self::AddSet(..)
            | Self::AddChain(..)
            | Self::AddRegularChain(..)
            | Self::AddRule(..)
            | Self::InsertRule(..)
            | Self::CreateElement(..) => false,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddTable(table, comment) => {
                write!(f, "add table {table} {{ comment \"{comment}\"; }}")
            }
            Self::AddSet(table, set) => {
                let kind = if set.data.is_empty() { "set" } else { "map" };
                let flags = if set.keys == Keys::Intervals { " flags interval;" } else { "" };
                let (name, key, data) = (&set.name, dotted(&set.key), colon(&set.data));
                let comment = &set.comment;
                let fields = format!("type {key}{data};{flags} comment \"{comment}\";");
                write!(f, "add {kind} {table} {name} {{ {fields} }}")
            }
            Self::AddChain(table, chain) => write!(
                f,
                "add chain {table} {} {{ type {} hook {} priority {}; policy {}; \
                 comment \"{}\"; }}",
                chain.name, chain.kind, chain.hook, chain.priority, chain.policy, chain.comment
            ),
            Self::AddRegularChain(table, chain, comment) => {
                write!(f, "add chain {table} {chain} {{ comment \"{comment}\"; }}")
            }
            Self::FlushChain(table, chain) => write!(f, "flush chain {table} {chain}"),
            Self::AddRule(table, chain, rule) => write!(f, "add rule {table} {chain} {rule}"),
            Self::InsertRule(table, chain, rule) => {
                write!(f, "insert rule {table} {chain} {rule}")
            }
            Self::CreateElement(table, set, element) => {
                let (key, data) = (element.key_text(), colon(&element.data));
                let comment = &element.comment;
                write!(f, "create element {table} {set} {{ {key} comment \"{comment}\"{data} }}")
            }
            Self::DeleteInterval(table, set, element) => {
                write!(f, "delete element {table} {set} {{ {} }}", element.key_text())
            }
            Self::DeleteElement(table, set, key) => {
                write!(f, "delete element {table} {set} {{ {} }}", dotted(key))
            }
            Self::DeleteRule(table, chain, handle) => {
                write!(f, "delete rule {table} {chain} handle {handle}")
            }
            Self::DeleteChain(table, chain) => write!(f, "delete chain {table} {chain}"),
            Self::DeleteSet(table, set) => write!(f, "delete set {table} {set}"),
            Self::DeleteTable(table) => write!(f, "delete table {table}"),
        }
    }
}

impl Element {
    /// The key as `nft` writes it, an interval by its ends.
    fn key_text(&self) -> String {
        let Some(last) = &self.last else { return dotted(&self.key) };
        let field = |(first, last): (&Value, &Value)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        dotted(&self.key.iter().zip(last).map(field).collect::<Vec<_>>())
    }
}

/// What a map has, behind a colon; nothing for a set.
fn colon<T: fmt::Display>(data: &[T]) -> String {
    if data.is_empty() { String::new() } else { format!(" : {}", dotted(data)) }
}

/// The fields of a key as `nft` writes them.
pub(super) fn dotted<T: fmt::Display>(fields: &[T]) -> String {
    fields.iter().map(ToString::to_string).collect::<Vec<_>>().join(" . ")
}
