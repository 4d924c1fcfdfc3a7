//! Operations as netlink messages.

use netlink_packet_core::{DefaultNla, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, Hook as HookAttribute, HookNumber, NfTablesMessage,
    RuleAttribute, RuleMessage, SetAttribute, SetDescription, SetFlags, SetMessage, TableAttribute,
    TableFlags, TableMessage,
};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage};

use super::compile::compile;
use super::element::{element_of, key_element, new_elements};
use super::expression::Expression;
use super::ruleset::{BaseChain, Family, Keys, Operation, Set, Table};
use super::statement::Rule;
use super::userdata::{self, ByteOrder};
use super::value::{KeyType, key_length};

/// Bits per field in the number of a concatenated key type, as `nft` has it.
const TYPE_BITS: u32 = 6;

/// The message of an operation and its flags, but for `NLM_F_REQUEST` and `NLM_F_ACK`. `id` tells
/// the new sets of a transaction apart.
pub(crate) fn encode(operation: &Operation, id: u32) -> (NetfilterMessage, u16) {
    use NfTablesMessage as M;
    let (table, message, flags) = match operation {
        Operation::AddTable(table, comment) => {
            (table, M::NewTable(new_table(*table, comment)), NLM_F_CREATE)
        }
        Operation::AddSet(table, set) => (table, M::NewSet(new_set(*table, set, id)), NLM_F_CREATE),
        Operation::AddChain(table, chain) => {
            (table, M::NewChain(new_chain(*table, chain)), NLM_F_CREATE)
        }
        Operation::AddRegularChain(table, chain, comment) => {
            (table, M::NewChain(new_regular_chain(*table, chain, comment)), NLM_F_CREATE)
        }
        Operation::FlushChain(table, chain) => {
            (table, M::DeleteRule(rule_of(*table, chain, [])), 0)
        }
        Operation::AddRule(table, chain, rule) => {
            (table, M::NewRule(new_rule(*table, chain, rule)), NLM_F_CREATE | NLM_F_APPEND)
        }
        Operation::InsertRule(table, chain, rule) => {
            (table, M::NewRule(new_rule(*table, chain, rule)), NLM_F_CREATE)
        }
        Operation::CreateElement(table, set, element) => (
            table,
            M::NewSetElement(element_of(*table, set, new_elements(element))),
            NLM_F_CREATE | NLM_F_EXCL,
        ),
        Operation::DeleteElement(table, set, key) => {
            (table, M::DeleteSetElement(element_of(*table, set, vec![key_element(key)])), 0)
        }
        Operation::DeleteInterval(table, set, element) => {
            (table, M::DeleteSetElement(element_of(*table, set, new_elements(element))), 0)
        }
        Operation::DeleteRule(table, chain, handle) => {
            let handle = RuleAttribute::Handle(*handle);
            (table, M::DeleteRule(rule_of(*table, chain, [handle])), 0)
        }
        Operation::DeleteChain(table, chain) => {
            let attributes = vec![
                ChainAttribute::Table(table.name.to_owned()),
                ChainAttribute::Name(chain.clone()),
            ];
            (table, M::DeleteChain(ChainMessage { attributes }), 0)
        }
        Operation::DeleteSet(table, set) => {
            let attributes =
                vec![SetAttribute::Table(table.name.to_owned()), SetAttribute::Name(set.clone())];
            (table, M::DeleteSet(SetMessage { attributes }), 0)
        }
        Operation::DeleteTable(table) => {
            let attributes = vec![table_attribute(*table)];
            (table, M::DeleteTable(TableMessage { attributes }), 0)
        }
    };
    (NetfilterMessage::new(header(table.family), message), flags)
}

/// The header of a message about a table of this family.
pub(crate) fn header(family: Family) -> NetfilterHeader {
    NetfilterHeader::new(family.number().into(), 0, 0)
}

/// A table's name.
pub(crate) fn table_attribute(table: Table) -> TableAttribute {
    TableAttribute::Name(table.name.to_owned())
}

fn new_table(table: Table, comment: &str) -> TableMessage {
    let mut attributes = vec![table_attribute(table), TableAttribute::Flags(TableFlags::empty())];
    attributes.extend(user_data(comment).map(TableAttribute::UserData));
    TableMessage { attributes }
}

