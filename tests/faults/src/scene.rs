//! Where a fault happens: a host with a network, a container to attach, and a neighbour that must
//! not notice anything.

use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::thread;

use nix::sched::{CloneFlags, setns};
use serde_json::{Value, json};
use testsupport::{Answer, Call, Container, Host};

use crate::chain;
use crate::fault::Command;
use crate::state::State;

/// The pool's folder, the default of `dataDir`.
pub(crate) const POOLS: &str = "/var/lib/cni/networks";
/// What the container's `lo` has before an ADD, other than what ADD sets: taking it back shows.
const DISABLE_IPV6: &str = "/proc/sys/net/ipv6/conf/lo/disable_ipv6";

/// What is called, and on which host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// `bridge` with `host-local`; bridge, pool and rules are there, and a neighbour is attached.
    Bridge,
    /// The same for the first container of a node: no bridge, no pool, no rules, no forwarding.
    FreshBridge,
    /// `host-local` by itself; a neighbour holds addresses of the pool.
    HostLocal,
    /// `portmap` behind `bridge`; a neighbour is attached by the whole chain.
    Portmap,
    /// The same for the first mapped port of a host.
    FreshPortmap,
    /// `portmap` with backend `iptables`, whose programs it starts.
    IptablesPortmap,
    /// `firewall` in its place of the chain, with a neighbour.
    Firewall,
    /// The same where nothing is let through yet, and iptables has no chain.
    FreshFirewall,
    /// `firewall` with backend `iptables`.
    IptablesFirewall,
    /// `bandwidth` in its place of the chain.
    Bandwidth,
    /// `tuning` at the end of the chain.
    Tuning,
}

impl Kind {
    pub(crate) const ALL: [Self; 11] = [
        Self::Bridge,
        Self::FreshBridge,
        Self::HostLocal,
        Self::Portmap,
        Self::FreshPortmap,
        Self::IptablesPortmap,
        Self::Firewall,
        Self::FreshFirewall,
        Self::IptablesFirewall,
        Self::Bandwidth,
        Self::Tuning,
    ];

    /// Those of the bounded form: the first container of a host has every call that others have.
    pub(crate) const BOUNDED: [Self; 7] = [
        Self::Bridge,
        Self::FreshBridge,
        Self::HostLocal,
        Self::FreshPortmap,
        Self::FreshFirewall,
        Self::Bandwidth,
        Self::Tuning,
    ];

    /// The plugin's executable.
    pub(crate) fn plugin(self) -> &'static str {
        match self {
            Self::Bridge | Self::FreshBridge => "bridge",
            Self::HostLocal => "host-local",
            Self::Portmap | Self::FreshPortmap | Self::IptablesPortmap => "portmap",
            Self::Firewall | Self::FreshFirewall | Self::IptablesFirewall => "firewall",
            Self::Bandwidth => "bandwidth",
            Self::Tuning => "tuning",
        }
    }

    /// Whether it is behind others in the chain, which are not disturbed.
    pub(crate) fn is_chained(self) -> bool {
        !matches!(self, Self::Bridge | Self::FreshBridge | Self::HostLocal)
    }

    /// Whether the packet filter is changed by programs.
    pub(crate) fn is_by_iptables(self) -> bool {
        matches!(self, Self::IptablesPortmap | Self::IptablesFirewall)
    }

    fn is_fresh(self) -> bool {
        matches!(self, Self::FreshBridge | Self::FreshPortmap | Self::FreshFirewall)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bridge => "bridge",
            Self::FreshBridge => "fresh-bridge",
            Self::HostLocal => "host-local",
            Self::Portmap => "portmap",
            Self::FreshPortmap => "fresh-portmap",
            Self::IptablesPortmap => "iptables-portmap",
            Self::Firewall => "firewall",
            Self::FreshFirewall => "fresh-firewall",
            Self::IptablesFirewall => "iptables-firewall",
            Self::Bandwidth => "bandwidth",
            Self::Tuning => "tuning",
        })
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.to_string() == text);
        let known = || Self::ALL.map(|kind| kind.to_string()).join(", ");
        found.ok_or_else(|| format!("{text:?} is none of {}", known()))
    }
}

/// The host, in namespaces of the calling thread's own.
pub(crate) struct Scene {
    pub(crate) kind: Kind,
    pub(crate) host: Host,
    pub(crate) blue: Container,
    _green: Container,
    config: Value,
    /// The same for the neighbour.
    neighbours: Value,
    /// What is there of `blue` before the plugin is called.
    pub(crate) base: State,
}

