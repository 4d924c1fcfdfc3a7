//! Operations as netlink messages.

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, DataAttribute, Hook as HookAttribute, HookNumber, ListAttribute,
    NfTablesMessage, RuleAttribute, RuleMessage, SetAttribute, SetElementAttribute, SetElementList,
    SetElementMessage, SetFlags, SetMessage, TableAttribute, TableFlags, TableMessage,
};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterProtoFamily};

use super::expression::{octets, of_rule};
use super::ruleset::{BaseChain, Element, Family, KeyType, Operation, Set, Table, Value};
use super::statement::Rule;
use super::userdata::{self, ByteOrder};

/// `NF_ACCEPT` of linux/netfilter.h.
const POLICY_ACCEPT: u32 = 1;
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
        Operation::FlushChain(table, chain) => {
            (table, M::DeleteRule(rule_of(*table, chain, [])), 0)
        }
        Operation::AddRule(table, chain, rule) => {
            (table, M::NewRule(new_rule(*table, chain, rule)), NLM_F_CREATE | NLM_F_APPEND)
        }
        Operation::CreateElement(table, set, element) => (
            table,
            M::NewSetElement(element_of(*table, set, new_element(element))),
            NLM_F_CREATE | NLM_F_EXCL,
        ),
        Operation::DeleteElement(table, set, key) => {
            let key = SetElementAttribute::Key(key_attribute(key));
            (table, M::DeleteSetElement(element_of(*table, set, vec![key])), 0)
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
    let family = match family {
        Family::Inet => NetfilterProtoFamily::Inet,
        Family::Ip => NetfilterProtoFamily::IPv4,
        Family::Ip6 => NetfilterProtoFamily::IPv6,
        Family::Bridge => NetfilterProtoFamily::Bridge,
    };
    NetfilterHeader::new(family, 0, 0)
}

/// A table's name.
pub(crate) fn table_attribute(table: Table) -> TableAttribute {
    TableAttribute::Name(table.name.to_owned())
}

/// A key as the kernel stores it: field after field, each filled up to a multiple of four bytes
/// where more than one follow each other.
pub(crate) fn key_attribute(key: &[Value]) -> DataAttribute {
    let mut bytes = Vec::new();
    for value in key {
        let mut field = match value {
            Value::Ip(ip) => octets(*ip),
            Value::Mac(mac) => mac.octets().to_vec(),
            Value::Name(name) => {
                let mut field = name.as_bytes().to_vec();
                field.resize(KeyType::Ifname.length(), 0);
                field
            }
            Value::Mark(number) => number.to_ne_bytes().to_vec(),
        };
        if key.len() > 1 {
            field.resize(field.len().next_multiple_of(4), 0);
        }
        bytes.extend(field);
    }
    DataAttribute::Value(bytes)
}

/// Bytes of a key of these fields.
pub(super) fn key_length(key: &[KeyType]) -> usize {
    match key {
        [only] => only.length(),
        fields => fields.iter().map(|field| field.length().next_multiple_of(4)).sum(),
    }
}

fn new_table(table: Table, comment: &str) -> TableMessage {
    TableMessage {
        attributes: vec![
            table_attribute(table),
            TableAttribute::Flags(TableFlags::empty()),
            TableAttribute::UserData(userdata::comment(comment)),
        ],
    }
}

fn new_set(table: Table, set: &Set, id: u32) -> SetMessage {
    let number = set.key.iter().fold(0, |all, field| (all << TYPE_BITS) | field.number());
    let order = byte_order(&set.key);
    let length = |fields: &[KeyType]| u32::try_from(key_length(fields)).unwrap_or_default();
    let flags = if set.data.is_some() { SetFlags::Map } else { SetFlags::empty() };
    let mut attributes = vec![
        SetAttribute::Table(table.name.to_owned()),
        SetAttribute::Name(set.name.clone()),
        SetAttribute::Flags(flags),
        SetAttribute::KeyType(number),
        SetAttribute::KeyLen(length(&set.key)),
        SetAttribute::Id(id),
    ];
    let mut data = userdata::set_key(order);
    if let Some(field) = set.data {
        attributes.push(SetAttribute::DataType(field.number()));
        attributes.push(SetAttribute::DataLen(length(&[field])));
        data.extend(userdata::set_data(byte_order(&[field])));
    }
    data.extend(userdata::set_comment(&set.comment));
    attributes.push(SetAttribute::UserData(data));
    SetMessage { attributes }
}

fn byte_order(fields: &[KeyType]) -> ByteOrder {
    match fields {
        [KeyType::Ifname | KeyType::Mark] => ByteOrder::Host,
        [_] => ByteOrder::Network,
        _ => ByteOrder::Mixed,
    }
}

fn new_chain(table: Table, chain: &BaseChain) -> ChainMessage {
    ChainMessage {
        attributes: vec![
            ChainAttribute::Table(table.name.to_owned()),
            ChainAttribute::Name(chain.name.clone()),
            ChainAttribute::Type(chain.kind.to_string()),
            ChainAttribute::Policy(POLICY_ACCEPT),
            ChainAttribute::Hook(vec![
                HookAttribute::Number(HookNumber::Other(chain.hook.number())),
                HookAttribute::Priority(chain.priority.cast_unsigned()),
            ]),
            ChainAttribute::UserData(userdata::comment(&chain.comment)),
        ],
    }
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
    let expressions = RuleAttribute::Expressions(of_rule(rule));
    let comment = (!rule.comment.is_empty())
        .then(|| RuleAttribute::UserData(userdata::comment(&rule.comment)));
    rule_of(table, chain, [expressions].into_iter().chain(comment))
}

fn new_element(element: &Element) -> Vec<SetElementAttribute> {
    let mut attributes = vec![
        SetElementAttribute::Key(key_attribute(&element.key)),
        SetElementAttribute::UserData(userdata::comment(&element.comment)),
    ];
    if let Some(data) = &element.data {
        attributes.push(SetElementAttribute::Data(key_attribute(std::slice::from_ref(data))));
    }
    attributes
}

fn element_of(table: Table, set: &str, element: Vec<SetElementAttribute>) -> SetElementMessage {
    SetElementMessage {
        attributes: vec![
            SetElementList::Table(table.name.to_owned()),
            SetElementList::Set(set.to_owned()),
            SetElementList::Elements(vec![ListAttribute::Element(element)]),
        ],
    }
}
