//! The default chain of runtimes, each plugin with all that leaves something behind.

use std::fs;

use serde_json::{Value, json};
use testsupport::{Call, Container, Host};

/// In their order.
pub(crate) const PLUGINS: [&str; 5] = ["bridge", "portmap", "firewall", "bandwidth", "tuning"];

/// What ADD of `tuning` sets and DEL does not set back, with the kernel's values.
const SYSCTLS: [(&str, &str); 2] =
    [("net/core/somaxconn", "4096"), ("net/ipv4/conf/eth0/arp_filter", "0")];

/// The host port of a container, in TCP and in UDP.
pub(crate) fn port(container: &str) -> u16 {
    if container == "green" { 8081 } else { 8080 }
}

/// The configuration of one of the plugins for a container with this port, behind `previous`.
pub(crate) fn config(plugin: &str, port: u16, previous: Option<&Value>) -> Value {
    let mut config = match plugin {
        "bridge" => json!({
            "bridge": "cni0", "isGateway": true, "ipMasq": true, "ipMasqBackend": "nftables",
            "hairpinMode": true,
            "ipam": {
                "type": "host-local",
                "ranges": [[{ "subnet": "10.1.2.0/24" }], [{ "subnet": "fd00:1::/64" }]],
                "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
            },
        }),
        "portmap" => json!({ "runtimeConfig": { "portMappings": [
            { "hostPort": port, "containerPort": 80, "protocol": "tcp" },
            { "hostPort": port, "containerPort": 53, "protocol": "udp", "hostIP": "127.0.0.1" },
        ] } }),
        "firewall" => json!({ "backend": "nftables", "ingressPolicy": "isolated" }),
        "bandwidth" => json!({ "runtimeConfig": { "bandwidth": {
            "ingressRate": 80_000_000, "ingressBurst": 4_294_967_295_u64,
            "egressRate": 80_000_000, "egressBurst": 4_294_967_295_u64,
        } } }),
        "tuning" => json!({
            "dataDir": "/run/kept", "mac": "02:00:00:00:00:0a", "mtu": 1400, "promisc": true,
            "allmulti": true, "txQLen": 77,
            "sysctl": { "net.core.somaxconn": "500", "net.ipv4.conf.IFNAME.arp_filter": "1" },
        }),
        other => panic!("{other} is not in the chain"),
    };
    config["cniVersion"] = "1.0.0".into();
    config["name"] = "net".into();
    config["type"] = plugin.into();
    if let Some(previous) = previous {
        config["prevResult"] = previous.clone();
    }
    config
}

/// ADD of these plugins, one after the other; what the last one answered.
pub(crate) fn attach(container: &Container, plugins: &[&str]) -> Value {
    let mut result = None;
    for plugin in plugins {
        let config = config(plugin, port(container.name()), result.as_ref());
        let call = Call::new(plugin).command("ADD").container_id(container.name());
        let answer = call.netns(container).ifname("eth0").config(config).run();
        result = Some(answer.expect_success().json());
    }
    result.expect("a chain has a plugin")
}

/// As if no program of iptables had ever run on the host.
pub(crate) fn remove_iptables(host: &Host) {
    for family in ["ip", "ip6"] {
        host.finish(["nft", "delete", "table", family, "filter"]);
    }
}

/// What the container has before an ADD, whose namespace the calling thread is in.
pub(crate) fn reset_sysctls() {
    for (name, value) in SYSCTLS {
        fs::write(format!("/proc/sys/{name}"), value)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
