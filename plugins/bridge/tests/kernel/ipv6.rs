//! IPv6 in the container: duplicate address detection, router advertisements, what is switched on.

use std::net::SocketAddrV6;
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn6, sendto, setsockopt,
    socket, sockopt::Ipv6Ttl,
};
use serde_json::{Value, json};
use std::os::fd::AsRawFd;
use testsupport::{Container, feature, not_run};

use crate::node::{Node, assert_says, config, ips};

fn detecting() -> Value {
    config(json!({"isGateway": true, "enabledad": true}))
}

fn values(container: &Container, keys: &[&str]) -> Vec<String> {
    let read = |key: &&str| container.run(["sysctl", "-n", &format!("net.{key}")]);
    keys.iter().map(|key| read(key).trim().to_owned()).collect()
}

#[test]
fn an_address_is_usable_at_once_without_detection() {
    let node = Node::giving(&["fd00:1::2/64"]);
    let blue = node.host.container("blue");
    node.add(&blue, &config(json!({"isGateway": true})));
    let address = blue.run(["ip", "-6", "address", "show", "dev", "eth0", "scope", "global"]);
    assert_says(&address, &["fd00:1::2/64", "nodad"]);
    assert!(!address.contains("tentative"), "{address}");
    assert_eq!(values(&blue, &["ipv6.conf.eth0.accept_dad"]), ["0"]);
}

#[test]
fn with_detection_add_ends_when_the_address_is_usable() {
    let node = Node::giving(&["fd00:1::2/64", "10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let start = Instant::now();
    node.add(&blue, &detecting());
    let took = start.elapsed();
    let address = blue.run(["ip", "-6", "address", "show", "dev", "eth0", "scope", "global"]);
    assert_says(&address, &["fd00:1::2/64"]);
    assert!(!address.contains("tentative") && !address.contains("nodad"), "{address}");
    // One probe, one second (`dad_transmits`, `retrans_timer`): earlier it can't be known.
    assert!(took > Duration::from_millis(900), "{took:?}");
    assert!(blue.pings("fd00:1::1"));
}

#[test]
fn an_address_somebody_else_has_is_an_error_that_names_it() {
    let node = Node::giving(&["fd00:1::3/64"]);
    let (red, blue) = (node.host.container("red"), node.host.container("blue"));
    node.add(&red, &config(json!({"isGateway": true})));
    node.calls();
    node.answer(&ips(&["fd00:1::2/64", "fd00:1::3/64"]));
    let message = node.add_leaves_nothing(&blue, &detecting(), 101);
    assert_says(&message, &["fd00:1::3", "in use"]);
    assert_eq!(node.calls(), ["ADD blue eth0", "DEL blue eth0"]);
    assert!(red.pings("fd00:1::1"));
}

#[test]
fn ipv6_is_switched_on_where_it_was_off() {
    let node = Node::giving(&["fd00:1::2/64"]);
    let blue = node.host.container("blue");
    for place in ["all", "default", "lo"] {
        blue.run(["sysctl", "-qw", &format!("net.ipv6.conf.{place}.disable_ipv6=1")]);
    }
    node.add(&blue, &config(json!({"isGateway": true})));
    assert!(blue.pings("fd00:1::1"));
    let keys = ["disable_ipv6", "keep_addr_on_down"].map(|key| format!("ipv6.conf.eth0.{key}"));
    assert_eq!(values(&blue, &keys.each_ref().map(String::as_str)), ["0", "1"]);
    assert_eq!(
        values(&blue, &["ipv6.conf.lo.disable_ipv6", "ipv4.conf.eth0.arp_notify"]),
        ["0", "1"]
    );
}

#[test]
fn ipv6_stays_off_when_nobody_asks_for_it() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    for place in ["all", "default", "lo"] {
        blue.run(["sysctl", "-qw", &format!("net.ipv6.conf.{place}.disable_ipv6=1")]);
    }
    node.add(&blue, &config(json!({"isGateway": true})));
    assert!(blue.pings("10.1.0.1"));
    assert_eq!(
        values(&blue, &["ipv6.conf.lo.disable_ipv6", "ipv6.conf.eth0.disable_ipv6"]),
        ["1", "1"]
    );
}

#[test]
fn a_router_advertisement_is_taken_at_layer_2_and_not_at_layer_3() {
    if !feature::ipv6() {
        return not_run("router advertisements: this kernel has no IPv6");
    }
    let node = Node::giving(&["10.1.0.2/16", "fd00:1::2/64"]);
    let (blue, red) = (node.host.container("blue"), node.host.container("red"));
    red.run(["sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0"]);
    node.add(&blue, &config(json!({"isGateway": true})));
    node.add(&red, &config(json!({"ipam": null})));
    // Sent again until the layer 2 one has taken it: its address comes up in its own time.
    let prefix = "2001:db8:5::";
    let took = |container: &Container| {
        let shown = container.run(["ip", "-6", "address", "show", "dev", "eth0"])
            + &container.run(["ip", "-6", "route", "show"]);
        shown.contains(prefix) || shown.contains("proto ra")
    };
    for _ in 0..50 {
        for container in [&blue, &red] {
            advertise(&node, &link_local(container));
        }
        if took(&red) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(took(&red), "the advertisement reached nobody: {}", red.state());
    assert!(!took(&blue), "{}", blue.state());
    let keys = ["ipv6.conf.eth0.accept_ra", "ipv6.conf.eth0.autoconf"];
    assert_eq!(values(&blue, &keys), ["0", "0"]);
    let end = node.host.run(["ip", "-o", "link", "show", "master", "br0"]);
    for name in end.lines().map(|line| line.split([' ', '@']).nth(1).unwrap()) {
        let key = format!("net.ipv6.conf.{name}.accept_ra");
        assert_eq!(node.host.run(["sysctl", "-n", &key]), "0\n");
    }
    assert_eq!(node.host.run(["sysctl", "-n", "net.ipv6.conf.br0.accept_ra"]), "0\n");
}

fn link_local(container: &Container) -> String {
    let line = container.run(["ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "link"]);
    let address = line.split_whitespace().nth(3).unwrap_or_else(|| panic!("no address: {line:?}"));
    address.split('/').next().unwrap().to_owned()
}

/// Sends a router advertisement (RFC 4861, 4.2) of the prefix 2001:db8:5::/64 out of `br0`.
fn advertise(node: &Node, to: &str) {
    let mut packet = vec![134, 0, 0, 0, 64, 0, 0x07, 0x08];
    packet.extend([0; 8]);
    // The prefix: on the link, addresses may be made of it, for an hour.
    packet.extend([3, 4, 64, 0xc0, 0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10, 0, 0, 0, 0]);
    packet.extend([0x20, 0x01, 0x0d, 0xb8, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let index = node.host.run(["cat", "/proc/net/igmp6"]);
    let index = index.lines().find(|line| line.contains("br0")).unwrap();
    let index: u32 = index.split_whitespace().next().unwrap().parse().unwrap();
    let raw =
        socket(AddressFamily::Inet6, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::IcmpV6);
    let raw = raw.unwrap();
    // Any other hop limit would have come from beyond the link.
    setsockopt(&raw, Ipv6Ttl, &255).unwrap();
    let to = SockaddrIn6::from(SocketAddrV6::new(to.parse().unwrap(), 0, 0, index));
    sendto(raw.as_raw_fd(), &packet, &to, MsgFlags::empty()).unwrap();
}
