//! Filters in messages: u32 (`struct tc_u32_sel` of linux/pkt_cls.h) with at most one action, mirred
//! (`struct tc_mirred` of linux/tc_act/tc_mirred.h).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;

use super::message::{Attributes, each, find, text, u32_at};
use crate::types::traffic::{Selector, Verdict};

const CLASS: u16 = 1;
const KEYS: u16 = 5;
const ACTIONS: u16 = 7;
/// `TC_U32_TERMINAL`.
const TERMINAL: u8 = 1;
/// `struct tc_u32_sel` without its keys, and one key.
const KEYS_HEAD: usize = 16;
const KEY: usize = 16;

const ACTION_KIND: u16 = 1;
const ACTION_OPTIONS: u16 = 2;
const MIRRED_PARAMETERS: u16 = 2;
/// What an action of this kind is called.
pub(super) const MIRRED: &str = "mirred";
/// `TC_ACT_STOLEN`: the packet is gone for whoever comes next.
const STOLEN: u32 = 4;
/// `TCA_EGRESS_REDIR`.
const REDIRECT: u32 = 1;

/// The offsets of addresses in the IP headers.
const IPV4_SOURCE: u32 = 12;
const IPV4_DESTINATION: u32 = 16;
const IPV6_SOURCE: u32 = 8;
const IPV6_DESTINATION: u32 = 24;

/// One comparison of 32 bits of the packet, all but the offset in network byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    mask: u32,
    value: u32,
    offset: u32,
}

fn keys(selector: &Selector) -> Vec<Key> {
    let (network, v4, v6) = match selector {
        Selector::All => return vec![Key { mask: 0, value: 0, offset: 0 }],
        Selector::Source(network) => (network, IPV4_SOURCE, IPV6_SOURCE),
        Selector::Destination(network) => (network, IPV4_DESTINATION, IPV6_DESTINATION),
    };
    match network {
        IpNetwork::V4(network) => {
            vec![Key { mask: network.mask().into(), value: network.network().into(), offset: v4 }]
        }
        IpNetwork::V6(network) => {
            let (mask, value) = (words(network.mask()), words(network.network()));
            let offsets = (v6..).step_by(4);
            let all = mask.into_iter().zip(value).zip(offsets);
            all.map(|((mask, value), offset)| Key { mask, value, offset }).collect()
        }
    }
}

fn words(ip: Ipv6Addr) -> [u32; 4] {
    let [a, b, c, d, e, f, g, h] = ip.segments().map(u32::from);
    [a << 16 | b, c << 16 | d, e << 16 | f, g << 16 | h]
}

fn ip_of(words: [u32; 4]) -> Ipv6Addr {
    let [a, b, c, d] = words.map(u128::from);
    Ipv6Addr::from(a << 96 | b << 64 | c << 32 | d)
}

/// The options of a filter.
pub(super) fn write(selector: &Selector, verdict: &Verdict) -> Attributes {
    let keys = keys(selector);
    let mut bytes = vec![0; KEYS_HEAD];
    if let [flags, _shift, count, ..] = bytes.as_mut_slice() {
        *flags = TERMINAL;
        *count = u8::try_from(keys.len()).unwrap_or_default();
    }
    for key in &keys {
        bytes.extend(key.mask.to_be_bytes());
        bytes.extend(key.value.to_be_bytes());
        bytes.extend(key.offset.to_ne_bytes());
        bytes.extend(0_u32.to_ne_bytes());
    }
    // The class 1:1, as the reference's.
    let options = Attributes::default().with(CLASS, &0x0001_0001_u32.to_ne_bytes());
    let options = options.with(KEYS, &bytes);
    match verdict {
        Verdict::Pass => options,
        Verdict::Redirect(index) => {
            options.with_nested(ACTIONS, &Attributes::default().with_nested(1, &mirred(*index)))
        }
    }
}

fn mirred(index: u32) -> Attributes {
    let mut parameters = Vec::new();
    // Its number is the kernel's to give; capabilities and counts mean nothing here.
    for number in [0, 0, STOLEN, 0, 0, REDIRECT, index] {
        parameters.extend(number.to_ne_bytes());
    }
    let options = Attributes::default().with(MIRRED_PARAMETERS, &parameters);
    Attributes::default().with_text(ACTION_KIND, MIRRED).with_nested(ACTION_OPTIONS, &options)
}

