//! A host with a network of layer 2, which needs no IPAM plugin: a DEL starts no process but its own.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use testsupport::{Answer, Call, Container, Host};

/// The host, and its network's configuration.
pub(crate) struct Network {
    pub(crate) host: Host,
    config: Value,
}

impl Network {
    pub(crate) fn new() -> Self {
        Self::with(json!({}))
    }

    /// A network with these keys besides.
    pub(crate) fn with(keys: Value) -> Self {
        let mut config = json!({
            "cniVersion": "1.1.0", "name": "net", "type": "bridge", "bridge": "br0",
        });
        config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        Self { host: Host::new(), config }
    }

    pub(crate) fn config(&self) -> &Value {
        &self.config
    }

    pub(crate) fn call(&self, command: &str, container: &Container) -> Call {
        let call = Call::new("bridge").command(command).container_id(container.name());
        call.netns(container).ifname("eth0").config(&self.config)
    }

    /// A container that is attached.
    #[track_caller]
    pub(crate) fn attached(&self, name: &str) -> Container {
        let container = self.host.container(name);
        self.call("ADD", &container).run().expect_success();
        container
    }

    #[track_caller]
    pub(crate) fn del(&self, container: &Container) {
        self.call("DEL", container).run().expect_silent_success();
        self.assert_gone(container);
    }

    /// Starts a call in a process group, which tells its processes from those of other tests.
    pub(crate) fn start(&self, call: &Call, group: i32, output: impl Into<Stdio>) -> Child {
        let mut plugin = call.process();
        plugin.process_group(group).stdin(Stdio::piped()).stdout(output);
        let mut process = plugin.spawn().unwrap();
        let mut stdin = process.stdin.take().unwrap();
        stdin.write_all(self.config.to_string().as_bytes()).unwrap();
        process
    }

    /// DEL in a process group; both ends are gone then.
    #[track_caller]
    pub(crate) fn del_in_group(&self, container: &Container, group: i32) {
        let mut process = self.start(&self.call("DEL", container), group, Stdio::null());
        assert!(process.wait().unwrap().success());
        self.assert_gone(container);
    }

    /// GC with these containers alive.
    pub(crate) fn gc(&self, alive: &[&str]) -> Answer {
        let mut config = self.config.clone();
        let alive: Vec<_> =
            alive.iter().map(|id| json!({"containerID": id, "ifname": "eth0"})).collect();
        config["cni.dev/valid-attachments"] = json!(alive);
        Call::new("bridge").command("GC").config(config).run()
    }

    /// Neither end is there for anybody.
    #[track_caller]
    pub(crate) fn assert_gone(&self, container: &Container) {
        let inside = container.run(["ip", "-o", "link"]);
        assert_eq!(inside.lines().count(), 1, "{inside}");
    }

    /// The names of all ends of veth pairs on the host, by netlink and by /sys.
    pub(crate) fn host_ends(&self) -> (String, Vec<String>) {
        let shown = self.host.run(["ip", "-o", "link", "show", "type", "veth"]);
        let folders = fs::read_dir("/sys/class/net").unwrap();
        let names = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        (shown, names.filter(|name| name.starts_with("veth")).collect())
    }

    /// Runs a call under `strace` with these arguments; what strace wrote.
    pub(crate) fn traced(&self, call: &Call, arguments: &[&str]) -> (Option<i32>, String) {
        let (input, trace) =
            (self.host.temp_dir().join("stdin"), self.host.temp_dir().join("trace"));
        fs::write(&input, self.config.to_string()).unwrap();
        let plugin = call.process();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o"]).arg(&trace).args(arguments).arg(plugin.get_program());
        strace.env_clear();
        strace.envs(plugin.get_envs().filter_map(|(name, value)| Some((name, value?))));
        strace.stdin(fs::File::open(input).unwrap()).stdout(Stdio::null());
        let status = strace.status().unwrap();
        (status.code(), fs::read_to_string(trace).unwrap())
    }
}
