//! A host with networks, a runtime that attaches containers to them, and the tool.

use std::fs;
use std::path::{Path, PathBuf};

use cni_runtime::{Attachment, NetworkList, Runtime};
use serde_json::{Value, json};
use testsupport::{Answer, Call, Container, Finished, Host, Usage, bin_dir, write_program};

pub(crate) struct Node {
    pub(crate) host: Host,
    pub(crate) runtime: Runtime,
}

/// A network on `cni0` as most nodes have it.
pub(crate) fn pods() -> Value {
    json!({"cniVersion": "1.1.0", "name": "pods", "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
         "ipMasqBackend": "nftables", "macspoofchk": true,
         "ipam": {"type": "host-local", "subnet": "10.85.0.0/16", "routes": [{"dst": "0.0.0.0/0"}]}},
        {"type": "portmap", "capabilities": {"portMappings": true}},
    ]})
}

/// The same with one more plugin at its end.
pub(crate) fn pods_with(plugin: Value) -> Value {
    let mut network = pods();
    network["plugins"].as_array_mut().unwrap().push(plugin);
    network
}

impl Node {
    /// A host with these networks.
    pub(crate) fn new(networks: &[Value]) -> Self {
        let host = Host::new();
        // A link-local address that is still probed for shows up a second later.
        host.run(["sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0"]);
        let node = Self { host, runtime: Runtime::new([bin_dir()], "/var/lib/cni") };
        fs::create_dir(node.conf_dir()).unwrap();
        for (index, network) in networks.iter().enumerate() {
            let name = format!("{index}0-{}.conflist", network["name"].as_str().unwrap());
            fs::write(node.conf_dir().join(name), network.to_string()).unwrap();
        }
        node
    }

    pub(crate) fn conf_dir(&self) -> PathBuf {
        self.host.temp_dir().join("net.d")
    }

    pub(crate) fn list(&self, network: &str) -> NetworkList {
        NetworkList::find_in(self.conf_dir(), network).unwrap()
    }

    /// A container that is attached to a network as `eth0`, and what ADD answered.
    pub(crate) fn attach(&self, network: &str, name: &str) -> (Container, Value) {
        let container = self.host.container(name);
        let result = self.add(network, &attachment(&container));
        (container, result)
    }

    pub(crate) fn add(&self, network: &str, attachment: &Attachment) -> Value {
        self.runtime.add(&self.list(network), attachment).unwrap()
    }

    pub(crate) fn del(&self, network: &str, attachment: &Attachment) {
        self.runtime.del(&self.list(network), attachment).unwrap();
    }

    /// Runs the tool.
    pub(crate) fn tool(&self, words: &[&str]) -> Finished {
        self.tool_of(&bin_dir(), words)
    }

    /// Runs it where the plugins are in this folder.
    fn tool_of(&self, plugins: &Path, words: &[&str]) -> Finished {
        let tool = tool();
        let folders = format!("CNI_PATH={}", plugins.display());
        let lists = format!("NETCONFPATH={}", self.conf_dir().display());
        let mut command = vec!["env", folders.as_str(), lists.as_str(), &tool];
        command.extend(words);
        self.host.finish(command)
    }

    /// Runs a command of it, whose answer is JSON, and measures it.
    pub(crate) fn measured(&self, words: &str) -> (Answer, Usage) {
        let script = self.host.temp_dir().join("measured");
        let (tool, lists) = (tool(), self.conf_dir());
        let text =
            format!("#!/bin/sh\nexec {tool} {words} --json --conf-dir {}\n", lists.display());
        write_program(&script, &text);
        Call::of(script).measured()
    }

    /// What it prints as JSON; fails the test unless the exit status is `status`.
    #[track_caller]
    pub(crate) fn json(&self, words: &[&str], status: i32) -> Value {
        let finished = self.tool(&[words, &["--json"]].concat());
        assert_eq!(finished.status, Some(status), "{finished}");
        let value: Value = serde_json::from_slice(&finished.stdout).unwrap();
        assert_eq!(value["version"], 1, "{finished}");
        value
    }

    /// What it prints as text; fails the test unless the exit status is `status`.
    #[track_caller]
    pub(crate) fn text(&self, words: &[&str], status: i32) -> String {
        self.text_of(&bin_dir(), words, status)
    }

    /// The same where the plugins are in this folder.
    #[track_caller]
    pub(crate) fn text_of(&self, plugins: &Path, words: &[&str], status: i32) -> String {
        let finished = self.tool_of(plugins, words);
        assert_eq!(finished.status, Some(status), "{finished}");
        String::from_utf8(finished.stdout).unwrap()
    }

    /// The attachments that `ls` shows of a network.
    #[track_caller]
    pub(crate) fn listed(&self, network: &str) -> Vec<Value> {
        let listing = self.json(&["ls", network], 0);
        listing["networks"][0]["attachments"].as_array().unwrap().clone()
    }

    /// What `ls` shows of a container; fails the test unless that is one line.
    #[track_caller]
    pub(crate) fn shown(&self, network: &str, container: &str) -> Value {
        let mut listed = self.listed(network);
        listed.retain(|one| one["container"] == container);
        assert_eq!(listed.len(), 1, "{listed:#?}");
        listed.remove(0)
    }
}

pub(crate) fn attachment(container: &Container) -> Attachment {
    Attachment::new(container.name(), container.path().to_str().unwrap())
}

/// The executable that is tested: the one beside the plugins, where there is one.
pub(crate) fn tool() -> String {
    let beside = bin_dir().join("causeway");
    if beside.is_file() {
        return beside.display().to_string();
    }
    env!("CARGO_BIN_EXE_causeway").to_owned()
}

/// The file of an address.
pub(crate) fn lease(network: &str, address: &str) -> PathBuf {
    PathBuf::from("/var/lib/cni/networks").join(network).join(address)
}

/// A call of a plugin of another suite, with its own configuration.
pub(crate) fn call_of(folder: &str, plugin: &str, command: &str, container: &Container) -> Call {
    let program = PathBuf::from(folder).join(plugin);
    Call::of(program)
        .command(command)
        .container_id(container.name())
        .netns(container)
        .ifname("eth0")
        .env("CNI_PATH", folder)
}

/// What another plugin answered, which must have succeeded.
#[track_caller]
pub(crate) fn succeeded(answer: &Answer) -> Value {
    answer.expect_success().json()
}
