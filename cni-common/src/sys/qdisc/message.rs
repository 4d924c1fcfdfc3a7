//! The messages of traffic control: a head and attributes, written and read as bytes. What the message
//! crate knows of it is less than is needed, and it refuses a whole message for one attribute of
//! somebody else's that it can't read.

use std::convert::Infallible;

use netlink_packet_core::{
    NetlinkDeserializable, NetlinkHeader, NetlinkSerializable, NlaBuffer, NlasIterator,
};

/// `struct tcmsg` and `struct tcamsg` of linux/rtnetlink.h.
const TRAFFIC_HEAD: usize = 20;
const ACTION_HEAD: usize = 4;

/// One message, its attributes unread.
#[derive(Clone, Debug)]
pub(in crate::sys) struct TrafficMessage {
    /// `RTM_*`.
    kind: u16,
    body: Vec<u8>,
}

/// The head of a message about a qdisc or filter: `struct tcmsg`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head {
    pub(super) index: u32,
    pub(super) handle: u32,
    pub(super) parent: u32,
    pub(super) info: u32,
}

impl TrafficMessage {
    /// One about a qdisc or filter.
    pub(super) fn new(kind: u16, head: Head, attributes: Attributes) -> Self {
        let mut body = vec![0; 4];
        for number in [head.index, head.handle, head.parent, head.info] {
            body.extend(number.to_ne_bytes());
        }
        body.extend(attributes.0);
        Self { kind, body }
    }

    /// One about actions.
    pub(super) fn of_actions(kind: u16, attributes: Attributes) -> Self {
        let mut body = vec![0; ACTION_HEAD];
        body.extend(attributes.0);
        Self { kind, body }
    }

    /// The head of one about a qdisc or filter.
    pub(super) fn head(&self) -> Option<Head> {
        Some(Head {
            index: u32_at(&self.body, 4)?,
            handle: u32_at(&self.body, 8)?,
            parent: u32_at(&self.body, 12)?,
            info: u32_at(&self.body, 16)?,
        })
    }

    /// The attributes of one about a qdisc or filter.
    pub(super) fn attributes(&self) -> &[u8] {
        self.body.get(TRAFFIC_HEAD..).unwrap_or_default()
    }

    /// The attributes of one about actions.
    pub(super) fn action_attributes(&self) -> &[u8] {
        self.body.get(ACTION_HEAD..).unwrap_or_default()
    }
}

impl NetlinkSerializable for TrafficMessage {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.body.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        if let Some(space) = buffer.get_mut(..self.body.len()) {
            space.copy_from_slice(&self.body);
        }
    }
}

impl NetlinkDeserializable for TrafficMessage {
    type Error = Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Infallible> {
        Ok(Self { kind: header.message_type, body: payload.to_vec() })
    }
}

/// Attributes to be sent, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes(Vec<u8>);

impl Attributes {
    /// With one more.
    pub(super) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        // None comes near 64 KiB.
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// With a text, which ends with a NUL.
    pub(super) fn with_text(self, kind: u16, text: &str) -> Self {
        let mut value = text.as_bytes().to_vec();
        value.push(0);
        self.with(kind, &value)
    }

    /// With one that holds others.
    pub(super) fn with_nested(self, kind: u16, inner: &Self) -> Self {
        self.with(kind, &inner.0)
    }
}

/// The values of the attributes of one kind.
pub(super) fn find_all(bytes: &[u8], kind: u16) -> impl Iterator<Item = &[u8]> {
    each(bytes).filter(move |(found, _)| *found == kind).map(|(_, value)| value)
}

/// The value of the first attribute of one kind.
pub(super) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    find_all(bytes, kind).next()
}

/// All attributes, up to one that claims more than there is.
pub(super) fn each(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let attributes = NlasIterator::new(bytes).map_while(Result::ok);
    attributes.filter_map(|attribute: NlaBuffer<&[u8]>| {
        let length = usize::from(attribute.length());
        let bytes: &[u8] = attribute.into_inner();
        Some((u16_at(bytes, 2)? & 0x3fff, bytes.get(4..length)?))
    })
}

/// The text of a value.
pub(super) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

/// Numbers of the machine's byte order.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_they_were_written_and_none_beyond_the_end() {
        let inner = Attributes::default().with(1, &[1, 2, 3]).with_text(2, "tbf");
        let bytes = Attributes::default().with_nested(7, &inner).with(1, &9_u32.to_ne_bytes()).0;
        assert_eq!(find(&bytes, 1).and_then(|value| u32_at(value, 0)), Some(9));
        let nested = find(&bytes, 7).unwrap();
        assert_eq!(
            (find(nested, 1), find(nested, 2).map(text)),
            (Some(&[1, 2, 3][..]), Some("tbf".to_owned()))
        );
        for length in 0..bytes.len() {
            assert!(find(&bytes[..length], 1).is_none(), "{length}");
        }
        assert_eq!(each(&[3, 0, 1, 0]).count() + each(&[255, 255, 1, 0, 0]).count(), 0);
    }
}
