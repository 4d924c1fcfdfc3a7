//! The objects of a rule set and the operations of a transaction, printed as `nft -f` reads them.

use std::fmt;
use std::net::IpAddr;

use super::statement::Rule;
use crate::types::Mac;

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
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Bridge => "bridge",
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

/// One field of a set's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// An Ethernet address.
    Ether,
    /// An interface's name.
    Ifname,
    /// A number, which `nft` shows in hexadecimal.
    Mark,
}

impl KeyType {
    /// The number `nft` knows the type by; the kernel only hands it back.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Ipv4 => 7,
            Self::Ipv6 => 8,
            Self::Ether => 9,
            Self::Mark => 19,
            Self::Ifname => 41,
        }
    }

    /// Bytes of a value, before it is filled up to a multiple of four.
    pub(super) fn length(self) -> usize {
        match self {
            Self::Ipv4 | Self::Mark => 4,
            Self::Ipv6 | Self::Ifname => 16,
            Self::Ether => 6,
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "ipv4_addr",
            Self::Ipv6 => "ipv6_addr",
            Self::Ether => "ether_addr",
            Self::Ifname => "ifname",
            Self::Mark => "mark",
        })
    }
}

/// A set or map: what it is called, what its keys are, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Its name.
    pub name: String,
    /// The fields of its key.
    pub key: Vec<KeyType>,
    /// What a map has for each key; `None` for a set.
    pub data: Option<KeyType>,
    /// Its comment.
    pub comment: String,
}

/// One field of an element's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// An IP address.
    Ip(IpAddr),
    /// An Ethernet address.
    Mac(Mac),
    /// An interface's name.
    Name(String),
    /// A number.
    Mark(u32),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Mac(mac) => mac.fmt(f),
            Self::Name(name) => write!(f, "\"{name}\""),
            Self::Mark(number) => write!(f, "{number:#x}"),
        }
    }
}

/// An element of a set or map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Its key, field by field.
    pub key: Vec<Value>,
    /// What the map has for it.
    pub data: Option<Value>,
    /// Its comment; empty for none.
    pub comment: String,
}

/// What a base chain may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainType {
    /// Translate addresses.
    Nat,
    /// Accept and drop.
    Filter,
}

impl fmt::Display for ChainType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nat => "nat",
            Self::Filter => "filter",
        })
    }
}

/// Where a base chain is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// As a packet or frame comes in.
    Prerouting,
    /// As a packet leaves.
    Postrouting,
}

impl Hook {
    /// The kernel's number, the same in `inet` and `bridge`.
    pub fn number(self) -> u32 {
        match self {
            Self::Prerouting => 0,
            Self::Postrouting => 4,
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prerouting => "prerouting",
            Self::Postrouting => "postrouting",
        })
    }
}

/// A chain with a hook; its policy is accept.
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
    /// Removes all rules of the chain.
    FlushChain(Table, String),
    /// Appends a rule to the chain.
    AddRule(Table, String, Rule),
    /// Adds the element to the set; one of the same key is in the way (EEXIST).
    CreateElement(Table, String, Element),
    /// Removes the element of this key.
    DeleteElement(Table, String, Vec<Value>),
    /// Removes the rule of this handle.
    DeleteRule(Table, String, u64),
    /// Removes the chain with its rules; one that a rule jumps to can't be (EBUSY).
    DeleteChain(Table, String),
    /// Removes the set with its elements; one that a rule uses can't be (EBUSY).
    DeleteSet(Table, String),
    /// Removes the table with all that is in it.
    DeleteTable(Table),
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddTable(table, comment) => {
                write!(f, "add table {table} {{ comment \"{comment}\"; }}")
            }
            Self::AddSet(table, set) => {
                let kind = if set.data.is_some() { "map" } else { "set" };
                let data = set.data.map_or_else(String::new, |data| format!(" : {data}"));
                let (name, key) = (&set.name, dotted(&set.key));
                write!(
                    f,
                    "add {kind} {table} {name} {{ type {key}{data}; comment \"{}\"; }}",
                    set.comment
                )
            }
            Self::AddChain(table, chain) => write!(
                f,
                "add chain {table} {} {{ type {} hook {} priority {}; policy accept; \
                 comment \"{}\"; }}",
                chain.name, chain.kind, chain.hook, chain.priority, chain.comment
            ),
            Self::FlushChain(table, chain) => write!(f, "flush chain {table} {chain}"),
            Self::AddRule(table, chain, rule) => write!(f, "add rule {table} {chain} {rule}"),
            Self::CreateElement(table, set, element) => {
                let (key, comment) = (dotted(&element.key), &element.comment);
                let data =
                    element.data.as_ref().map_or_else(String::new, |data| format!(" : {data}"));
                write!(f, "create element {table} {set} {{ {key} comment \"{comment}\"{data} }}")
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

/// The fields of a key as `nft` writes them.
pub(super) fn dotted<T: fmt::Display>(fields: &[T]) -> String {
    fields.iter().map(ToString::to_string).collect::<Vec<_>>().join(" . ")
}
