//! The netfilter protocol: what nf_tables and conntrack messages have in common.

use netlink_packet_core::{DefaultNla, NLM_F_DUMP_INTR, NetlinkBuffer, NlasIterator};
use netlink_packet_netfilter::nftables::NfTablesMessage;
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner};
use netlink_sys::protocols::NETLINK_NETFILTER;

use super::socket::{Content, Protocol, Received, Socket, read_message};
use crate::error::Result;

/// `NFNL_SUBSYS_NFTABLES` of linux/netfilter/nfnetlink.h.
pub(super) const NFTABLES: u16 = 10;
/// `NFT_MSG_NEWRULE` of linux/netfilter/nf_tables.h.
pub(super) const NEW_RULE: u8 = 6;
/// `NFT_MSG_NEWSETELEM` of linux/netfilter/nf_tables.h.
pub(super) const NEW_ELEMENTS: u8 = 12;

/// The protocol of the packet filter.
#[derive(Debug)]
pub(super) enum Netfilter {}

/// A netfilter socket of the namespace it was opened in.
pub(super) type NetfilterSocket = Socket<Netfilter>;

impl Protocol for Netfilter {
    const NUMBER: isize = NETLINK_NETFILTER;
    const NAME: &'static str = "netfilter";
    type Message = NetfilterMessage;

    fn read(bytes: &[u8]) -> Result<(Received<Self::Message>, usize)> {
        match read_outermost(bytes) {
            Some(found) => Ok(found),
            None => read_message(bytes),
        }
    }

    fn state(message: &Self::Message) -> Option<u16> {
        // The kernel marks interrupted dumps of all but elements (6.18); every nf_tables object
        // tells the low half of the generation it is of.
        match message.inner {
            NetfilterMessageInner::NfTables(_) => Some(message.header.res_id),
            _ => None,
        }
    }
}

/// A message about a rule or about elements, and its length, with its outermost attributes alone. The
/// message crate's own reading of them writes a text about each part, in case it is wrong: 0.3 ms for a
/// rule, and for a list of elements by the square of its length (100 ms for 500).
fn read_outermost(bytes: &[u8]) -> Option<(Received<NetfilterMessage>, usize)> {
    let message = NetlinkBuffer::new_checked(bytes).ok()?;
    let of = |kind: u8| message.message_type() == NFTABLES << 8 | u16::from(kind);
    let message_type = [NEW_RULE, NEW_ELEMENTS].into_iter().find(|kind| of(*kind))?;
    let length = usize::try_from(message.length()).ok()?;
    let payload = bytes.get(16..length)?;
    let [family, _version, high, low, attributes @ ..] = payload else { return None };
    let attributes = NlasIterator::new(attributes)
        .flatten()
        .map(|attribute| DefaultNla::new(attribute.kind(), attribute.value().to_vec()))
        .collect();
    let object = NetfilterMessage::new(
        NetfilterHeader::new((*family).into(), 0, u16::from_be_bytes([*high, *low])),
        NfTablesMessage::Other { message_type, attributes },
    );
    let received = Received {
        sequence: message.sequence_number(),
        is_interrupted: message.flags() & NLM_F_DUMP_INTR != 0,
        content: Content::Object(object),
    };
    Some((received, length))
}
