//! A host with a container that has an interface, and the calls of `bandwidth` for it.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use serde_json::{Value, json};
use testsupport::{Answer, Call, Container, Host, REFERENCE_DIR, executable};

/// The plain name of the device of container c1 in the network `net`, and that of eth1 where the plain
/// one is taken; the device for what eth0 receives from some subnets only.
pub(crate) const IFB: &str = "bwp623e1c388032";
pub(crate) const IFB_OF_ETH1: &str = "bwpa5b81521b03a";
pub(crate) const RECEIVED: &str = "bwi6e5fcbeeefc7";

pub(crate) struct World {
    pub(crate) host: Host,
    pub(crate) container: Container,
}

impl World {
    /// A container `c1` with `eth0`, whose other end is `veth0` on the host.
    pub(crate) fn new() -> Self {
        let host = Host::new();
        let container = host.container("c1");
        let world = Self { host, container };
        world.add_pair("eth0", "veth0");
        world
    }

    pub(crate) fn add_pair(&self, name: &str, host: &str) {
        self.run(&format!("ip link add {host} type veth peer name {name} netns c1"));
        self.run(&format!("ip link set {host} up"));
        self.inside(&format!("ip link set {name} up"));
        within("the pair comes up", || {
            self.run(&format!("ip link show {host}")).contains("state UP")
        });
    }

    pub(crate) fn run(&self, line: &str) -> String {
        self.host.run(line.split(' ').collect::<Vec<_>>())
    }

    pub(crate) fn inside(&self, line: &str) -> String {
        self.container.run(line.split(' ').collect::<Vec<_>>())
    }

    /// What the plugins before made of `ifname`.
    pub(crate) fn previous(&self, ifname: &str) -> Value {
        let sandbox = self.container.path();
        json!({
            "cniVersion": "1.0.0",
            "interfaces": [
                {"name": "br0", "mac": "02:00:00:00:00:09"},
                {"name": ifname.replace("eth", "veth")},
                {"name": ifname, "sandbox": sandbox},
            ],
            "ips": [{"address": "10.1.0.2/24", "interface": 2}],
        })
    }

    pub(crate) fn config(&self, keys: &Value) -> Value {
        let mut config = json!({
            "cniVersion": "1.0.0", "name": "net", "type": "bandwidth",
            "prevResult": self.previous("eth0"),
        });
        config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        config
    }

    pub(crate) fn call_of(&self, program: &Path, command: &str, keys: &Value) -> Call {
        let call = Call::of(program).command(command).container_id("c1").ifname("eth0");
        call.netns(&self.container).config(self.config(keys))
    }

    pub(crate) fn call(&self, command: &str, keys: &Value) -> Call {
        self.call_of(&executable("bandwidth"), command, keys)
    }

    /// The same for `eth1`.
    pub(crate) fn call_of_eth1(&self, command: &str, keys: &Value) -> Call {
        let mut config = self.config(keys);
        config["prevResult"] = self.previous("eth1");
        self.call(command, keys).ifname("eth1").config(config)
    }

    #[track_caller]
    pub(crate) fn add(&self, keys: &Value) -> Value {
        self.call("ADD", keys).run().expect_success().json()
    }

    #[track_caller]
    pub(crate) fn check(&self, keys: &Value) {
        self.call("CHECK", keys).run().expect_silent_success();
    }

    #[track_caller]
    pub(crate) fn del(&self, keys: &Value) {
        self.call("DEL", keys).run().expect_silent_success();
    }

    pub(crate) fn gc(&self, keys: &Value) -> Answer {
        let mut config = json!({"cniVersion": "1.1.0", "name": "net", "type": "bandwidth"});
        config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        Call::new("bandwidth").command("GC").config(config).run()
    }

    /// Queueing disciplines and filters of the host, and its links.
    pub(crate) fn state(&self) -> String {
        let mut state = self.run("tc qdisc show");
        for link in self.links() {
            for hook in ["ingress", "egress"] {
                state += &self.run(&format!("tc filter show dev {link} {hook}"));
            }
        }
        // Older versions of `tc` show more of an action, and its number is any.
        let is_told = |line: &&str| !line.contains("used_hw_stats") && !line.contains("\tindex ");
        let state: String = state.lines().filter(is_told).map(|line| format!("{line}\n")).collect();
        state + &self.run("ip -details -oneline link")
    }

    /// Ends the container, and waits until its end of the pair is gone with the host's.
    pub(crate) fn vanish(&mut self) {
        self.container.vanish();
        within("the pair goes", || !self.has("veth0"));
    }

