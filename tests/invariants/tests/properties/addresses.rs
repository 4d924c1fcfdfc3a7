//! Addresses, prefixes, spans of them, and the order in which they are allocated.

use std::collections::BTreeSet;
use std::net::IpAddr;

use causeway_host_local::address::{Span, Spans, address_of, first_overlap, number_of};
use causeway_host_local::allocate;
use causeway_host_local::range::{RangeSet, RangeSpec, refuse_overlap};
use cni_common::Code;
use cni_common::types::{parse_cidr, parse_ip};
use ipnetwork::IpNetwork;
use proptest::prelude::*;

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(IpAddr::V4),
        any::<std::net::Ipv6Addr>().prop_map(IpAddr::V6)
    ]
}

/// Spans of a small world, so that they meet: at the bottom of it, or at the very top.
fn spans() -> impl Strategy<Value = Vec<Span>> {
    let span = |base: u128| {
        (0_u128..60, 0_u128..12).prop_map(move |(first, length)| {
            let first = base + first;
            Span { first, last: first.saturating_add(length) }
        })
    };
    prop_oneof![
        prop::collection::vec(span(0), 0..12),
        prop::collection::vec(span(u128::MAX - 59), 0..12)
    ]
}

fn numbers(spans: &[Span]) -> BTreeSet<u128> {
    spans.iter().flat_map(|span| span.first..=span.last).collect()
}

proptest! {
    #![proptest_config(super::cases(2048))]

    #[test]
    fn addresses_are_read_as_printed(ip in any_address(), length in 0_u8..=128) {
        prop_assert_eq!(parse_ip(&ip.to_string()), Some(ip.to_canonical()));
        prop_assert_eq!(address_of(number_of(ip)), ip.to_canonical());
        let cidr = format!("{ip}/{length}");
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let parsed = parse_cidr(&cidr);
        prop_assert_eq!(parsed.is_some(), length <= most);
        prop_assert!(parsed.is_none_or(|parsed| parsed.to_string() == cidr));
    }

    #[test]
    fn what_is_no_address_is_refused(text in prop_oneof!["[0-9.]{1,16}", "[0-9a-f:.%/]{0,20}", any::<String>()]) {
        // std's own reading is strict: no leading zeros, no zones, no white space.
        prop_assert_eq!(parse_ip(&text), text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical()));
        if let Some(cidr) = parse_cidr(&text) {
            prop_assert_eq!(parse_cidr(&cidr.to_string()), Some(cidr));
        }
    }

    #[test]
    fn spans_are_the_union_and_cutting_is_the_difference(all in spans(), from in spans()) {
        let (wanted, union) = (numbers(&all), Spans::of(all));
        for span in from {
            let left = union.cut_from(span);
            let expected: BTreeSet<u128> = numbers(&[span]).difference(&wanted).copied().collect();
            prop_assert_eq!(numbers(&left), expected);
            prop_assert!(left.windows(2).all(|pair| pair[0].last < pair[1].first));
            let ip = address_of(span.first);
            prop_assert_eq!(union.contains(ip), wanted.contains(&number_of(ip)));
        }
    }

    #[test]
    fn the_first_overlap_is_the_first_of_all_pairs(all in spans()) {
        let pairs = (0..all.len()).flat_map(|one| (one + 1..all.len()).map(move |other| (one, other)));
        let expected = pairs.clone().find(|(one, other)| all[*one].overlaps(&all[*other]));
        prop_assert_eq!(first_overlap(&all), expected);
    }

    /// Ranges in small subnets against a reading of the rules one by one.
    #[test]
    fn a_range_is_accepted_by_the_rules(
        (net, host, length) in (0_u8..4, 0_u8..=255, 20_u8..=32),
        start in prop::option::of((0_u8..4, any::<u8>())),
        end in prop::option::of((0_u8..4, any::<u8>())),
    ) {
        let address = |(net, host): (u8, u8)| IpAddr::from([10, 0, net, host]);
        let subnet = IpNetwork::new(address((net, host)), length).unwrap();
        let spec = RangeSpec {
            subnet, start: start.map(address), end: end.map(address), gateway: None, exclude: Vec::new(),
        };
        let (first, last) = match subnet {
            IpNetwork::V4(v4) => (u32::from(v4.network()), u32::from(v4.broadcast())),
            IpNetwork::V6(_) => unreachable!(),
        };
        let number = |ip: IpAddr| match ip { IpAddr::V4(ip) => u32::from(ip), IpAddr::V6(_) => 0 };
        let from = start.map(address).map_or(first + 1, number);
        let to = end.map(address).map_or(last.saturating_sub(1), number);
        let expected = number(subnet.ip()) == first
            && length <= 30
            && (first..=last).contains(&from)
            && (first..=last).contains(&to)
            && from <= to;
        match RangeSet::check(vec![spec]) {
            Ok(set) => {
                prop_assert!(expected, "{}", set);
                let given = numbers(&allocate::order(&set, None));
                let wanted: BTreeSet<u128> = (from..=to)
                    .filter(|number| *number != first + 1)
                    .map(|number| number_of(IpAddr::from(number.to_be_bytes())))
                    .collect();
                prop_assert_eq!(&given, &wanted);
                // From wherever it goes on, the round has each once, the last one last.
                for last in wanted.iter().take(3) {
                    let order = allocate::order(&set, Some(address_of(*last)));
                    prop_assert_eq!(&numbers(&order), &wanted);
                    prop_assert_eq!(order.last().map(|span| span.last), Some(*last));
                }
            }
            Err(error) => prop_assert!(!expected && error.is(Code::InvalidConfig), "{}", error),
        }
    }

    #[test]
    fn sets_overlap_when_any_of_their_ranges_do(all in prop::collection::vec((0_u8..30, 1_u8..4), 2..10)) {
        let set = |(third, count): &(u8, u8)| {
            let specs = (0..*count).map(|n| RangeSpec {
                subnet: parse_cidr(&format!("10.0.{}.0/24", third + 3 * n)).unwrap(),
                start: None, end: None, gateway: None, exclude: Vec::new(),
            });
            RangeSet::check(specs.collect()).unwrap()
        };
        let sets: Vec<RangeSet> = all.iter().map(set).collect();
        let thirds = |(third, count): &(u8, u8)| -> BTreeSet<u8> { (0..*count).map(|n| third + 3 * n).collect() };
        let pairs = (0..all.len()).flat_map(|one| (one + 1..all.len()).map(move |other| (one, other)));
        let meets = |(one, other): &(usize, usize)| !thirds(&all[*one]).is_disjoint(&thirds(&all[*other]));
        let expected = pairs.clone().find(meets);
        let message = refuse_overlap(&sets).err().map(|error| error.message().to_owned());
        prop_assert_eq!(message, expected.map(|(one, other)| format!("range set {one} overlaps with {other}")));
    }
}
