//! A host with a bridge, containers on it, and probes that tell from where a packet came.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use causeway_bridge::filter::Subject;
use cni_common::spec::{Object, ValidAttachments};
use cni_common::types::Attachment;
use ipnetwork::IpNetwork;
use testsupport::{Container, Host, Outside};

/// How long a packet may take; one that must not arrive is waited for only as long as `NEVER`.
const SOON: Duration = Duration::from_secs(5);
const NEVER: Duration = Duration::from_millis(400);
const EVERY: Duration = Duration::from_millis(100);

pub(crate) struct World {
    pub(crate) host: Host,
    pub(crate) outside: Outside,
}

impl World {
    /// A host that forwards, with bridge `cni0`; the neighbour knows the way to the containers, so
    /// that what is not masqueraded arrives too.
    pub(crate) fn new() -> Self {
        let host = Host::new();
        let outside = host.outside();
        for line in [
            "sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
            "ip link add cni0 type bridge",
            "ip link set cni0 up",
            "ip address add 10.88.0.1/16 dev cni0",
            "ip address add fd88::1/64 dev cni0 nodad",
        ] {
            run(&host, line);
        }
        outside.learn_route("10.88.0.0/16");
        outside.learn_route("fd88::/64");
        Self { host, outside }
    }

    /// A container with these last octets on bridge and in its addresses.
    pub(crate) fn container(&self, number: u8) -> Container {
        let container = self.host.container(&format!("c{number}"));
        let (port, netns) = (port(number), container.name().to_owned());
        run(
            &self.host,
            &format!(
                "ip link add {port} address 02:00:00:00:01:{number:02x} master cni0 up type veth peer name eth0 address {} netns {netns}",
                mac(number)
            ),
        );
        for line in [
            "ip link set lo up".to_owned(),
            "ip link set eth0 up".to_owned(),
            format!("ip address add {} dev eth0", address(number)),
            format!("ip address add {} dev eth0 nodad", address6(number)),
            "ip route add default via 10.88.0.1".to_owned(),
            "ip route add default via fd88::1".to_owned(),
        ] {
            container.run(line.split(' ').collect::<Vec<_>>());
        }
        container
    }
}

pub(crate) fn run(host: &Host, line: &str) -> String {
    host.run(line.split(' ').collect::<Vec<_>>())
}

pub(crate) fn port(number: u8) -> String {
    format!("veth000000000{number:02x}")
}

pub(crate) fn mac(number: u8) -> String {
    format!("02:00:00:00:00:{number:02x}")
}

pub(crate) fn address(number: u8) -> String {
    format!("10.88.0.{number}/16")
}

pub(crate) fn address6(number: u8) -> String {
    format!("fd88::{number}/64")
}

pub(crate) fn networks(texts: &[&str]) -> Vec<IpNetwork> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// An attachment and its host interface's name.
pub(crate) struct Owner {
    pub(crate) attachment: Attachment,
    pub(crate) port: String,
}

impl Owner {
    pub(crate) fn new(network: &str, container: &str, port: &str) -> Self {
        let attachment = Attachment {
            network: network.parse().unwrap(),
            container: container.parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
        };
        Self { attachment, port: port.to_owned() }
    }

    /// The owner of `World::container(number)` in network `net`.
    pub(crate) fn of(number: u8) -> Self {
        Self::new("net", &format!("c{number}"), &port(number))
    }

    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject { attachment: &self.attachment, port: &self.port }
    }
}

/// The attachments that live, of `eth0` each.
pub(crate) fn with_valid<T>(
    containers: &[&str],
    act: impl FnOnce(&ValidAttachments<'_>) -> T,
) -> T {
    let entry = |id: &&str| format!(r#"{{"containerID":"{id}","ifname":"eth0"}}"#);
    let list: Vec<_> = containers.iter().map(entry).collect();
    let text = format!(r#"{{"cni.dev/valid-attachments":[{}]}}"#, list.join(","));
    act(&ValidAttachments::parse(&Object::parse(&text, "config").unwrap()).unwrap().unwrap())
}

/// A fresh port for every probe: the translation of a known connection would be remembered.
pub(crate) fn fresh_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(7000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn unspecified(ip: IpAddr) -> SocketAddr {
    let any = if ip.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    any.parse().unwrap()
}

/// A packet on its way: sent from `from` (a container, or the host itself if `None`).
pub(crate) struct Probe<'a> {
    pub(crate) from: Option<&'a Container>,
    pub(crate) source: Option<IpAddr>,
    pub(crate) to: Option<&'a Container>,
    pub(crate) destination: IpAddr,
}

impl Probe<'_> {
    /// The source address that the receiver sees; `None` if nothing arrives.
    pub(crate) fn source_seen(&self, timeout: Duration) -> Option<IpAddr> {
        let port = fresh_port();
        let any = SocketAddr::new(unspecified(self.destination).ip(), port);
        let listen = || UdpSocket::bind(any).unwrap();
        let receiver = self.to.map_or_else(listen, |there| there.inside(listen));
        join(&receiver, self.destination, self.to.is_some());
        receiver.set_read_timeout(Some(EVERY)).unwrap();
        let local = self
            .source
            .map_or_else(|| unspecified(self.destination), |source| SocketAddr::new(source, 0));
        let open = || UdpSocket::bind(local).unwrap();
        let sender = self.from.map_or_else(open, |here| here.inside(open));
        sender.set_multicast_ttl_v4(8).ok();
        // Again and again: routes and neighbours of fresh interfaces take a moment.
        let started = Instant::now();
        loop {
            sender.send_to(b"whence", (self.destination, port)).ok();
            match receiver.recv_from(&mut [0; 16]) {
                Ok((_length, source)) => return Some(source.ip()),
                Err(_) if started.elapsed() < timeout => {}
                Err(_) => return None,
            }
        }
    }
}

fn join(socket: &UdpSocket, group: IpAddr, elsewhere: bool) {
    assert!(!group.is_multicast() || elsewhere);
    match group {
        IpAddr::V4(group) if group.is_multicast() => {
            socket.join_multicast_v4(&group, &Outside::ADDRESS).unwrap();
        }
        // Interface 0 is any that has a route; the neighbour has but one.
        IpAddr::V6(group) if group.is_multicast() => socket.join_multicast_v6(&group, 0).unwrap(),
        _ => {}
    }
}

/// From where a packet of the container's comes, seen at `to`.
pub(crate) fn seen(from: &Container, to: &Container, destination: &str) -> String {
    let destination = destination.parse().unwrap();
    Probe { from: Some(from), source: None, to: Some(to), destination }
        .source_seen(SOON)
        .map_or_else(|| "nothing".to_owned(), |ip| ip.to_string())
}

/// The same where nothing is expected.
pub(crate) fn arrives(from: &Container, to: &Container, destination: &str) -> bool {
    let destination = destination.parse().unwrap();
    Probe { from: Some(from), source: None, to: Some(to), destination }.source_seen(NEVER).is_some()
}

pub(crate) fn soon(probe: &Probe<'_>) -> String {
    probe.source_seen(SOON).map_or_else(|| "nothing".to_owned(), |ip| ip.to_string())
}

/// Everything in the packet filter.
pub(crate) fn ruleset(host: &Host) -> String {
    run(host, "nft list ruleset")
}
