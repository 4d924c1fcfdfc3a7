//! Forgetting UDP flows, with real ones between two namespaces.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use cni_common::sys::conntrack::{Family, UdpFlows, forget_udp};
use testsupport::Host;

/// The host with an interface whose port 53 is answered by a container at port 5353, by address
/// translation, in both families.
fn translated() -> (Host, testsupport::Container) {
    let host = Host::new();
    let container = host.container("server");
    host.run([
        "ip", "link", "add", "veth1", "type", "veth", "peer", "name", "eth0", "netns", "server",
    ]);
    for command in [
        "ip addr add 10.1.0.1/24 dev veth1",
        "ip addr add fd00::1/64 dev veth1 nodad",
        "ip link set veth1 up",
        "ip link set lo up",
        "nft add table inet t",
        "nft add chain inet t out { type nat hook output priority -100; }",
        "nft add rule inet t out ip daddr 10.1.0.1 udp dport 53 dnat ip to 10.1.0.2:5353",
        "nft add rule inet t out ip6 daddr fd00::1 udp dport 53 dnat ip6 to [fd00::2]:5353",
    ] {
        host.run(command.split_whitespace().collect::<Vec<_>>());
    }
    for command in [
        "ip addr add 10.1.0.2/24 dev eth0",
        "ip addr add fd00::2/64 dev eth0 nodad",
        "ip link set eth0 up",
    ] {
        container.run(command.split_whitespace().collect::<Vec<_>>());
    }
    (host, container)
}

fn send(from: &str, to: &str) -> UdpSocket {
    let socket = UdpSocket::bind(from).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.send_to(b"?", to.parse::<SocketAddr>().unwrap()).unwrap();
    socket
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The tracked UDP flows to this port, as the kernel lists them.
fn tracked(host: &Host) -> usize {
    let listed = host.run(["sh", "-c", "cat /proc/thread-self/net/nf_conntrack || true"]);
    listed.lines().filter(|line| line.contains("udp")).count()
}

#[test]
fn flows_are_forgotten_by_where_they_were_sent_and_by_who_answers() {
    let (host, _container) = translated();
    let ask = || {
        let to_v4 = [send("0.0.0.0:0", "10.1.0.1:53"), send("0.0.0.0:0", "10.1.0.1:53")];
        let to_v6 = send("[::]:0", "[fd00::1]:53");
        let other = send("0.0.0.0:0", "10.1.0.2:99");
        (to_v4, to_v6, other)
    };
    let sockets = ask();
    let listed = tracked(&host);

    let v4 = UdpFlows::SentTo(Family::Ipv4, Some(ip("10.1.0.1")), 53);
    assert_eq!(forget_udp(&[UdpFlows::SentTo(Family::Ipv4, Some(ip("10.1.0.9")), 53)]).unwrap(), 0);
    assert_eq!(forget_udp(&[v4]).unwrap(), 2);
    assert_eq!(forget_udp(&[v4]).unwrap(), 0);
    let v6 = UdpFlows::AnsweredFrom(ip("fd00::2"), 5353);
    assert_eq!(forget_udp(&[v6]).unwrap(), 1);
    if listed > 0 {
        assert_eq!(tracked(&host), listed - 3);
    }

    let again = ask();
    let any = UdpFlows::SentTo(Family::Ipv6, None, 53);
    assert_eq!(forget_udp(&[any, UdpFlows::AnsweredFrom(ip("10.1.0.2"), 5353)]).unwrap(), 3);
    assert_eq!(forget_udp(&[UdpFlows::AnsweredFrom(ip("10.1.0.2"), 99)]).unwrap(), 2);
    drop((sockets, again));
}
