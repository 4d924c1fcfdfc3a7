//! A host with a container that has an interface, and the calls of `tuning` for it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testsupport::{Call, Container, Host, executable};

pub(crate) const KEPT: &str = "/run/cni/tuning/c1_eth0.json";
pub(crate) const OWNER: &str = "/run/cni/tuning/.causeway/net/c1_eth0.json";

/// The host, and what is called.
pub(crate) struct Attachment {
    pub(crate) host: Host,
    pub(crate) container: Container,
    program: PathBuf,
}

impl Attachment {
    pub(crate) fn new() -> Self {
        Self::of(executable("tuning"))
    }

    /// The same for another executable.
    pub(crate) fn of(program: PathBuf) -> Self {
        let host = Host::new();
        let container = host.container("blue");
        let pair = "ip link add eth0 address 02:00:00:00:00:01 up type veth peer name peer0";
        container.run(pair.split(' ').collect::<Vec<_>>());
        container.run(["ip", "link", "set", "peer0", "up"]);
        Self { host, container, program }
    }

    /// What the plugins before it made.
    pub(crate) fn previous(&self) -> Value {
        json!({
            "cniVersion": "1.0.0",
            "interfaces": [
                {"name": "eth0", "mac": "02:00:00:00:00:09"},
                {"name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": self.container.path()},
            ],
            "ips": [{"address": "10.1.0.5/24", "interface": 1}],
        })
    }

    pub(crate) fn config(&self, keys: Value) -> Value {
        let mut config = json!({
            "cniVersion": "1.0.0", "name": "net", "type": "tuning", "prevResult": self.previous(),
        });
        config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        config
    }

    /// A call with the configuration that `keys` are added to.
    pub(crate) fn call(&self, command: &str, keys: Value) -> Call {
        self.call_with(&self.program, command, keys)
    }

    pub(crate) fn call_with(&self, program: &Path, command: &str, keys: Value) -> Call {
        let call = Call::of(program).command(command).container_id("c1").ifname("eth0");
        call.netns(&self.container).config(self.config(keys))
    }

    /// The interface, as `ip` shows it.
    pub(crate) fn link(&self) -> Value {
        let text = self.container.run(["ip", "-details", "-json", "link", "show", "eth0"]);
        let links: Value = serde_json::from_str(&text).unwrap();
        let link = &links[0];
        let has = |flag: &str| link["flags"].as_array().unwrap().contains(&json!(flag));
        json!({
            "mac": link["address"], "mtu": link["mtu"], "txQLen": link["txqlen"],
            "promisc": has("PROMISC"), "allmulti": has("ALLMULTI"),
        })
    }

    pub(crate) fn sysctl(&self, name: &str) -> String {
        self.container.run(["sysctl", "-n", name]).trim().to_owned()
    }

    pub(crate) fn kept(&self) -> String {
        fs::read_to_string(KEPT).unwrap()
    }

    #[track_caller]
    pub(crate) fn nothing_is_kept(&self) {
        let found = self.host.run(["find", "/run/cni/tuning", "-not", "-type", "d"]);
        assert_eq!(found, "");
    }
}

/// Every attribute, with a value that no new interface has.
pub(crate) fn every_attribute() -> Value {
    json!({"mac": "02:00:00:00:00:0a", "mtu": 1400, "promisc": true, "allmulti": true, "txQLen": 7})
}
