//! What the kernel answers, or something that is not the kernel's.

use cni_common::Code;
use cni_common::nft::{Family, KeyType, Set, Table};
use cni_common::sys::address::link_address;
use cni_common::sys::link::Link;
use cni_common::sys::netlink::read_datagram;
use cni_common::sys::nft::read_answers;
use cni_common::sys::route::link_route;
use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage as Message;

use super::is_sound;

/// A datagram of rtnetlink: links, addresses and routes.
pub fn netlink_answer(data: &[u8]) {
    let messages = match read_datagram(data) {
        Ok(messages) => messages,
        Err(error) => return is_sound(&error, &[Code::Kernel]),
    };
    // No message is shorter than its header.
    assert!(messages.len() <= data.len() / 16 + 1);
    for message in messages {
        match message.payload {
            NetlinkPayload::InnerMessage(Message::NewLink(link)) => {
                let index = link.header.index;
                let link = Link::from(link);
                assert_eq!(link.index, index);
                assert!(!(link.is_bridge() && link.kind == "veth"));
            }
            NetlinkPayload::InnerMessage(Message::NewAddress(address)) => {
                let length = address.header.prefix_len;
                let found = link_address(&address);
                assert!(found.is_none_or(|found| found.address.prefix() == length));
            }
            NetlinkPayload::InnerMessage(Message::NewRoute(route)) => {
                for index in [0, 1, 2, u32::MAX] {
                    let Some(found) = link_route(&route, index) else { continue };
                    assert_eq!(found.dst.prefix(), route.header.destination_prefix_length);
                }
            }
            _ => {}
        }
    }
}

/// A datagram of nf_tables, asked about a set with such a key as the first byte chooses.
pub fn nft_answer(data: &[u8]) {
    let Some((choice, datagram)) = data.split_first() else { return };
    use KeyType::{Ether, Ifname, Ipv4, Ipv6, Mark};
    let keys: [&[KeyType]; 6] =
        [&[Ipv4], &[Ipv6], &[Ether], &[Ifname, Ether], &[Mark, Ipv6, Ifname], &[Ifname]];
    let key = keys[usize::from(*choice) % keys.len()];
    let set = Set {
        name: "set".to_owned(),
        key: key.to_vec(),
        data: (choice & 64 != 0).then_some(Mark),
        comment: String::new(),
    };
    let told = match read_answers(datagram, &set) {
        Ok(told) => told,
        Err(error) => return is_sound(&error, &[Code::Kernel]),
    };
    for element in &told.elements {
        assert_eq!(element.key.len(), key.len());
    }
    for rule in &told.rules {
        rule.target();
        rule.source();
    }
    let table = Table { family: Family::Inet, name: "causeway" };
    assert_eq!(table.to_string(), "inet causeway");
}