/// Reads the options of a filter of kind u32.
pub(super) fn read(options: &[u8]) -> (Option<Selector>, Option<Verdict>) {
    let selector = find(options, KEYS).and_then(read_selector);
    let verdict = match find(options, ACTIONS) {
        None => Some(Verdict::Pass),
        // The first one that takes the packet decides.
        Some(actions) => each(actions)
            .next()
            .and_then(|(_, action)| redirected_to(action))
            .map(Verdict::Redirect),
    };
    (selector, verdict)
}

fn read_selector(bytes: &[u8]) -> Option<Selector> {
    let count = usize::from(*bytes.get(2)?);
    let keys = bytes.get(KEYS_HEAD..)?.chunks_exact(KEY).take(count);
    let keys: Vec<Key> = keys.map(read_key).collect::<Option<_>>()?;
    match keys.as_slice() {
        // A filter without keys is for all packets, too. One that looks at no bit of an address is for all
        // of the network of that length.
        [] | [Key { mask: 0, value: 0, offset: 0 }] => Some(Selector::All),
        [Key { mask, value, offset }] => {
            let network = IpNetwork::with_netmask(v4(*value), v4(*mask)).ok()?;
            at(network, *offset, IPV4_SOURCE, IPV4_DESTINATION)
        }
        [a, b, c, d] => {
            let keys = [a, b, c, d];
            let value = IpAddr::V6(ip_of(keys.map(|key| key.value)));
            let mask = IpAddr::V6(ip_of(keys.map(|key| key.mask)));
            let are_in_a_row =
                keys.iter().zip((a.offset..).step_by(4)).all(|(key, at)| key.offset == at);
            let network = IpNetwork::with_netmask(value, mask).ok().filter(|_| are_in_a_row)?;
            at(network, a.offset, IPV6_SOURCE, IPV6_DESTINATION)
        }
        _ => None,
    }
}

fn v4(word: u32) -> IpAddr {
    Ipv4Addr::from(word).into()
}

fn at(network: IpNetwork, offset: u32, source: u32, destination: u32) -> Option<Selector> {
    match offset {
        _ if offset == source => Some(Selector::Source(network)),
        _ if offset == destination => Some(Selector::Destination(network)),
        _ => None,
    }
}

fn read_key(bytes: &[u8]) -> Option<Key> {
    let big = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    // Where the header is looked for by what a part of the packet says, it is none of ours.
    let is_plain = u32_at(bytes, 12)? == 0;
    is_plain.then_some(Key { mask: big(0)?, value: big(4)?, offset: u32_at(bytes, 8)? })
}

/// The index of the link that an action sends packets by; 0 of one that is gone.
pub(super) fn redirected_to(action: &[u8]) -> Option<u32> {
    if find(action, ACTION_KIND).map(text).as_deref() != Some(MIRRED) {
        return None;
    }
    let parameters = find(find(action, ACTION_OPTIONS)?, MIRRED_PARAMETERS)?;
    (u32_at(parameters, 20)? == REDIRECT).then_some(u32_at(parameters, 24)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::qdisc::message::{Head, TrafficMessage};
    use crate::types::parse_cidr;

    #[test]
    fn a_filter_is_read_as_it_was_written() {
        let networks = [
            "10.0.0.0/8",
            "0.0.0.0/0",
            "0.0.0.0/32",
            "192.0.2.1/32",
            "fd00::/8",
            "::/0",
            "2001:db8::1/128",
        ];
        let networks = networks.map(|text| parse_cidr(text).unwrap());
        let both = networks
            .into_iter()
            .flat_map(|one| [Selector::Source(one), Selector::Destination(one)]);
        for selector in both.chain([Selector::All]) {
            for verdict in [Verdict::Pass, Verdict::Redirect(7)] {
                let options = write(&selector, &verdict);
                let message = TrafficMessage::new(44, Head::default(), options);
                assert_eq!(read(message.attributes()), (Some(selector), Some(verdict)));
            }
        }
    }
}
