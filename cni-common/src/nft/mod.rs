//! nf_tables as values: tables, sets, chains, rules, elements, and the operations of a transaction,
//! which print as `nft` reads them. Pure: [`crate::sys::nft`] carries them to the kernel.
//!
//! - `value`: what keys, elements and comparisons are made of.
//! - `ruleset`: the objects and the [`Operation`]s on them.
//! - `statement`: what a rule does, in the order of an `nft` line.
//! - `compile`, `expression`: a rule as the kernel's expressions.
//! - `encode`, `element`: operations as netlink messages.
//! - `decode`, `found`: the kernel's answers as values.
//! - `passage`: what becomes of a packet in a chain that was found.
//! - `userdata`: comments as `nft` stores and prints them.

mod compile;
mod decode;
mod element;
mod encode;
mod expression;
mod found;
mod passage;
mod ruleset;
mod statement;
mod userdata;
mod value;

pub(crate) use decode::{chain, generation, rule, set_name, table, table_use};
pub(crate) use element::{elements, key_element, parts};
pub(crate) use encode::{encode, header, table_attribute};
pub use found::{FoundChain, FoundHook, FoundRule, FoundTable, Generation};
pub use passage::{Packet, Passage, Place, Via};
pub use ruleset::{
    BaseChain, ChainType, Element, Family, Hook, Keys, Operation, Policy, Set, Table,
};
pub use statement::{
    Comparison, ConnectionState, ConnectionStatus, Field, IpVersion, Presence, Rule, Statement,
};
pub use userdata::MAX_COMMENT;
pub use value::{KeyType, Value, Verdict};
