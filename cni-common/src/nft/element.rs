//! Elements of sets and maps as messages, and back.
//!
//! An interval of one field is two elements to the kernel: its lowest key, and the key behind its
//! highest with a flag. An interval of several fields is one element with two keys.

use netlink_packet_core::{DefaultNla, Nla, NlasIterator, Parseable};
use netlink_packet_netfilter::nftables::{
    DataAttribute, ListAttribute, SetElementAttribute, SetElementFlags, SetElementList,
    SetElementMessage, VerdictAttribute,
};

use super::expression::value_of;
use super::ruleset::{Element, Keys, Set, Table};
use super::userdata;
use super::value::{KeyType, Value, Verdict, key_bytes, read_key};
use crate::reading;

/// `NFTA_SET_ELEM_LIST_ELEMENTS` of linux/netfilter/nf_tables.h.
const ELEMENTS: u16 = 3;
/// `NFTA_DATA_VALUE`.
const DATA_VALUE: u16 = 1;

/// The element of this key, for asking and deleting.
pub(crate) fn key_element(key: &[Value]) -> Vec<SetElementAttribute> {
    vec![SetElementAttribute::Key(DataAttribute::Value(key_bytes(key)))]
}

/// What the element is to the kernel.
pub(super) fn new_elements(element: &Element) -> Vec<Vec<SetElementAttribute>> {
    let mut attributes = key_element(&element.key);
    attributes.push(SetElementAttribute::UserData(userdata::comment(&element.comment)));
    if let Some(data) = data_attribute(&element.data) {
        attributes.push(SetElementAttribute::Data(data));
    }
    let Some(last) = &element.last else { return vec![attributes] };
    if element.key.len() > 1 {
        let last = DefaultNla::new(DATA_VALUE, key_bytes(last));
        attributes.push(SetElementAttribute::KeyEnd(vec![last]));
        return vec![attributes];
    }
    let mut elements = vec![attributes];
    // Nothing is behind the highest key there is.
    if let Some(behind) = successor(key_bytes(last)) {
        elements.push(vec![
            SetElementAttribute::Key(DataAttribute::Value(behind)),
            SetElementAttribute::Flags(SetElementFlags::IntervalEnd),
        ]);
    }
    elements
}

/// The message about elements of the set.
pub(super) fn element_of(
    table: Table,
    set: &str,
    elements: Vec<Vec<SetElementAttribute>>,
) -> SetElementMessage {
    let elements = elements.into_iter().map(ListAttribute::Element).collect();
    SetElementMessage {
        attributes: vec![
            SetElementList::Table(table.name.to_owned()),
            SetElementList::Set(set.to_owned()),
            SetElementList::Elements(elements),
        ],
    }
}

fn data_attribute(data: &[Value]) -> Option<DataAttribute> {
    match data {
        [] => None,
        [Value::Verdict(verdict)] => {
            let mut parts = vec![VerdictAttribute::Code(verdict.code().into())];
            let chain = verdict.chain().map(str::to_owned);
            parts.extend(chain.map(VerdictAttribute::Chain));
            Some(DataAttribute::Verdict(parts))
        }
        values => Some(DataAttribute::Value(key_bytes(values))),
    }
}

/// An element as the kernel tells of it, or the end of an interval.
#[derive(Debug)]
pub(crate) struct Part {
    key: Vec<u8>,
    is_end: bool,
    last: Option<Vec<u8>>,
    data: Vec<Value>,
    comment: String,
}

/// The parts in one message about the set, by the message's outermost attributes.
pub(crate) fn parts(message: &[DefaultNla], set: &Set) -> Vec<Part> {
    let mut parts = Vec::new();
    for list in message.iter().filter(|attribute| attribute.kind() == ELEMENTS) {
        let bytes = value_of(list);
        for item in NlasIterator::new(bytes.as_slice()).flatten() {
            let attributes: Vec<_> = NlasIterator::new(item.value())
                .flatten()
                .filter_map(|item| reading::guarded(|| SetElementAttribute::parse(&item)).ok())
                .collect();
            parts.extend(part(attributes, set));
        }
    }
    parts
}

