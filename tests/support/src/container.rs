//! Further network namespaces of a host: containers, and the neighbour outside.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::host::{self, Host};
use crate::namespace;
use crate::process::{self, Background, Finished};

/// What keeps the namespace of a container.
#[derive(Debug)]
enum Kept {
    ByName,
    ByProcess(Background),
}

/// A container, as far as the network goes: a namespace with a path. Gone when dropped.
#[derive(Debug)]
pub struct Container {
    name: String,
    path: PathBuf,
    kept: Kept,
}

impl Container {
    pub(crate) fn named(name: &str, path: PathBuf) -> Self {
        namespace::inside_new(|| namespace::bind_own(&path));
        Self { name: name.to_owned(), path, kept: Kept::ByName }
    }

    pub(crate) fn of_process(name: &str) -> Self {
        // Should the test be killed, its child ends by itself a while later.
        let process =
            namespace::inside_new(|| Background::start(&mut process::command(&["sleep", "600"])));
        let path = PathBuf::from(format!("/proc/{}/ns/net", process.id()));
        Self { name: name.to_owned(), path, kept: Kept::ByProcess(process) }
    }

    /// The name it was made under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path of its namespace, for `CNI_NETNS`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The standard output of a command run inside; fails the test unless it succeeds.
    pub fn run<W: AsRef<OsStr>>(&self, words: impl AsRef<[W]>) -> String {
        self.finish(words).success()
    }

    /// Runs a command inside to its end, whatever that is.
    pub fn finish<W: AsRef<OsStr>>(&self, words: impl AsRef<[W]>) -> Finished {
        let mut command = host::entered(&self.path, words.as_ref());
        process::finish(&mut command, b"", process::LIMIT)
    }

    /// Starts a command inside, beside the test; it is killed when the guard is dropped.
    pub fn background<W: AsRef<OsStr>>(&self, words: impl AsRef<[W]>) -> Background {
        Background::start(&mut host::entered(&self.path, words.as_ref()))
    }

    /// Does something on a thread that has entered the namespace: what it opens there stays there.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        namespace::inside(&self.path, act)
    }

    /// Whether one echo request to `address` is answered within two seconds.
    pub fn pings(&self, address: &str) -> bool {
        self.finish(["ping", "-n", "-c", "1", "-W", "2", address]).status == Some(0)
    }

    /// Links, addresses and routes as text.
    pub fn state(&self) -> String {
        host::state(|words| self.run(words))
    }

    /// Takes the namespace away as a runtime does that stops before DEL; the path stays unused.
    pub fn vanish(&mut self) {
        match std::mem::replace(&mut self.kept, Kept::ByName) {
            Kept::ByName => namespace::unbind(&self.path),
            Kept::ByProcess(process) => drop(process),
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if matches!(self.kept, Kept::ByName) && !self.path.starts_with("/proc") {
            namespace::unbind(&self.path);
        }
    }
}

/// A neighbour beyond the host, on a link `uplink0` of its own. It knows no way to the containers
/// (so what gets an answer was masqueraded) until [`Self::learn_route`].
#[derive(Debug)]
pub struct Outside(Container);

impl Outside {
    /// The host's address on the link.
    pub const HOST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
    /// The neighbour's address.
    pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
    /// The host's IPv6 address on the link.
    pub const HOST_6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);
    /// The neighbour's IPv6 address.
    pub const ADDRESS_6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 2);

    pub(crate) fn new(host: &Host) -> Self {
        let outside = host.container("outside");
        let words = "ip link add uplink0 type veth peer name eth0 netns outside";
        host.run(words.split(' ').collect::<Vec<_>>());
        let address = |device: &str, v4: Ipv4Addr, v6: Ipv6Addr| {
            [
                format!("ip address add {v4}/24 dev {device}"),
                // Nor is the address probed for that the kernel makes as the link comes up.
                format!("sysctl -qw net.ipv6.conf.{device}.accept_dad=0"),
                format!("ip address add {v6}/64 dev {device} nodad"),
                format!("ip link set {device} up"),
            ]
        };
        for line in address("uplink0", Self::HOST, Self::HOST_6) {
            host.run(line.split(' ').collect::<Vec<_>>());
        }
        outside.run(["ip", "link", "set", "lo", "up"]);
        for line in address("eth0", Self::ADDRESS, Self::ADDRESS_6) {
            outside.run(line.split(' ').collect::<Vec<_>>());
        }
        wait_for_link("uplink0", Self::HOST_6, |words| host.run(words));
        wait_for_link("eth0", Self::ADDRESS_6, |words| outside.run(words));
        Self(outside)
    }

    /// Teaches the neighbour that `subnet` is reached through the host.
    pub fn learn_route(&self, subnet: &str) {
        let host =
            if subnet.contains(':') { Self::HOST_6.to_string() } else { Self::HOST.to_string() };
        self.run(["ip", "route", "add", subnet, "via", &host]);
    }
}

/// Waits until the link is up and listens for who asks for its IPv6 address: the kernel sees to both a while
/// after the commands that ask for them, as long as a second on a busy machine.
fn wait_for_link(device: &str, address: Ipv6Addr, run: impl Fn(&[&str]) -> String) {
    let group = solicited_node_group(address);
    let is_ready = || {
        let groups = run(&["cat", "/proc/self/net/igmp6"]);
        let mut of_link = groups.lines().filter(|line| line.contains(&format!(" {device} ")));
        of_link.any(|line| line.contains(&group))
            && run(&["ip", "link", "show", "dev", device]).contains(" state UP ")
            // Its own address is for a moment marked as probed for, though it is not.
            && run(&["ip", "-6", "address", "show", "dev", device, "tentative"]).is_empty()
    };
    let begun = Instant::now();
    while !is_ready() {
        assert!(begun.elapsed() < process::LIMIT, "{device} does not listen for {address}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The group that is asked for an address (RFC 4291, 2.7.1), as `/proc/net/igmp6` has it.
fn solicited_node_group(address: Ipv6Addr) -> String {
    let [.., a, b, c] = address.octets();
    format!("ff0200000000000000000001ff{a:02x}{b:02x}{c:02x}")
}

impl Deref for Outside {
    type Target = Container;

    fn deref(&self) -> &Container {
        &self.0
    }
}
