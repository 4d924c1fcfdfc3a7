//! A host with a container, a valid configuration for every plugin, and the contract that a refused
//! input is held to.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use testsupport::{Answer, Call, Container, Host, Usage};

/// Those that read more than the common keys.
pub(crate) const READERS: [&str; 7] =
    ["bandwidth", "bridge", "firewall", "host-local", "portmap", "static", "tuning"];
/// Those that read `CNI_ARGS`.
pub(crate) const ARGUED: [&str; 4] = ["bridge", "host-local", "static", "tuning"];
/// Those that are behind another one in a list and read its result, whatever the command.
pub(crate) const CHAINED: [&str; 4] = ["bandwidth", "firewall", "portmap", "tuning"];
/// Those whose ADD takes an address out of a pool.
pub(crate) const POOLED: [&str; 2] = ["bridge", "host-local"];

/// What a refusal may use. The promise is about release executables, which `CNI_BIN_DIR` names here;
/// those of a debug build, with every check of the compiler's, are given ten times the CPU time.
const CPU: Duration = Duration::from_millis(100);
const MEMORY_KIB: u64 = 64 << 10;
/// No answer is longer: message and details are cut to 4 KiB each, of which every byte may need an
/// escape.
const ANSWER: usize = 56 << 10;

/// The host.
pub(crate) struct Stage {
    pub(crate) host: Host,
    pub(crate) container: Container,
    before: String,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let host = Host::new();
        let container = host.container("blue");
        fs::create_dir(host.temp_dir().join("pools")).unwrap();
        let mut stage = Self { host, container, before: String::new() };
        stage.before = stage.state();
        stage
    }

    /// Where files of a test's own may lie: inside of what must not change.
    pub(crate) fn folder(&self) -> &Path {
        self.host.temp_dir()
    }

    /// The folder of the pools.
    pub(crate) fn pools(&self) -> PathBuf {
        self.folder().join("pools")
    }

    /// From here on the present state is what must not change.
    pub(crate) fn settle(&mut self) {
        self.before = self.state();
    }

    /// A configuration that `plugin` takes.
    pub(crate) fn config(&self, plugin: &str) -> Value {
        match plugin {
            "loopback" => json!({"cniVersion": "1.1.0", "name": "net", "type": "loopback"}),
            "static" => json!({
                "cniVersion": "1.1.0", "name": "net", "type": "macvlan",
                "ipam": {
                    "type": "static", "addresses": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}],
                    "routes": [{"dst": "0.0.0.0/0"}], "dns": {"nameservers": ["192.0.2.1"]},
                },
                "cni.dev/valid-attachments": [],
            }),
            // On `lo`, as every namespace has that.
            "tuning" => json!({
                "cniVersion": "1.1.0", "name": "net", "type": "tuning", "dataDir": self.pools(),
                "sysctl": {"net/ipv4/conf/IFNAME/arp_notify": "1"}, "mtu": 1400, "txQLen": 7,
                "allmulti": true,
                "prevResult": {"cniVersion": "1.1.0", "interfaces": [{"name": "lo"}]},
                "cni.dev/valid-attachments": [],
            }),
            "portmap" => json!({
                "cniVersion": "1.1.0", "name": "net", "type": "portmap", "snat": true,
                "runtimeConfig": {"portMappings": [
                    {"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "192.0.2.1"},
                ]},
                "prevResult": self.result(),
                "cni.dev/valid-attachments": [],
            }),
            // Without a rate it needs no veth pair.
            "bandwidth" => json!({
                "cniVersion": "1.1.0", "name": "net", "type": "bandwidth", "latency": 25,
                "runtimeConfig": {"bandwidth": {
                    "ingressRate": 0, "ingressBurst": 0, "egressRate": 0, "egressBurst": 0,
                }},
                "unshapedSubnets": ["10.0.0.0/8"],
                "prevResult": self.result(),
                "cni.dev/valid-attachments": [],
            }),
            "firewall" => json!({
                "cniVersion": "1.1.0", "name": "net", "type": "firewall", "backend": "nftables",
                "ingressPolicy": "same-bridge", "iptablesAdminChainName": "ADMIN",
                "prevResult": self.result(),
                "cni.dev/valid-attachments": [],
            }),
            "bridge" | "host-local" => json!({
                "cniVersion": "1.1.0", "name": "net", "type": plugin, "bridge": "br0",
                "isGateway": true,
                "ipam": {
                    "type": "host-local", "dataDir": self.pools(),
                    "ranges": [[{"subnet": "10.1.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}],
                },
                "cni.dev/valid-attachments": [],
            }),
            other => panic!("{other} has no valid configuration here"),
        }
    }

    /// What a plugin before answered.
    fn result(&self) -> Value {
        json!({
            "cniVersion": "1.1.0",
            "interfaces": [{"name": "br0"}, {"name": "eth0", "sandbox": self.container.path()}],
            "ips": [{"address": "10.1.0.5/24", "interface": 1}],
        })
    }

    /// The same with the value at a path of keys (`ipam.dataDir`) replaced.
    pub(crate) fn with(&self, plugin: &str, path: &str, value: impl Into<Value>) -> Value {
        let mut config = self.config(plugin);
        set(&mut config, path, value);
        config
    }

    /// A call with every variable that any command needs, and the valid configuration.
    pub(crate) fn call(&self, plugin: &str, command: &str) -> Call {
        Call::new(plugin)
            .command(command)
            .container_id("c1")
            .netns(&self.container)
            .ifname(if plugin == "tuning" { "lo" } else { "eth0" })
            .config(self.config(plugin))
    }

    /// Runs `call`, which must be refused with `code` in the way all refusals are, by an answer that
    /// has every word of `says`.
    #[track_caller]
    pub(crate) fn refuses(&self, call: &Call, code: u64, says: &[&str]) {
        let (answer, usage) = measured(|| call.measured());
        refused(&answer, usage, code, says);
    }

    /// Nothing was changed since the state was settled.
    #[track_caller]
    pub(crate) fn unchanged(&self) {
        let after = self.state();
        assert!(self.before == after, "before: {}\n\nafter: {after}", self.before);
    }

    /// The packet filter.
    pub(crate) fn rules(&self) -> String {
        self.host.run(["nft", "list", "ruleset"])
    }

    /// All that a plugin could change, as text.
    fn state(&self) -> String {
        let links = format!("{}\n{}\n", self.host.state(), self.container.state());
        // A bridge's timers run by themselves.
        let mut text = String::new();
        let mut words = links.split(' ');
        while let Some(word) = words.next() {
            match word.ends_with("_timer") {
                true => drop(words.by_ref().find(|word| !word.is_empty())),
                false => text.extend([word, " "]),
            }
        }
        for folder in ["/run/netns", "/etc/netns", "/var/lib/cni"] {
            list(Path::new(folder), &mut text);
        }
        list(self.folder(), &mut text);
        text.push_str(&self.rules());
        text
    }
}

/// Every file below `folder`, with its kind and, if it is a short plain one, its content.
fn list(folder: &Path, text: &mut String) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = match metadata.is_file() && metadata.len() < 4096 {
            true => {
                // What can't be read is a namespace.
                let bytes = fs::read(&path).unwrap_or_default();
                String::from_utf8_lossy(&bytes).into_owned()
            }
            false => String::new(),
        };
        text.push_str(&format!("{} {:?} {content:?}\n", path.display(), metadata.file_type()));
        if metadata.is_dir() {
            list(&path, text);
        }
    }
}

