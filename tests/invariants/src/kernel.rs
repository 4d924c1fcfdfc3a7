//! What the kernel answers, or something that is not the kernel's.

use cni_common::Code;
use cni_common::nft::{Family, KeyType, Set, Table};
use cni_common::sys::netlink::{Object, read_answers};
use cni_common::sys::nft;

use super::is_sound;

/// A datagram of rtnetlink: links, addresses and routes.
pub fn netlink_answer(data: &[u8]) {
    for index in [0, 1, 2, u32::MAX] {
        let objects = match read_answers(data, index) {
            Ok(objects) => objects,
            Err(error) => return is_sound(&error, &[Code::Kernel]),
        };
        // No message is shorter than its header.
        assert!(objects.len() <= data.len() / 16 + 1);
        for object in objects {
            match object {
                Object::Link(link) | Object::RemovedLink(link) => {
                    assert!(!(link.is_bridge() && link.kind == "veth"));
                }
                Object::Address(_, found) => {
                    let most = if found.address.is_ipv4() { 32 } else { 128 };
                    assert!(found.address.prefix() <= most);
                }
                Object::Route(found) => {
                    assert!(found.gateways.iter().all(|gateway| !gateway.to_string().is_empty()));
                }
                Object::Other => {}
            }
        }
    }
}

/// A datagram of nf_tables, asked about a set with such a key as the first byte chooses.
pub fn nft_answer(data: &[u8]) {
    let Some((choice, datagram)) = data.split_first() else { return };
    use KeyType::{Ether, Ifname, Ipv4, Ipv6, Mark, Port};
    let keys: [&[KeyType]; 6] =
        [&[Ipv4], &[Ipv6], &[Ether], &[Ifname, Ether], &[Mark, Ipv6, Ifname], &[Ifname]];
    let key = keys[usize::from(*choice) % keys.len()];
    let mut set = Set::new("set", key, "");
    if choice & 64 != 0 {
        set = set.to(&[Mark, Port]);
    }
    if choice & 128 != 0 {
        set = set.of_intervals();
    }
    let told = match nft::read_answers(datagram, &set) {
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