fn part(attributes: Vec<SetElementAttribute>, set: &Set) -> Option<Part> {
    let (mut key, mut last, mut is_end) = (None, None, false);
    let (mut data, mut comment) = (Vec::new(), String::new());
    for attribute in attributes {
        match attribute {
            SetElementAttribute::Key(DataAttribute::Value(bytes)) => key = Some(bytes),
            SetElementAttribute::KeyEnd(list) => {
                last = list.iter().find(|one| one.kind() == DATA_VALUE).map(value_of);
            }
            SetElementAttribute::Flags(flags) => {
                is_end = flags.contains(SetElementFlags::IntervalEnd);
            }
            SetElementAttribute::Data(found) => data = read_data(&found, &set.data),
            SetElementAttribute::UserData(found) => comment = userdata::read_comment(&found),
            _ => {}
        }
    }
    Some(Part { key: key?, is_end, last, data, comment })
}

fn read_data(data: &DataAttribute, fields: &[KeyType]) -> Vec<Value> {
    match data {
        DataAttribute::Value(bytes) => read_key(bytes, fields).unwrap_or_default(),
        DataAttribute::Verdict(parts) => {
            let code = parts.iter().find_map(|part| match part {
                VerdictAttribute::Code(code) => Some(u32::from(*code)),
                _ => None,
            });
            let chain = parts.iter().find_map(|part| match part {
                VerdictAttribute::Chain(chain) => Some(chain.clone()),
                _ => None,
            });
            let verdict = code.and_then(|code| Verdict::of_code(code, chain));
            verdict.map(Value::Verdict).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// The elements of the set that all these parts make.
pub(crate) fn elements(mut parts: Vec<Part>, set: &Set) -> Vec<Element> {
    let is_paired = set.keys == Keys::Intervals && set.key.len() == 1;
    if !is_paired {
        return parts.into_iter().filter_map(|part| element(part, None, &set.key)).collect();
    }
    // The end of one interval may be the beginning of the next: the end comes first.
    parts.sort_by(|a, b| a.key.cmp(&b.key).then(b.is_end.cmp(&a.is_end)));
    let mut elements = Vec::new();
    let mut parts = parts.into_iter().peekable();
    while let Some(part) = parts.next() {
        if part.is_end {
            continue;
        }
        let last = match parts.peek() {
            Some(next) => predecessor(next.key.clone()),
            None => Some(vec![u8::MAX; part.key.len()]),
        };
        elements.extend(element(part, last, &set.key));
    }
    elements
}

fn element(part: Part, last: Option<Vec<u8>>, key: &[KeyType]) -> Option<Element> {
    let last = match part.last.or(last) {
        Some(last) => Some(read_key(&last, key)?),
        None => None,
    };
    let key = read_key(&part.key, key)?;
    Some(Element { key, last, data: part.data, comment: part.comment })
}

/// The next number of as many bytes, the highest byte first; `None` behind the highest.
fn successor(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    for byte in bytes.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return Some(bytes);
        }
    }
    None
}

/// The number before; `None` before zero.
fn predecessor(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    for byte in bytes.iter_mut().rev() {
        *byte = byte.wrapping_sub(1);
        if *byte != u8::MAX {
            return Some(bytes);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_a_key_is_one_more() {
        assert_eq!(successor(vec![10, 0, 0, 255]), Some(vec![10, 0, 1, 0]));
        assert_eq!(predecessor(vec![10, 0, 1, 0]), Some(vec![10, 0, 0, 255]));
        assert_eq!((successor(vec![255; 4]), predecessor(vec![0; 4])), (None, None));
    }

    #[test]
    fn an_interval_of_one_field_is_put_together_from_its_ends() {
        let set = Set::new("s", &[KeyType::Port], "").of_intervals();
        let part = |key: u16, is_end| Part {
            key: key.to_be_bytes().to_vec(),
            is_end,
            last: None,
            data: Vec::new(),
            comment: String::new(),
        };
        let parts = vec![part(81, true), part(81, false), part(101, true), part(80, false)];
        let mut parts = parts;
        parts.push(part(60_000, false));
        let port = |port| vec![Value::Port(port)];
        let found = elements(parts, &set);
        let expected = [(80, 80), (81, 100), (60_000, 65_535)]
            .map(|(first, last)| Element::new(port(first), "").up_to(port(last)));
        assert_eq!(found, expected);
    }
}