impl Scene {
    /// # Panics
    /// When the plugins can't do even this.
    pub(crate) fn new(kind: Kind) -> Self {
        let host = Host::new();
        // A link-local address that is still probed for shows up a second later.
        host.run(["sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0"]);
        let (blue, green) = (host.container("blue"), host.container("green"));
        let (config, neighbours) = match kind.is_chained() {
            true => chained(kind, [&blue, &green]),
            false => (config(), config()),
        };
        let base = State::of(&host, &[&blue]);
        let scene = Self { kind, host, blue, _green: green, config, neighbours, base };
        if kind != Kind::FreshBridge {
            if !kind.is_fresh() {
                scene.call("ADD", "green").run().expect_success();
            }
            // What the first DEL makes for good is no leftover of the ones that are swept.
            scene.call("ADD", "blue").run().expect_success();
            scene.call("DEL", "blue").run().expect_silent_success();
        }
        scene.prepare(Command::Add);
        scene
    }

    /// A call about a container of that ID, in `green`'s namespace for `green`, else in `blue`'s.
    pub(crate) fn call(&self, command: &str, id: &str) -> Call {
        let (netns, config) = match id {
            "green" => ("/run/netns/green", &self.neighbours),
            _ => ("/run/netns/blue", &self.config),
        };
        let call = Call::new(self.kind.plugin()).command(command).container_id(id);
        call.netns_path(netns).ifname("eth0").config(config)
    }

    /// The configuration as it goes to stdin.
    pub(crate) fn stdin(&self) -> Vec<u8> {
        self.config.to_string().into_bytes()
    }

    /// CHECK of what ADD answered.
    pub(crate) fn check(&self, id: &str, result: &Value) -> Answer {
        let mut config = self.config.clone();
        if let Some(config) = config.as_object_mut() {
            config.insert("prevResult".to_owned(), result.clone());
        }
        self.call("CHECK", id).config(config).run()
    }

    /// Brings the host to where `command` begins.
    pub(crate) fn prepare(&self, command: Command) {
        match self.kind {
            Kind::FreshBridge => self.make_fresh(),
            Kind::FreshFirewall => chain::remove_iptables(&self.host),
            Kind::Tuning => inside(&self.blue, chain::reset_sysctls),
            Kind::Bridge
            | Kind::HostLocal
            | Kind::Portmap
            | Kind::FreshPortmap
            | Kind::IptablesPortmap
            | Kind::Firewall
            | Kind::IptablesFirewall
            | Kind::Bandwidth => {}
        }
        if !self.kind.is_chained() {
            let set = || fs::write(DISABLE_IPV6, "1").expect("set a container's disable_ipv6");
            inside(&self.blue, set);
        }
        if command == Command::Del {
            self.call("ADD", "blue").run().expect_success();
        }
        forget_children();
    }

    fn make_fresh(&self) {
        self.host.finish(["ip", "link", "delete", "cni0"]);
        self.host.run(["nft", "flush", "ruleset"]);
        for path in ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"] {
            fs::write(path, "0").unwrap_or_else(|error| panic!("write {path}: {error}"));
        }
        if Path::new(POOLS).exists() {
            fs::remove_dir_all(POOLS).expect("remove the pools");
        }
    }

    /// What is there now.
    pub(crate) fn state(&self) -> State {
        State::of(&self.host, &[&self.blue])
    }
}

/// Runs `work` in a thread inside a container's namespace.
pub(crate) fn inside<T: Send>(container: &Container, work: impl FnOnce() -> T + Send) -> T {
    let netns = fs::File::open(container.path()).expect("open a container's namespace");
    let entered = || {
        setns(&netns, CloneFlags::CLONE_NEWNET).expect("enter a container's namespace");
        work()
    };
    thread::scope(|scope| scope.spawn(entered).join().expect("a thread in a container"))
}

/// The configurations with which the plugin is called for both, attached by those before it in the
/// chain; with a neighbour that has all of the chain but the plugin itself.
fn chained(kind: Kind, [blue, green]: [&Container; 2]) -> (Value, Value) {
    let before: Vec<&str> = match kind.is_fresh() {
        true => vec!["bridge"],
        false => chain::PLUGINS.into_iter().take_while(|name| *name != kind.plugin()).collect(),
    };
    let [config, neighbours] = [blue, green].map(|container| {
        let result = chain::attach(container, &before);
        let port = chain::port(container.name());
        let mut config = chain::config(kind.plugin(), port, Some(&result));
        if kind.is_by_iptables() {
            config["backend"] = "iptables".into();
        }
        config
    });
    (config, neighbours)
}

/// A network with all that leaves something behind.
fn config() -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "net",
        "type": "bridge",
        "bridge": "cni0",
        "isDefaultGateway": true,
        "ipMasq": true,
        "ipMasqBackend": "nftables",
        "macspoofchk": true,
        "netnsResolvConf": true,
        "dns": { "nameservers": ["10.1.2.1"] },
        "ipam": {
            "type": "host-local",
            "ranges": [[{ "subnet": "10.1.2.0/24" }], [{ "subnet": "fd00:1::/64" }]],
        },
    })
}

/// Has the next call find no process that waits for the kernel in the place of an earlier one, or all places
/// might be taken in one run and free in the next.
fn forget_children() {
    for entry in fs::read_dir("/run/cni").into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("causeway.removals-") {
            fs::remove_file(entry.path()).expect("remove a file");
        }
    }
}