fn new_set(table: Table, set: &Set, id: u32) -> SetMessage {
    let length = |fields: &[KeyType]| u32::try_from(key_length(fields)).unwrap_or_default();
    let mut flags = SetFlags::empty();
    let mut description = Vec::new();
    if !set.data.is_empty() {
        flags |= SetFlags::Map;
    }
    if set.keys == Keys::Intervals {
        flags |= SetFlags::Interval;
        if set.key.len() > 1 {
            flags |= SetFlags::Concat;
            description.push(SetDescription::Concat(field_lengths(&set.key)));
        }
    }
    let mut attributes = vec![
        SetAttribute::Table(table.name.to_owned()),
        SetAttribute::Name(set.name.clone()),
        SetAttribute::Flags(flags),
        SetAttribute::KeyType(type_number(&set.key)),
        SetAttribute::KeyLen(length(&set.key)),
        SetAttribute::Id(id),
    ];
    if !description.is_empty() {
        attributes.push(SetAttribute::Description(description));
    }
    let mut data = userdata::set_key(byte_order(&set.key));
    if !set.data.is_empty() {
        attributes.push(SetAttribute::DataType(type_number(&set.data)));
        attributes.push(SetAttribute::DataLen(length(&set.data)));
        data.extend(userdata::set_data(byte_order(&set.data)));
    }
    data.extend(userdata::set_comment(&set.comment));
    attributes.push(SetAttribute::UserData(data));
    SetMessage { attributes }
}

/// The number of a type, or of a concatenation of types.
fn type_number(fields: &[KeyType]) -> u32 {
    match fields {
        [only] => only.number(),
        fields => fields.iter().fold(0, |all, field| (all << TYPE_BITS) | field.number()),
    }
}

/// How long each field of a concatenation is: `NFTA_SET_FIELD_LEN` in an `NFTA_LIST_ELEM` each.
fn field_lengths(fields: &[KeyType]) -> Vec<DefaultNla> {
    let field = |field: &KeyType| {
        let length = u32::try_from(field.length()).unwrap_or_default();
        // The one attribute inside: its length of 8, its number 1, its value.
        let mut inside = 8_u16.to_ne_bytes().to_vec();
        inside.extend(1_u16.to_ne_bytes());
        inside.extend(length.to_be_bytes());
        DefaultNla::new(1, inside)
    };
    fields.iter().map(field).collect()
}

fn byte_order(fields: &[KeyType]) -> ByteOrder {
    match fields {
        [KeyType::Ifname | KeyType::Mark] => ByteOrder::Host,
        // `nft` counts on a length where there is an order, and a verdict has none.
        [KeyType::Verdict] => ByteOrder::Mixed,
        [_] => ByteOrder::Network,
        _ => ByteOrder::Mixed,
    }
}

fn new_chain(table: Table, chain: &BaseChain) -> ChainMessage {
    let mut attributes = vec![
        ChainAttribute::Table(table.name.to_owned()),
        ChainAttribute::Name(chain.name.clone()),
        ChainAttribute::Type(chain.kind.to_string()),
        ChainAttribute::Policy(chain.policy.number()),
        ChainAttribute::Hook(vec![
            HookAttribute::Number(HookNumber::Other(chain.hook.number())),
            HookAttribute::Priority(chain.priority.cast_unsigned()),
        ]),
    ];
    attributes.extend(user_data(&chain.comment).map(ChainAttribute::UserData));
    ChainMessage { attributes }
}

fn new_regular_chain(table: Table, chain: &str, comment: &str) -> ChainMessage {
    let mut attributes =
        vec![ChainAttribute::Table(table.name.to_owned()), ChainAttribute::Name(chain.to_owned())];
    attributes.extend(user_data(comment).map(ChainAttribute::UserData));
    ChainMessage { attributes }
}

/// The user data that holds the comment; none for none.
fn user_data(comment: &str) -> Option<Vec<u8>> {
    (!comment.is_empty()).then(|| userdata::comment(comment))
}

fn rule_of(
    table: Table,
    chain: &str,
    more: impl IntoIterator<Item = RuleAttribute>,
) -> RuleMessage {
    let mut attributes =
        vec![RuleAttribute::Table(table.name.to_owned()), RuleAttribute::Chain(chain.to_owned())];
    attributes.extend(more);
    RuleMessage { attributes }
}

fn new_rule(table: Table, chain: &str, rule: &Rule) -> RuleMessage {
    let expressions = compile(rule).into_iter().map(Expression::message).collect();
    let expressions = RuleAttribute::Expressions(expressions);
    let comment = user_data(&rule.comment).map(RuleAttribute::UserData);
    rule_of(table, chain, [expressions].into_iter().chain(comment))
}
