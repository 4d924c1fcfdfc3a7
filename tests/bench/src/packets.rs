//! Packets per second through published ports, by the number of ports: UDP packets from a neighbour of the
//! host to its ports, which lead to containers. Each contender has a host of its own.
//!
//! The neighbour's processor takes every packet all the way to the container's socket before it sends the
//! next one, so that the time of sending is the time of the way.

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};
use serde_json::json;
use testsupport::{Container, Host, Outside};

use crate::contender::Contender;
use crate::site::Site;

/// How many ports are published.
const PORTS: [u16; 2] = [1, 1000];
/// Ports of one container, where there are so many.
const PORTS_EACH: u16 = 10;
const FIRST_PORT: u16 = 20_000;
/// The containers' own port.
const CONTAINER_PORT: u16 = 9000;
/// Packets of which each begins a flow, and packets of one flow, in a round.
const FLOWS: u16 = 8_000;
const OF_ONE_FLOW: usize = 40_000;
const ROUNDS: u16 = 5;
/// The first source port.
const FIRST_SOURCE: u16 = 10_000;
/// What is behind the UDP header.
const PAYLOAD: usize = 18;
/// For packets that are still under way.
const PAUSE: Duration = Duration::from_millis(30);
/// Until the first packet arrives.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Of so many packets in a thousand that arrive at least it is said how long they took.
const ARRIVING: u64 = 980;

/// How packets get to the containers.
#[derive(Clone)]
enum Way {
    /// Routed to the container's own address, without any packet filter.
    Routed,
    /// By `portmap` of this folder.
    Portmap(PathBuf),
    /// By the rules that the reference's backend `nftables` makes, where its package has no such backend.
    Layout,
}

/// One line of the table.
pub(crate) struct Rates {
    /// Whose ports.
    pub(crate) way: String,
    /// How many.
    pub(crate) ports: u16,
    /// Packets per second that begin a flow each.
    pub(crate) flows: f64,
    /// Packets per second of one flow.
    pub(crate) of_one_flow: f64,
}

/// Measures all of them by turns.
pub(crate) fn measure(contenders: &[Contender]) -> Vec<Rates> {
    let mut rates = Vec::new();
    for ports in PORTS {
        let mut sites: Vec<_> = ways(contenders)
            .into_iter()
            .map(|(name, way)| (name, Site::new(move || Crossing::new(way, ports)), Vec::new()))
            .collect();
        for round in 0..ROUNDS {
            for (_, site, measured) in &mut sites {
                measured.push(site.run(move |crossing| crossing.measure(round)));
            }
        }
        for (name, _, measured) in sites {
            let (flows, of_one_flow): (Vec<_>, Vec<_>) = measured.into_iter().unzip();
            let (flows, of_one_flow) = (median(flows), median(of_one_flow));
            rates.push(Rates { way: name, ports, flows, of_one_flow });
        }
    }
    rates
}

fn ways(contenders: &[Contender]) -> Vec<(String, Way)> {
    let mut ways = vec![("routed, no ports".to_owned(), Way::Routed)];
    for contender in contenders {
        let Some(folder) = contender.folder() else { continue };
        let backend = if contender.name == "reference" { ", iptables" } else { "" };
        ways.push((format!("{}{backend}", contender.name), Way::Portmap(folder.to_owned())));
    }
    ways.push(("reference, nftables".to_owned(), Way::Layout));
    ways
}

/// A host with ports, a neighbour, and a namespace that has the addresses of all containers.
struct Crossing {
    socket: OwnedFd,
    target: Ipv4Addr,
    ports: Vec<u16>,
    containers: Container,
    _server: UdpSocket,
    _outside: Outside,
    _host: Host,
}

