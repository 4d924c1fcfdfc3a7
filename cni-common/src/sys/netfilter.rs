//! The netfilter protocol: what nf_tables and conntrack messages have in common.

use netlink_packet_core::{DefaultNla, NetlinkBuffer, NlasIterator};
use netlink_packet_netfilter::nftables::NfTablesMessage;
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
};
use netlink_sys::protocols::NETLINK_NETFILTER;

use super::socket::{Content, Protocol, Received, Socket, read_message};
use crate::error::Result;

/// `NFNL_SUBSYS_NFTABLES` of linux/netfilter/nfnetlink.h.
pub(super) const NFTABLES: u16 = 10;
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
        match read_elements(bytes) {
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

/// A message of elements, and its length. The message crate's own reading of a list of them takes
/// time by the square of its length (100 ms for 500), so only its outermost attributes are read here.
fn read_elements(bytes: &[u8]) -> Option<(Received<NetfilterMessage>, usize)> {
    let message = NetlinkBuffer::new_checked(bytes).ok()?;
    if message.message_type() != NFTABLES << 8 | u16::from(NEW_ELEMENTS) {
        return None;
    }
    let length = usize::try_from(message.length()).ok()?;
    let payload = bytes.get(16..length)?;
    let state = u16::from_be_bytes(payload.get(2..4)?.try_into().ok()?);
    let attributes = NlasIterator::new(payload.get(4..)?)
        .flatten()
        .map(|attribute| DefaultNla::new(attribute.kind(), attribute.value().to_vec()))
        .collect();
    let object = NetfilterMessage::new(
        NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, state),
        NfTablesMessage::Other { message_type: NEW_ELEMENTS, attributes },
    );
    let received = Received {
        sequence: message.sequence_number(),
        // The message that ends the dump would say that it was interrupted.
        is_interrupted: false,
        content: Content::Object(object),
    };
    Some((received, length))
}
