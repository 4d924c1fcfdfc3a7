//! A host that forwards, with two bridges and containers on them, and packets that pass or do not.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use cni_common::names;
use cni_common::types::Attachment;
use serde_json::{Value, json};
use testsupport::{Answer, Call, Container, Host, Outside};

/// How long a packet may take; one that must not arrive is waited for only as long as `NEVER`.
const SOON: Duration = Duration::from_secs(5);
const NEVER: Duration = Duration::from_millis(500);
const EVERY: Duration = Duration::from_millis(100);

pub(crate) const OUTSIDE: [&str; 2] = ["203.0.113.2", "2001:db8:ffff::2"];

pub(crate) struct World {
    pub(crate) host: Host,
    pub(crate) outside: Outside,
}

/// A container: number on its bridge, and the bridge's.
#[derive(Clone, Copy)]
pub(crate) struct At(pub(crate) u8, pub(crate) u8);

impl At {
    pub(crate) fn id(self) -> String {
        format!("c{}-{}", self.0, self.1)
    }

    fn bridge(self) -> String {
        format!("cni{}", self.1)
    }

    pub(crate) fn addresses(self) -> [String; 2] {
        [format!("10.{}.0.{}", 88 + self.1, self.0), format!("fd{}::{}", 88 + self.1, self.0)]
    }

    fn port(self) -> String {
        names::host_interface(&self.attachment())
    }