impl Crossing {
    fn new(way: Way, count: u16) -> Self {
        let host = Host::new();
        let outside = host.outside();
        let containers = host.container("containers");
        let addresses: Vec<Ipv4Addr> = (0..count.div_ceil(PORTS_EACH)).map(address).collect();
        for line in [
            "ip link add cni0 type bridge",
            "ip address add 10.85.0.1/16 dev cni0",
            "ip link set cni0 up",
            "ip link add port0 master cni0 type veth peer name eth0 netns containers",
            "ip link set port0 up",
        ] {
            host.run(line.split(' ').collect::<Vec<_>>());
        }
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        for address in &addresses {
            containers.run(["ip", "address", "add", &format!("{address}/16"), "dev", "eth0"]);
        }
        containers.run(["ip", "link", "set", "eth0", "up"]);
        containers.run(["ip", "route", "add", "default", "via", "10.85.0.1"]);
        let server = containers.inside(|| UdpSocket::bind(("0.0.0.0", CONTAINER_PORT)).unwrap());
        let socket = outside.inside(|| {
            let udp = SockProtocol::Udp;
            socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, udp).unwrap()
        });
        let published: Vec<Vec<u16>> = addresses
            .iter()
            .zip((FIRST_PORT..FIRST_PORT + count).collect::<Vec<_>>().chunks(PORTS_EACH.into()))
            .map(|(_, ports)| ports.to_vec())
            .collect();
        let (target, ports) = match way {
            Way::Routed => {
                outside.learn_route("10.85.0.0/16");
                (address(0), vec![CONTAINER_PORT])
            }
            Way::Portmap(_) | Way::Layout => (Outside::HOST, published.concat()),
        };
        match way {
            Way::Routed => {}
            Way::Portmap(folder) => {
                let folder = folder.join("portmap");
                for (number, ports) in (0..).zip(&published) {
                    publish((&host, &folder), &containers, number, ports);
                }
            }
            Way::Layout => lay_out(&host, &published),
        }
        let crossing = Self {
            socket,
            target,
            ports,
            containers,
            _server: server,
            _outside: outside,
            _host: host,
        };
        crossing.open();
        crossing
    }

    /// Sends until something arrives: the bridge's port forwards, neighbours are found, modules loaded.
    fn open(&self) {
        let (begin, before) = (Instant::now(), self.arrived());
        while self.arrived() < before + 10 {
            assert!(begin.elapsed() < TIMEOUT, "no packet arrived within {TIMEOUT:?}");
            self.send([(1, self.ports[0])].into_iter());
            std::thread::sleep(PAUSE);
        }
    }

    /// Packets per second: of many flows, of one.
    fn measure(&self, round: u16) -> (f64, f64) {
        let first = FIRST_SOURCE + round * FLOWS;
        let sources = first..first + FLOWS;
        let flows = self.rate(sources.zip(self.ports.iter().copied().cycle()));
        let of_one = self.rate(std::iter::repeat_n((first, self.ports[0]), OF_ONE_FLOW));
        (flows, of_one)
    }

    fn rate(&self, packets: impl Iterator<Item = (u16, u16)>) -> f64 {
        let packets: Vec<_> = packets.collect();
        let before = self.arrived();
        let begin = Instant::now();
        self.send(packets.iter().copied());
        let time = begin.elapsed();
        std::thread::sleep(PAUSE);
        let (arrived, sent) = (self.arrived() - before, packets.len() as u64);
        assert!(arrived * 1000 >= sent * ARRIVING, "{arrived} of {sent} packets arrived");
        sent as f64 / time.as_secs_f64()
    }

    /// Sends a packet for each pair of a source and a destination port.
    fn send(&self, packets: impl Iterator<Item = (u16, u16)>) {
        let target = SockaddrIn::from(SocketAddrV4::new(self.target, 0));
        for (source, destination) in packets {
            let mut packet = [0; 8 + PAYLOAD];
            packet[0..2].copy_from_slice(&source.to_be_bytes());
            packet[2..4].copy_from_slice(&destination.to_be_bytes());
            // Without a checksum, which IPv4 allows.
            packet[4..6].copy_from_slice(&(8 + PAYLOAD as u16).to_be_bytes());
            sendto(self.socket.as_raw_fd(), &packet, &target, MsgFlags::empty()).unwrap();
        }
    }

    /// Packets that the containers' interface has received.
    fn arrived(&self) -> u64 {
        let text = self.containers.run(["cat", "/proc/net/dev"]);
        let line = text.lines().find_map(|line| line.trim().strip_prefix("eth0:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

fn address(number: u16) -> Ipv4Addr {
    let [high, low] = (number + 2).to_be_bytes();
    Ipv4Addr::new(10, 85, high, low)
}

/// ADD of `portmap` for a container.
fn publish((host, portmap): (&Host, &Path), netns: &Container, number: u16, ports: &[u16]) {
    let sandbox = netns.path().display().to_string();
    let mapping = |port: &u16| json!({ "hostPort": port, "containerPort": CONTAINER_PORT, "protocol": "udp" });
    let config = json!({
        "cniVersion": "1.0.0",
        "name": "packets",
        "type": "portmap",
        "runtimeConfig": { "portMappings": ports.iter().map(mapping).collect::<Vec<_>>() },
        "prevResult": {
            "cniVersion": "1.0.0",
            "interfaces": [{ "name": "cni0" }, { "name": "port0" }, { "name": "eth0", "sandbox": sandbox }],
            "ips": [{ "address": format!("{}/16", address(number)), "interface": 2 }],
        },
    });
    let input = host.temp_dir().join("config.json");
    fs::write(&input, config.to_string()).unwrap();
    let mut process = Command::new(portmap);
    process
        .env("CNI_COMMAND", "ADD")
        .env("CNI_CONTAINERID", format!("container{number}"))
        .env("CNI_NETNS", netns.path())
        .env("CNI_IFNAME", "eth0")
        .env("CNI_PATH", "/")
        .stdin(File::open(input).unwrap())
        .stderr(Stdio::inherit());
    let output = process.output().unwrap_or_else(|error| panic!("{process:?}: {error}"));
    assert!(output.status.success(), "{process:?}: {}", String::from_utf8_lossy(&output.stdout));
}

/// The rules of the reference's backend `nftables`, as its version 1.9.1 makes them.
fn lay_out(host: &Host, published: &[Vec<u16>]) {
    let mut rules = String::new();
    let mut masquerading = String::new();
    for (number, ports) in (0..).zip(published) {
        let (to, id) = (address(number), format!("comment \"container{number}\""));
        for port in ports {
            rules += &format!("udp dport {port} dnat to {to}:{CONTAINER_PORT} {id}\n");
        }
        masquerading += &format!(
            "ip saddr {to} ip daddr {to} masquerade {id}\n\
             ip saddr 127.0.0.1 ip daddr {to} masquerade {id}\n"
        );
    }
    let text = format!(
        "table ip cni_hostport {{\n\
         chain hostip_hostports {{ }}\n\
         chain hostports {{\n{rules}}}\n\
         chain hostports_all {{ jump hostip_hostports; jump hostports; }}\n\
         chain prerouting {{ type nat hook prerouting priority dstnat;\n\
         fib daddr type local jump hostports_all; }}\n\
         chain output {{ type nat hook output priority -100;\n\
         fib daddr type local jump hostports_all; }}\n\
         chain masquerading {{ type nat hook postrouting priority srcnat;\n{masquerading}}}\n}}\n"
    );
    let path = host.temp_dir().join("rules.nft");
    File::create(&path).and_then(|mut file| file.write_all(text.as_bytes())).unwrap();
    host.run(["nft", "-f", &path.display().to_string()]);
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
