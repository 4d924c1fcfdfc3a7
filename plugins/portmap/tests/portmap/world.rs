//! A host with a neighbour outside, and containers that `bridge` attaches and `portmap` maps ports to.

use serde_json::{Value, json};
use testsupport::{Answer, Call, Container, Host, Outside};

/// The host's addresses, as the neighbour outside reaches them.
pub(crate) const HOST: &str = "203.0.113.1";
pub(crate) const HOST_6: &str = "[2001:db8:ffff::1]";
/// The neighbour's.
pub(crate) const OUTSIDE: &str = "203.0.113.2";
pub(crate) const OUTSIDE_6: &str = "2001:db8:ffff::2";

/// What `backend` may be.
pub(crate) const BACKENDS: [&str; 2] = ["nftables", "iptables"];

pub(crate) struct World {
    pub(crate) host: Host,
    pub(crate) outside: Outside,
    /// Keys of every configuration.
    keys: Value,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(json!({}))
    }

    /// With keys that stand in every configuration.
    pub(crate) fn with(keys: Value) -> Self {
        let host = Host::new();
        let outside = host.outside();
        Self { host, outside, keys }
    }

    /// The same for each backend, one after the other.
    pub(crate) fn for_each_backend(test: impl Fn(&Self)) {
        for backend in BACKENDS {
            test(&Self::with(json!({"backend": backend})));
        }
    }

    pub(crate) fn is_of_iptables(&self) -> bool {
        self.keys["backend"] == "iptables"
    }

    /// A container on bridge `cni<number>`, whose subnets are 10.<number>.0.0/24 and
    /// fd00:<number>::/64, attached as the first plugin of a chain does.
    pub(crate) fn pod(&self, name: &str, number: u8) -> Pod {
        let container = self.host.container(name);
        let config = json!({
            "cniVersion": "1.1.0", "name": "net", "type": "bridge", "bridge": format!("cni{number}"),
            "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true,
            "ipam": {"type": "host-local", "ranges": [
                [{"subnet": format!("10.{number}.0.0/24")}],
                [{"subnet": format!("fd00:{number}::/64")}],
            ]},
        });
        let call = Call::new("bridge").command("ADD").container_id(name).ifname("eth0");
        let result = call.netns(&container).config(config).run().expect_success().json();
        Pod { name: name.to_owned(), container, result, keys: self.keys.clone() }
    }

    pub(crate) fn run(&self, line: &str) -> String {
        self.host.run(line.split(' ').collect::<Vec<_>>())
    }

    /// The rules of iptables, of both IP versions.
    pub(crate) fn iptables(&self) -> String {
        let saves = ["iptables-save -t nat", "ip6tables-save -t nat"].map(|line| self.run(line));
        let lines = saves.iter().flat_map(|save| save.lines());
        let lines = lines.filter(|line| line.starts_with("-A") || line.starts_with(":CNI"));
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// Everything in the packet filter.
    pub(crate) fn ruleset(&self) -> String {
        self.run("nft --stateless list ruleset")
    }
}

/// An attached container.
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) container: Container,
    pub(crate) result: Value,
    keys: Value,
}

impl Pod {
    /// Its IPv4 address.
    pub(crate) fn ip(&self) -> String {
        let address = self.result["ips"][0]["address"].as_str().unwrap();
        address.split('/').next().unwrap().to_owned()
    }

    /// The configuration of `portmap` as a runtime sends it, with these keys besides.
    pub(crate) fn config(&self, mappings: &Value, keys: Value) -> Value {
        let mut config = json!({
            "cniVersion": "1.1.0", "name": "net", "type": "portmap",
            "capabilities": {"portMappings": true},
            "runtimeConfig": {"portMappings": mappings},
            "prevResult": self.result,
        });
        for keys in [&self.keys, &keys] {
            config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        }
        config
    }

    pub(crate) fn call(&self, command: &str, config: &Value) -> Call {
        let call = Call::new("portmap").command(command).container_id(&self.name).ifname("eth0");
        call.netns(&self.container).config(config)
    }

    pub(crate) fn run(&self, command: &str, mappings: &Value) -> Answer {
        self.call(command, &self.config(mappings, json!({}))).run()
    }

    /// ADD, which has to succeed and print what it was given.
    #[track_caller]
    pub(crate) fn map(&self, mappings: &Value) {
        let answer = self.run("ADD", mappings);
        assert_eq!(answer.expect_success().json(), self.result);
    }

    #[track_caller]
    pub(crate) fn unmap(&self, mappings: &Value) {
        self.run("DEL", mappings).expect_silent_success();
    }
}

/// One mapping of TCP and one of UDP, as podman sends them.
pub(crate) fn both(host_port: u16, container_port: u16) -> Value {
    let one = |protocol: &str| json!({"hostPort": host_port, "containerPort": container_port, "protocol": protocol});
    json!([one("tcp"), one("udp")])
}