    pub(crate) fn attachment(self) -> Attachment {
        Attachment {
            network: "net".parse().unwrap(),
            container: self.id().parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let host = Host::new();
        let outside = host.outside();
        run(&host, "sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
        for bridge in 0..2 {
            let (four, six) = (format!("10.{}.0", 88 + bridge), format!("fd{}:", 88 + bridge));
            for line in [
                format!("ip link add cni{bridge} type bridge"),
                format!("ip link set cni{bridge} up"),
                format!("ip address add {four}.1/16 dev cni{bridge}"),
                format!("ip address add {six}:1/64 dev cni{bridge} nodad"),
            ] {
                run(&host, &line);
            }
            outside.learn_route(&format!("{four}.0/16"));
            outside.learn_route(&format!("{six}:/64"));
        }
        Self { host, outside }
    }

    /// A container as `bridge` attaches it.
    pub(crate) fn container(&self, at: At) -> Container {
        let container = self.host.container(&at.id());
        let (port, bridge, netns) = (at.port(), at.bridge(), container.name().to_owned());
        run(
            &self.host,
            &format!(
                "ip link add {port} master {bridge} up type veth peer name eth0 netns {netns}"
            ),
        );
        let [four, six] = at.addresses();
        let [via, via6] = At(1, at.1).addresses();
        for line in [
            "ip link set lo up".to_owned(),
            "ip link set eth0 up".to_owned(),
            format!("ip address add {four}/16 dev eth0"),
            format!("ip address add {six}/64 dev eth0 nodad"),
            format!("ip route add default via {via}"),
            format!("ip route add default via {via6}"),
        ] {
            container.run(line.split(' ').collect::<Vec<_>>());
        }
        container
    }

    /// A call of `firewall` for the container, with these keys besides.
    pub(crate) fn call(&self, command: &str, at: At, keys: &Value) -> Answer {
        self.call_with(command, at, config(at, keys))
    }

    pub(crate) fn call_with(&self, command: &str, at: At, config: Value) -> Answer {
        self.call_of(Call::new("firewall"), command, (at, config))
    }

    /// The same of another suite's executable.
    pub(crate) fn call_of(&self, call: Call, command: &str, (at, config): (At, Value)) -> Answer {
        call.command(command)
            .container_id(&at.id())
            .ifname("eth0")
            .netns_path(format!("/run/netns/{}", at.id()))
            .config(config)
            .run()
    }

    pub(crate) fn add(&self, at: At, keys: &Value) {
        let answer = self.call("ADD", at, keys);
        answer.expect_success();
    }

    /// A container that is let through.
    pub(crate) fn open(&self, at: At, keys: &Value) -> Container {
        let container = self.container(at);
        self.add(at, keys);
        container
    }

    /// `iptables -P FORWARD DROP`, both protocols, as Docker does.
    pub(crate) fn drop_by_policy(&self) {
        run(&self.host, "iptables -P FORWARD DROP");
        run(&self.host, "ip6tables -P FORWARD DROP");
    }

    pub(crate) fn ruleset(&self) -> String {
        run(&self.host, "nft list ruleset")
    }
}

/// The configuration with the result of `bridge`.
pub(crate) fn config(at: At, keys: &Value) -> Value {
    let mut config = json!({
        "cniVersion": "1.0.0", "name": "net", "type": "firewall",
        "prevResult": {
            "cniVersion": "1.0.0",
            "interfaces": [
                { "name": at.bridge(), "mac": "02:00:00:00:00:01" },
                { "name": at.port(), "mac": "02:00:00:00:00:02" },
                { "name": "eth0", "mac": "02:00:00:00:00:03", "sandbox": format!("/run/netns/{}", at.id()) },
            ],
            "ips": [
                { "interface": 2, "address": format!("{}/16", at.addresses()[0]) },
                { "interface": 2, "address": format!("{}/64", at.addresses()[1]) },
            ],
            "routes": [], "dns": {},
        },
    });
    for (key, value) in keys.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

pub(crate) fn run(host: &Host, line: &str) -> String {
    host.run(line.split(' ').collect::<Vec<_>>())
}

/// Whether a packet arrives and its answer comes back; the destination's socket is on `port`.
fn answers(
    from: &Container,
    to: &Container,
    (address, port): (IpAddr, u16),
    sent_to: SocketAddr,
) -> Option<()> {
    let any: IpAddr = if address.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let receiver = to.inside(|| bind((any, port)));
    let sender = from.inside(|| UdpSocket::bind((any, 0)).unwrap());
    for socket in [&receiver, &sender] {
        socket.set_read_timeout(Some(EVERY)).unwrap();
    }
    sender.send_to(b"there?", sent_to).ok();
    let (_, source) = receiver.recv_from(&mut [0; 16]).ok()?;
    receiver.send_to(b"here", source).ok();
    sender.recv_from(&mut [0; 16]).ok().map(|_| ())
}

/// A socket at the port. The one before it lives on in a program that another thread starts at the moment,
/// until that is executed.
fn bind(at: (IpAddr, u16)) -> UdpSocket {
    let started = Instant::now();
    loop {
        match UdpSocket::bind(at) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && started.elapsed() < SOON => {
                std::thread::sleep(Duration::from_millis(10));
            }
            bound => return bound.unwrap(),
        }
    }
}

fn within(patience: Duration, from: &Container, to: &Container, address: &str) -> bool {
    let address: IpAddr = address.parse().unwrap();
    let started = Instant::now();
    loop {
        let port = fresh_port();
        if answers(from, to, (address, port), SocketAddr::new(address, port)).is_some() {
            return true;
        }
        if started.elapsed() > patience {
            return false;
        }
    }
}

/// A port nobody used, so that no packet belongs to a known connection.
pub(crate) fn fresh_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(7000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A packet to the address arrives, and its answer comes back.
pub(crate) fn passes(from: &Container, to: &Container, address: &str) -> bool {
    within(SOON, from, to, address)
}

/// None does.
pub(crate) fn is_dropped(from: &Container, to: &Container, address: &str) -> bool {
    !within(NEVER, from, to, address)
}

/// A packet to another address and port, translated on its way, arrives and is answered.
pub(crate) fn passes_translated(
    from: &Container,
    (to, port): (&Container, u16),
    sent_to: &str,
    patience: Patience,
) -> bool {
    let sent_to: SocketAddr = sent_to.parse().unwrap();
    let started = Instant::now();
    let patience = if patience == Patience::Soon { SOON } else { NEVER };
    loop {
        if answers(from, to, (sent_to.ip(), port), sent_to).is_some() {
            return true;
        }
        if started.elapsed() > patience {
            return false;
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    Soon,
    Never,
}
