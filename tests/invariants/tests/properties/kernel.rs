//! Answers of the kernel: as it sends them, cut short, overwritten, of lengths that lie.

use cni_common::sys::netlink::{Object, read_answers};
use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use proptest::prelude::*;

/// A datagram of one link, one address and one route.
fn datagram(name: String, ip: std::net::IpAddr, length: u8) -> Vec<u8> {
    let family = if ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let mut link = LinkMessage::default();
    link.header.index = 7;
    link.attributes =
        vec![LinkAttribute::IfName(name), LinkAttribute::Mtu(1500), LinkAttribute::Controller(3)];
    let mut address = AddressMessage::default();
    (address.header.family, address.header.prefix_len) = (family, length);
    address.header.index = 7;
    address.attributes = vec![
        AddressAttribute::Address(ip),
        AddressAttribute::Local(ip),
        AddressAttribute::Flags(AddressFlags::Tentative),
    ];
    let mut route = RouteMessage::default();
    (route.header.address_family, route.header.destination_prefix_length) = (family, length);
    route.header.kind = RouteType::Unicast;
    route.attributes =
        vec![RouteAttribute::Destination(RouteAddress::from(ip)), RouteAttribute::Oif(7)];
    let messages = [
        RouteNetlinkMessage::NewLink(link),
        RouteNetlinkMessage::NewAddress(address),
        RouteNetlinkMessage::NewRoute(route),
    ];
    let mut bytes = Vec::new();
    for message in messages {
        let mut message =
            NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(message));
        message.finalize();
        let start = bytes.len();
        bytes.resize(start + message.buffer_len().next_multiple_of(4), 0);
        message.serialize(&mut bytes[start..]);
    }
    bytes
}

fn ip() -> impl Strategy<Value = std::net::IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(Into::into), any::<[u8; 16]>().prop_map(Into::into)]
}

proptest! {
    #![proptest_config(super::cases(512))]

    #[test]
    fn what_the_kernel_says_is_understood(name in "[a-z0-9]{1,15}", ip in ip(), length in 0_u8..=32) {
        let objects = read_answers(&datagram(name.clone(), ip, length), 7).unwrap();
        let [Object::Link(link), Object::Address(7, address), Object::Route(route)] = &objects[..]
        else {
            panic!("{objects:?}")
        };
        prop_assert_eq!((&link.name, link.index, link.master), (&name, 7, Some(3)));
        prop_assert_eq!((address.address.ip(), address.address.prefix()), (ip, length));
        prop_assert!(address.is_tentative && !address.is_duplicate);
        prop_assert_eq!((route.dst.ip(), route.dst.prefix()), (ip, length));
    }

    #[test]
    fn an_answer_cut_short_anywhere(name in "[a-z0-9]{1,15}", ip in ip()) {
        let whole = datagram(name, ip, 24);
        for length in 0..whole.len() {
            invariants::netlink_answer(&whole[..length]);
        }
    }

    #[test]
    fn an_answer_overwritten_anywhere(
        ip in ip(), changes in prop::collection::vec((any::<u16>(), prop_oneof![Just(0_u8), Just(255), any::<u8>()]), 1..8)
    ) {
        let mut bytes = datagram("eth0".to_owned(), ip, 24);
        for (place, byte) in changes {
            let place = usize::from(place) % bytes.len();
            bytes[place] = byte;
        }
        invariants::netlink_answer(&bytes);
    }

    #[test]
    fn any_bytes_as_an_answer(data in any::<Vec<u8>>(), kind in 0_u8..30, length in any::<u16>()) {
        // A header that may be believed, so that the reading gets behind it.
        let length = (u32::from(length) % 400).to_le_bytes();
        let lead = |subsystem: u8| [&length[..], &[kind, subsystem, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &data].concat();
        invariants::netlink_answer(&lead(0));
        invariants::nft_answer(&[&[kind * 7][..], &lead(10)].concat());
    }
}