/// Sets the value at a path of keys; indices of lists are numbers.
pub(crate) fn set(config: &mut Value, path: &str, value: impl Into<Value>) {
    let place = path.split('.').fold(config, |value, key| match key.parse::<usize>() {
        Ok(index) => &mut value[index],
        Err(_) => &mut value[key],
    });
    *place = value.into();
}

/// A call and what it used. It is made again, a few times, while it took more CPU time than it may: a busy
/// machine charges a process at times for what it did not do.
pub(crate) fn measured(call: impl Fn() -> (Answer, Usage)) -> (Answer, Usage) {
    let (mut answer, mut usage) = call();
    for _ in 0..4 {
        if usage.cpu > cpu_limit() {
            (answer, usage) = call();
        }
    }
    (answer, usage)
}

/// What is asserted of every refusal.
#[track_caller]
pub(crate) fn refused(answer: &Answer, usage: Usage, code: u64, says: &[&str]) {
    let message = answer.expect_error(code);
    let object = answer.json();
    let known = ["cniVersion", "code", "msg", "details"];
    let keys = object.as_object().unwrap().keys();
    assert!(keys.into_iter().all(|key| known.contains(&key.as_str())), "{answer}");
    assert!(!message.is_empty() && answer.stdout().len() < ANSWER, "{answer}");
    assert!(answer.stderr().is_empty(), "{answer}");
    let text = format!("{message}\n{}", answer.details());
    for word in says {
        assert!(text.contains(word), "{word:?} is not said\n{answer}");
    }
    small(usage, &answer);
}

/// The limits on what a refusal uses.
#[track_caller]
pub(crate) fn small(usage: Usage, answer: &impl std::fmt::Display) {
    let limit = cpu_limit();
    let fits = usage.cpu <= limit && usage.memory <= MEMORY_KIB;
    assert!(fits, "{usage:?} is more than {limit:?} or {MEMORY_KIB} KiB\n{answer}");
}

fn cpu_limit() -> Duration {
    if std::env::var_os("CNI_BIN_DIR").is_some() { CPU } else { CPU * 10 }
}
