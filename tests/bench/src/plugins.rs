//! The plugins of a runtime's network list, called one after the other as libcni does, and the time
//! that each call takes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cni_runtime::{Attachment, NetworkList, Plugin};
use serde_json::{Value, json};

/// In the order of ADD; the first is a network of its own, as containerd has it.
pub(crate) const NAMES: [&str; 6] =
    ["loopback", "bridge", "portmap", "firewall", "bandwidth", "tuning"];
/// Bits per second in both directions, and bits at once.
const RATE: u64 = 1_000_000_000;
const BURST: u64 = 8_000_000;

/// The time that each plugin's call took.
pub(crate) type Times = Vec<(&'static str, Duration)>;

/// A suite's executables, the lists, and where the calls' files are.
pub(crate) struct Plugins {
    executables: PathBuf,
    folder: PathBuf,
    loopback: NetworkList,
    network: NetworkList,
}

/// Whom a chain of calls is for.
pub(crate) struct Chained {
    loopback: Attachment,
    network: Attachment,
}

impl Chained {
    /// `ports` are TCP ports of the host.
    pub(crate) fn new(container: &str, netns: &Path, ports: impl Iterator<Item = u16>) -> Self {
        let netns = netns.display().to_string();
        let mapping = |port| json!({"hostPort": port, "containerPort": port, "protocol": "tcp"});
        let rates = json!({
            "ingressRate": RATE,
            "ingressBurst": BURST,
            "egressRate": RATE,
            "egressBurst": BURST,
        });
        let capabilities =
            [("portMappings", ports.map(mapping).collect::<Vec<_>>().into()), ("bandwidth", rates)];
        Self {
            loopback: Attachment::new(container, &netns).ifname("lo"),
            network: Attachment::new(container, &netns).capabilities(capabilities),
        }
    }
}

impl Plugins {
    /// The list of containerd's users, but for IPv6, of the plugins that are in `names`.
    pub(crate) fn new(executables: &Path, folder: &Path, names: &[&str]) -> Self {
        let plugins = [
            json!({
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": true,
                "ipMasq": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{ "subnet": "10.85.0.0/16" }]],
                    "routes": [{ "dst": "0.0.0.0/0" }],
                },
            }),
            json!({ "type": "portmap", "capabilities": { "portMappings": true } }),
            json!({ "type": "firewall" }),
            json!({ "type": "bandwidth", "capabilities": { "bandwidth": true } }),
            json!({ "type": "tuning" }),
        ];
        let is_named = |plugin: &Value| names.iter().any(|name| plugin["type"] == *name);
        let plugins: Vec<_> = plugins.into_iter().filter(is_named).collect();
        let list = |list: Value| NetworkList::new(list).unwrap();
        Self {
            executables: executables.to_owned(),
            folder: folder.to_owned(),
            loopback: list(json!({
                "cniVersion": "1.0.0",
                "name": "cni-loopback",
                "plugins": [{ "type": "loopback" }],
            })),
            network: list(json!({ "cniVersion": "1.0.0", "name": "pods", "plugins": plugins })),
        }
    }

    /// ADD of all, each started as `watched` makes of it; also the last one's answer.
    pub(crate) fn add(
        &self,
        chained: &Chained,
        watched: &dyn Fn(&'static str, Command) -> Command,
    ) -> (Times, Value) {
        let mut times = Times::new();
        let mut result = Value::Null;
        for (list, attachment) in
            [(&self.loopback, &chained.loopback), (&self.network, &chained.network)]
        {
            let mut previous = None;
            for plugin in list.plugins() {
                let config = list.config_of_attachment(plugin, attachment, previous.as_ref());
                fs::write(self.input(), Value::from(config).to_string()).unwrap();
                let process = self.process("ADD", plugin, attachment);
                times.push(self.run(plugin, process, watched));
                let answer = fs::read(self.answer()).unwrap();
                previous = Some(serde_json::from_slice(&answer).unwrap());
            }
            result = previous.unwrap_or_default();
        }
        (times, result)
    }

    /// DEL of all in reverse, with what ADD answered.
    pub(crate) fn del(
        &self,
        chained: &Chained,
        result: &Value,
        watched: &dyn Fn(&'static str, Command) -> Command,
    ) -> Times {
        let mut times = Times::new();
        for (list, attachment, previous) in [
            (&self.network, &chained.network, Some(result)),
            (&self.loopback, &chained.loopback, None),
        ] {
            for plugin in list.plugins().iter().rev() {
                let config = list.config_of_attachment(plugin, attachment, previous);
                fs::write(self.input(), Value::from(config).to_string()).unwrap();
                let process = self.process("DEL", plugin, attachment);
                times.push(self.run(plugin, process, watched));
            }
        }
        times
    }

    fn process(&self, command: &str, plugin: &Plugin, attachment: &Attachment) -> Command {
        let mut process = Command::new(self.executables.join(plugin.kind()));
        process
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("CNI_COMMAND", command)
            .env("CNI_CONTAINERID", &attachment.container_id)
            .env("CNI_NETNS", &attachment.netns)
            .env("CNI_IFNAME", &attachment.ifname)
            .env("CNI_PATH", &self.executables);
        process
    }

    fn run(
        &self,
        plugin: &Plugin,
        process: Command,
        watched: &dyn Fn(&'static str, Command) -> Command,
    ) -> (&'static str, Duration) {
        let name = NAMES.into_iter().find(|name| *name == plugin.kind()).unwrap();
        let mut process = watched(name, process);
        process
            .stdin(File::open(self.input()).unwrap())
            .stdout(File::create(self.answer()).unwrap())
            .stderr(Stdio::null());
        let begin = Instant::now();
        let status = process.status().unwrap_or_else(|error| panic!("{process:?}: {error}"));
        let time = begin.elapsed();
        let shown = || fs::read_to_string(self.answer()).unwrap_or_default();
        assert!(status.success(), "{process:?}: {status}\n{}", shown());
        (name, time)
    }

    fn input(&self) -> PathBuf {
        self.folder.join("config.json")
    }

    fn answer(&self) -> PathBuf {
        self.folder.join("answer")
    }
}

/// A process as it is.
pub(crate) fn unwatched(_plugin: &'static str, process: Command) -> Command {
    process
}
