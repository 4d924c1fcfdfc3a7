//! What the kernel answers, or something that is not the kernel's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cni_common::Code;
use cni_common::nft::{Family, KeyType, Set, Table};
use cni_common::sys::conntrack::{self, UdpFlows};
use cni_common::sys::netlink::{Object, read_answers};
use cni_common::sys::{nft, qdisc};
use cni_common::types::traffic::{Filter, Hook, Selector, ShownBucket};

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

/// A datagram of traffic control: queueing disciplines, filters, and actions that redirect.
pub fn traffic_answer(data: &[u8]) {
    let answers = match qdisc::read_answers(data) {
        Ok(answers) => answers,
        Err(error) => return is_sound(&error, &[Code::Kernel]),
    };
    // No message is shorter than its header, no action than that of an attribute.
    let messages = data.len() / 16 + 1;
    assert!(answers.qdiscs.len() <= messages && answers.filters.len() <= messages);
    assert!(answers.buckets.len() <= messages && answers.redirect_targets.len() <= data.len() / 4);
    for (index, bucket) in &answers.buckets {
        is_read_as_written(*index, bucket);
    }
    for found in &answers.filters {
        if let Some(filter) = found.filter() {
            is_filter_as_written(&filter);
        }
    }
}

fn is_read_as_written(index: u32, bucket: &ShownBucket) {
    // Also one that is unlike it, so that no number is read in another's place both times.
    for bucket in [*bucket, ShownBucket { limit: !bucket.buffer, ..*bucket }] {
        let written = qdisc::write_root(index, &bucket.bucket());
        let answers = qdisc::read_answers(&written).expect("a request");
        assert_eq!(answers.buckets.get(&index), Some(&bucket));
    }
}

fn is_filter_as_written(filter: &Filter) {
    /// Where the handle is, behind the header and the link's index: the kernel numbers what it is sent.
    const HANDLE: usize = 24;
    let mut written = qdisc::write_filter(1, Hook::Received, filter);
    written[HANDLE] = 1;
    let answers = qdisc::read_answers(&written).expect("a request");
    let [found] = answers.filters.as_slice() else { panic!("{answers:?}") };
    let selector = match filter.selector {
        Selector::All => Selector::All,
        Selector::Source(network) => Selector::Source(masked(network)),
        Selector::Destination(network) => Selector::Destination(masked(network)),
    };
    assert_eq!(found.filter(), Some(Filter { selector, ..*filter }));
}

/// The network without what its mask hides.
fn masked(network: ipnetwork::IpNetwork) -> ipnetwork::IpNetwork {
    ipnetwork::IpNetwork::new(network.network(), network.prefix()).expect("a network")
}

/// A datagram of tracked connections.
pub fn conntrack_answer(data: &[u8]) {
    use conntrack::Family::{Ipv4, Ipv6};
    let of = |wanted: &[UdpFlows]| conntrack::read_answers(data, wanted);
    let (of_v4, of_v6) = (UdpFlows::SentTo(Ipv4, None, 53), UdpFlows::SentTo(Ipv6, None, 53));
    let at = |ip: IpAddr| UdpFlows::SentTo(Ipv4, Some(ip), 53);
    let from = |ip: IpAddr| UdpFlows::AnsweredFrom(ip, 53);
    let (v4, v6) = (IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST));
    let (flows, none) = match of(&[]) {
        Ok(found) => found,
        Err(error) => return is_sound(&error, &[Code::Kernel]),
    };
    // A flow is at least a message's two headers, and two directions.
    assert!(none == 0 && flows <= data.len() / 28);
    let count = |wanted: &[UdpFlows]| of(wanted).expect("what was read before").1;
    // An address narrows a port down, and who wants more gets more.
    let all = count(&[of_v4]);
    assert!(count(&[at(v4)]) <= all && count(&[at(v6)]) <= all && all == count(&[of_v6]));
    assert!(count(&[of_v4, from(v4), from(v6)]) <= flows && count(&[of_v4, from(v4)]) >= all);
}
