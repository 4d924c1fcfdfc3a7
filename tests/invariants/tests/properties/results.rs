//! Results in seven versions.

use cni_common::Code;
use cni_common::spec::{CniResult, Dns, Interface, Ip, Object, Route, Version};
use ipnetwork::IpNetwork;
use proptest::prelude::*;

fn address() -> impl Strategy<Value = IpNetwork> {
    prop_oneof![
        (any::<std::net::Ipv4Addr>(), 0_u8..=32).prop_map(|(ip, length)| IpNetwork::new(
            ip.into(),
            length
        )
        .unwrap()),
        (any::<std::net::Ipv6Addr>(), 0_u8..=128).prop_map(|(ip, length)| IpNetwork::new(
            ip.into(),
            length
        )
        .unwrap()),
    ]
}

fn gateway() -> impl Strategy<Value = Option<std::net::IpAddr>> {
    prop::option::of(address().prop_map(|network| network.ip().to_canonical()))
}

fn number() -> impl Strategy<Value = Option<i64>> {
    prop::option::of(any::<i64>())
}

prop_compose! {
    fn interface()(name in any::<String>(), mac in "[0-9a-f:]{0,17}", sandbox in any::<String>(), mtu in number(),
        socket_path in "[a-z/]{0,9}", pci_id in "[0-9:.]{0,9}") -> Interface {
        Interface { name, mac, mtu, sandbox, socket_path, pci_id }
    }
}

prop_compose! {
    fn ip()(interface in number(), address in address(), gateway in gateway()) -> Ip {
        Ip { interface, address, gateway }
    }
}

prop_compose! {
    fn route()(dst in address(), gw in gateway(), mtu in number(), advmss in number(), priority in number(),
        table in number(), scope in number()) -> Route {
        Route { dst, gw, mtu, advmss, priority, table, scope }
    }
}

prop_compose! {
    fn dns()(nameservers in words(), domain in any::<String>(), search in words(), options in words()) -> Dns {
        Dns { nameservers, domain, search, options }
    }
}

fn words() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(any::<String>(), 0..3)
}

prop_compose! {
    fn result()(
        interfaces in prop::collection::vec(interface(), 0..4),
        ips in prop::collection::vec(ip(), 0..4),
        routes in prop::collection::vec(route(), 0..4),
        dns in dns(),
    ) -> CniResult {
        CniResult { interfaces, ips, routes, dns }
    }
}

fn parse(text: &str, version: Version) -> CniResult {
    CniResult::parse(&Object::parse(text, "test").unwrap(), version).unwrap()
}

proptest! {
    #![proptest_config(super::cases(1024))]

    #[test]
    fn what_is_printed_is_read_again(result in result()) {
        for version in Version::ALL {
            let of = |four: bool| result.ips.iter().filter(move |ip| ip.address.is_ipv4() == four);
            let printed = result.print(version);
            if version < Version::V0_3_0 {
                let fits = !result.ips.is_empty() && of(true).count() < 2 && of(false).count() < 2;
                prop_assert_eq!(printed.is_ok(), fits);
                let Ok(text) = printed else {
                    prop_assert!(printed.unwrap_err().is(Code::InvalidConfig));
                    continue;
                };
                let read = parse(&text, version);
                prop_assert_eq!(&read.dns, &result.dns);
                let addresses = of(true).chain(of(false)).map(|ip| (ip.address, ip.gateway));
                prop_assert!(addresses.eq(read.ips.iter().map(|ip| (ip.address, ip.gateway))));
                let kept = result.routes.iter().filter(|route| of(route.dst.is_ipv4()).count() > 0).count();
                prop_assert_eq!(read.routes.len(), kept);
                continue;
            }
            let read = parse(&printed.unwrap(), version);
            prop_assert_eq!((&read.ips, &read.routes, &read.dns), (&result.ips, &result.routes, &result.dns));
            let expected = result.interfaces.iter().cloned().map(|interface| match version >= Version::V1_0_0 {
                true => interface,
                false => Interface { mtu: None, socket_path: String::new(), pci_id: String::new(), ..interface },
            });
            prop_assert!(expected.eq(read.interfaces));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(version in 0_u8..7, text in any::<String>()) {
        invariants::result(&[&[version], text.as_bytes()].concat());
    }
}