    /// The filters of what `link` receives.
    pub(crate) fn filters(&self, link: &str) -> String {
        self.run(&format!("tc filter show dev {link} ingress"))
    }

    /// The queueing discipline at the root of a link.
    pub(crate) fn root(&self, link: &str) -> String {
        self.run(&format!("tc qdisc show dev {link} root"))
    }

    /// The names of all links of the host.
    pub(crate) fn links(&self) -> Vec<String> {
        let text = self.run("ip -json link show");
        let links: Value = serde_json::from_str(&text).unwrap();
        let names = links.as_array().unwrap().iter();
        names.map(|link| link["ifname"].as_str().unwrap().to_owned()).collect()
    }

    /// The index of a link of the host.
    pub(crate) fn index(&self, link: &str) -> u32 {
        u32::try_from(self.shown(link)["ifindex"].as_u64().unwrap()).unwrap()
    }

    /// How many packets a link of the host has sent.
    pub(crate) fn packets_sent_by(&self, link: &str) -> u64 {
        self.shown(link)["stats64"]["tx"]["packets"].as_u64().unwrap()
    }

    fn shown(&self, link: &str) -> Value {
        let text = self.run(&format!("ip -json -statistics link show {link}"));
        let links: Value = serde_json::from_str(&text).unwrap();
        links[0].clone()
    }

    pub(crate) fn has(&self, link: &str) -> bool {
        self.links().iter().any(|name| name == link)
    }

    /// Addresses on both ends, 10.`n`.0.1 and fd00:`n`::1 being the host's.
    pub(crate) fn address(&self, n: u8) {
        let both = |end: u8, link: &str| {
            [
                format!("ip address add 10.{n}.0.{end}/24 dev {link}"),
                format!("ip address add fd00:{n}::{end}/64 dev {link} nodad"),
            ]
        };
        both(1, "veth0").iter().for_each(|line| drop(self.run(line)));
        both(2, "eth0").iter().for_each(|line| drop(self.inside(line)));
    }
}

/// Waits for what the kernel does a while later.
pub(crate) fn within(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}: not within 20 s");
        thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn reference() -> PathBuf {
    Path::new(REFERENCE_DIR).join("bandwidth")
}

/// Both directions, at rates in Mbit/s, with bursts of a tenth of a second.
pub(crate) fn limits(ingress: u64, egress: u64) -> Value {
    json!({
        "ingressRate": ingress * 1_000_000, "ingressBurst": ingress * 100_000,
        "egressRate": egress * 1_000_000, "egressBurst": egress * 100_000,
    })
}

/// With further keys.
pub(crate) fn with(mut keys: Value, more: Value) -> Value {
    keys.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    keys
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the container.
    Received,
    /// From it.
    Sent,
}

/// How long a transfer runs before it is measured, and how long it is.
const SETTLING: Duration = Duration::from_millis(300);
pub(crate) const LONG: Duration = Duration::from_millis(1500);
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// A TCP transfer between the container and the host's address `peer`, in Mbit/s.
pub(crate) fn transfer(container: &Container, (peer, way): (&str, Way), time: Duration) -> f64 {
    let peer: IpAddr = peer.parse().unwrap();
    let listener = TcpListener::bind(SocketAddr::new(peer, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    let connect = move || TcpStream::connect_timeout(&at, Duration::from_secs(5)).unwrap();
    let inside = container.inside(connect);
    let (outside, _) = listener.accept().unwrap();
    let (mut from, mut to) = match way {
        Way::Received => (outside, inside),
        Way::Sent => (inside, outside),
    };
    to.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    // Less than what may wait in a limited link's queue: nothing is lost, and the rate is the link's.
    setsockopt(&to, sockopt::RcvBuf, &(120 * 1024)).unwrap();
    let sender = thread::spawn(move || while from.write_all(&[7; 16 * 1024]).is_ok() {});
    read_for(&mut to, SETTLING);
    let started = Instant::now();
    let bytes = read_for(&mut to, time);
    let seconds = started.elapsed().as_secs_f64();
    drop(to);
    sender.join().unwrap();
    bytes * 8.0 / seconds / 1e6
}

fn read_for(stream: &mut TcpStream, time: Duration) -> f64 {
    let started = Instant::now();
    let mut total = 0.0;
    while started.elapsed() < time {
        let length = match stream.read(&mut [0; 16 * 1024]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read.unwrap(),
        };
        total += f64::from(u32::try_from(length).unwrap());
    }
    total
}
