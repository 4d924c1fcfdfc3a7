//! The kernel's answers as our values. What can't be read is not ours and is left out.

use netlink_packet_core::{DefaultNla, Nla as _};
use netlink_packet_netfilter::NetfilterHeader;
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, GenAttribute, GenMessage, Hook as HookAttribute, SetAttribute,
    SetMessage, TableAttribute, TableMessage,
};

use super::expression::{self, Expression};
use super::found::{FoundChain, FoundHook, FoundRule, FoundTable, Generation};
use super::ruleset::{Family, Policy};
use super::userdata;

/// `NFTA_RULE_TABLE`, `_CHAIN`, `_HANDLE`, `_EXPRESSIONS` and `_USERDATA` of
/// linux/netfilter/nf_tables.h.
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_USERDATA: u16 = 7;

fn family(header: &NetfilterHeader) -> Option<Family> {
    Family::of_number(header.family.into())
}

/// A table's family and name.
pub(crate) fn table(header: &NetfilterHeader, message: &TableMessage) -> Option<FoundTable> {
    let name = message.attributes.iter().find_map(|attribute| match attribute {
        TableAttribute::Name(name) => Some(name.clone()),
        _ => None,
    });
    Some(FoundTable { family: family(header)?, name: name? })
}

/// The generation in an answer.
pub(crate) fn generation(message: &GenMessage) -> Option<Generation> {
    message.attributes.iter().find_map(|attribute| match attribute {
        GenAttribute::Id(id) => Some(Generation(*id)),
        _ => None,
    })
}

/// How many objects a table holds.
pub(crate) fn table_use(message: &TableMessage) -> Option<u32> {
    message.attributes.iter().find_map(|attribute| match attribute {
        TableAttribute::Use(count) => Some(*count),
        _ => None,
    })
}

/// A set's name.
pub(crate) fn set_name(message: &SetMessage) -> Option<String> {
    message.attributes.iter().find_map(|attribute| match attribute {
        SetAttribute::Name(name) => Some(name.clone()),
        _ => None,
    })
}

/// A chain, wherever it is.
pub(crate) fn chain(header: &NetfilterHeader, message: &ChainMessage) -> Option<FoundChain> {
    let mut chain = FoundChain {
        table: FoundTable { family: family(header)?, name: String::new() },
        name: String::new(),
        hook: None,
        policy: None,
    };
    let (mut kind, mut number, mut priority) = (None, None, None);
    for attribute in &message.attributes {
        match attribute {
            ChainAttribute::Table(name) => chain.table.name.clone_from(name),
            ChainAttribute::Name(name) => chain.name.clone_from(name),
            ChainAttribute::Type(text) => kind = Some(text.clone()),
            ChainAttribute::Policy(number) => {
                chain.policy = Some(match *number == Policy::Accept.number() {
                    true => Policy::Accept,
                    false => Policy::Drop,
                });
            }
            ChainAttribute::Hook(hook) => {
                for part in hook {
                    match part {
                        HookAttribute::Number(value) => number = Some(u32::from(*value)),
                        HookAttribute::Priority(value) => priority = Some(value.cast_signed()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if let (Some(kind), Some(number), Some(priority)) = (kind, number, priority) {
        chain.hook = Some(FoundHook { kind, number, priority });
    }
    (!chain.name.is_empty()).then_some(chain)
}

/// A rule's place, handle, comment and expressions, by its message's outermost attributes.
pub(crate) fn rule(header: &NetfilterHeader, message: &[DefaultNla]) -> Option<FoundRule> {
    let mut handle = None;
    let (mut table, mut chain) = (String::new(), String::new());
    let (mut comment, mut expressions) = (String::new(), Vec::new());
    for attribute in message {
        let value = expression::value_of(attribute);
        match attribute.kind() {
            RULE_HANDLE => handle = value.try_into().ok().map(u64::from_be_bytes),
            RULE_TABLE => table = expression::text(&value)?,
            RULE_CHAIN => chain = expression::text(&value)?,
            RULE_USERDATA => comment = userdata::read_comment(&value),
            RULE_EXPRESSIONS => expressions = expression::read(&value),
            _ => {}
        }
    }
    if comment.is_empty() {
        comment = expressions.iter().find_map(Expression::comment).unwrap_or_default();
    }
    let table = FoundTable { family: family(header)?, name: table };
    Some(FoundRule { table, handle: handle?, chain, comment, expressions })
}
