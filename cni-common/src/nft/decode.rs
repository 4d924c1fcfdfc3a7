//! The kernel's answers as our values. What can't be read is not ours and is left out.

use std::net::IpAddr;

use netlink_packet_core::{DefaultNla, Nla, NlasIterator, Parseable};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, DataAttribute, GenAttribute, GenMessage, Hook as HookAttribute,
    RuleAttribute, RuleMessage, SetAttribute, SetElementAttribute, SetMessage, TableAttribute,
    TableMessage,
};

use super::encode::key_length;
use super::expression::{Flat, flat};
use super::ruleset::{Element, KeyType, Value};
use super::{FoundChain, FoundRule, Generation, userdata};
use crate::reading;
use crate::types::Mac;

/// `NFTA_SET_ELEM_LIST_ELEMENTS` of linux/netfilter/nf_tables.h.
const ELEMENTS: u16 = 3;

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

/// A chain's name and hook.
pub(crate) fn chain(message: &ChainMessage) -> Option<FoundChain> {
    let (mut name, mut kind, mut number, mut priority) = (None, None, None, None);
    for attribute in &message.attributes {
        match attribute {
            ChainAttribute::Name(text) => name = Some(text.clone()),
            ChainAttribute::Type(text) => kind = Some(text.clone()),
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
    let hook = match (kind, number, priority) {
        (Some(kind), Some(number), Some(priority)) => Some((kind, number, priority)),
        _ => None,
    };
    Some(FoundChain { name: name?, hook })
}

/// A rule's handle, comment and expressions.
pub(crate) fn rule(message: &RuleMessage) -> Option<FoundRule> {
    let (mut handle, mut chain) = (None, String::new());
    let (mut comment, mut expressions) = (String::new(), Vec::new());
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Handle(value) => handle = Some(*value),
            RuleAttribute::Chain(name) => chain.clone_from(name),
            RuleAttribute::UserData(data) => comment = userdata::read_comment(data),
            RuleAttribute::Expressions(list) => expressions = flat(list),
            _ => {}
        }
    }
    if comment.is_empty() {
        comment = expressions.iter().find_map(Flat::comment).unwrap_or_default();
    }
    Some(FoundRule { handle: handle?, chain, comment, expressions })
}

/// The elements in one message of a set with such a key, by the message's outermost attributes.
pub(crate) fn elements(
    message: &[DefaultNla],
    fields: (&[KeyType], Option<KeyType>),
) -> Vec<Element> {
    let mut elements = Vec::new();
    for list in message.iter().filter(|attribute| attribute.kind() == ELEMENTS) {
        let mut bytes = vec![0; list.value_len()];
        list.emit_value(&mut bytes);
        for item in NlasIterator::new(bytes.as_slice()).flatten() {
            let attributes: Vec<_> = NlasIterator::new(item.value())
                .flatten()
                .filter_map(|item| reading::guarded(|| SetElementAttribute::parse(&item)).ok())
                .collect();
            elements.extend(element(&attributes, fields));
        }
    }
    elements
}

/// One element of a set with such a key.
fn element(
    attributes: &[SetElementAttribute],
    (key, data): (&[KeyType], Option<KeyType>),
) -> Option<Element> {
    let mut element = Element { key: Vec::new(), data: None, comment: String::new() };
    for attribute in attributes {
        match attribute {
            SetElementAttribute::Key(DataAttribute::Value(bytes)) => {
                element.key = read_key(bytes, key)?;
            }
            SetElementAttribute::Data(DataAttribute::Value(bytes)) => {
                element.data = data.and_then(|field| read_value(bytes, field));
            }
            SetElementAttribute::UserData(data) => element.comment = userdata::read_comment(data),
            _ => {}
        }
    }
    (!element.key.is_empty()).then_some(element)
}

fn read_key(mut bytes: &[u8], key: &[KeyType]) -> Option<Vec<Value>> {
    if bytes.len() != key_length(key) {
        return None;
    }
    let mut values = Vec::new();
    for field in key {
        let length = field.length();
        let whole = if key.len() > 1 { length.next_multiple_of(4) } else { length };
        let (stored, rest) = bytes.split_at_checked(whole)?;
        values.push(read_value(stored.get(..length)?, *field)?);
        bytes = rest;
    }
    Some(values)
}

fn read_value(bytes: &[u8], field: KeyType) -> Option<Value> {
    Some(match field {
        KeyType::Ipv4 => Value::Ip(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        KeyType::Ipv6 => Value::Ip(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        KeyType::Ether => Value::Mac(Mac::new(<[u8; 6]>::try_from(bytes).ok()?)),
        KeyType::Mark => Value::Mark(u32::from_ne_bytes(bytes.try_into().ok()?)),
        KeyType::Ifname => {
            let text = bytes.split(|byte| *byte == 0).next()?;
            Value::Name(String::from_utf8(text.to_vec()).ok()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nft::key_attribute;

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let values = vec![
            Value::Name("veth0123456789a".to_owned()),
            Value::Mac("02:00:00:00:00:01".parse().unwrap()),
        ];
        let DataAttribute::Value(bytes) = key_attribute(&values) else { panic!() };
        assert_eq!(bytes.len(), 24);
        assert_eq!(read_key(&bytes, &[KeyType::Ifname, KeyType::Ether]), Some(values));
        assert_eq!(read_key(&bytes, &[KeyType::Ifname]), None);
    }
}
