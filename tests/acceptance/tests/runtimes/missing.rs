//! DEL of the chained plugins when anything is missing or wrong: it succeeds, as a runtime calls no plugin
//! behind one that fails, and removes what is there.

use std::thread;

use serde_json::{Value, json};
use testsupport::{Call, Host};

use crate::node::Node;

/// A chained plugin, its keys, and one of them with a value that ADD refuses.
fn cases() -> Vec<(&'static str, Value, Value)> {
    let ports = json!({"portMappings": [
        {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
        {"hostPort": 5353, "containerPort": 53, "protocol": "udp"},
    ]});
    vec![
        ("portmap", json!({"runtimeConfig": ports}), json!({"snat": "perhaps"})),
        (
            "portmap",
            json!({"runtimeConfig": ports, "backend": "iptables"}),
            json!({"runtimeConfig": {"portMappings": [{"hostPort": 0}]}}),
        ),
        ("firewall", json!({}), json!({"ingressPolicy": "closed"})),
        (
            "firewall",
            json!({"ingressPolicy": "isolated", "backend": "nftables"}),
            json!({"iptablesAdminChainName": "-F"}),
        ),
        ("firewall", json!({"backend": "iptables"}), json!({"backend": 7})),
        (
            "bandwidth",
            json!({"runtimeConfig": {"bandwidth": {
                "ingressRate": 8_000_000, "ingressBurst": 8_000_000,
                "egressRate": 8_000_000, "egressBurst": 8_000_000,
            }}}),
            json!({"egressRate": 5}),
        ),
        ("tuning", json!({"mtu": 1400, "promisc": true}), json!({"mtu": "large"})),
    ]
}

/// What is missing when DEL comes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Missing {
    Nothing,
    /// `CNI_NETNS` is empty; the namespace lives.
    Netns,
    /// The namespace is gone.
    Container,
    PrevResult,
    /// A key has a value that ADD refuses, and `CNI_ARGS` are none.
    ValidKeys,
    /// No program is found: neither iptables nor nft nor any other.
    Programs,
    /// Somebody flushed the packet filter.
    Tables,
    /// All of these.
    Everything,
}

impl Missing {
    const ALL: [Self; 8] = [
        Self::Nothing,
        Self::Netns,
        Self::Container,
        Self::PrevResult,
        Self::ValidKeys,
        Self::Programs,
        Self::Tables,
        Self::Everything,
    ];

    fn is(self, what: Self) -> bool {
        self == what || self == Self::Everything
    }
}

fn config(plugin: &str, keys: &Value, previous: Option<&Value>) -> Value {
    let mut config = json!({"cniVersion": "1.0.0", "name": "net", "type": plugin});
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    if let Some(previous) = previous {
        config["prevResult"] = previous.clone();
    }
    config
}

/// Where the packet filter, the interface's own settings and kept files name the container or one of
/// its addresses.
fn left(host: &Host) -> Vec<String> {
    let mut lines = Vec::new();
    for command in [
        "nft list ruleset",
        "iptables-save",
        "ip6tables-save",
        "tc qdisc",
        "ip -oneline link show type ifb",
    ] {
        lines.extend(host.run(command.split(' ').collect::<Vec<_>>()).lines().map(str::to_owned));
    }
    let files = host.finish(["find", "/run/cni", "-name", "*lost*"]);
    lines.extend(String::from_utf8_lossy(&files.stdout).lines().map(str::to_owned));
    let names = |line: &String| {
        ["lost", "10.7.0.2", "fd07::2", "bwp"].iter().any(|word| line.contains(word))
    };
    lines.into_iter().filter(names).collect()
}

fn try_it((plugin, keys, wrong): &(&str, Value, Value), missing: Missing) {
    let node = Node::new();
    let mut container = node.host.container("blue");
    let call = |plugin: &str, command: &str, config: &Value| {
        let call = Call::new(plugin).command(command).container_id("lost").ifname("eth0");
        call.netns_path("/run/netns/blue").config(config)
    };
    let bridge = json!({"bridge": "cni0", "isGateway": true, "ipam": {
        "type": "host-local", "ranges": [[{"subnet": "10.7.0.0/24"}], [{"subnet": "fd07::/64"}]],
    }});
    let added = call("bridge", "ADD", &config("bridge", &bridge, None)).run();
    let result = added.expect_success().json();
    let before = container.state();
    let full = config(plugin, keys, Some(&result));
    call(plugin, "ADD", &full).run().expect_success();
    let changed = !left(&node.host).is_empty();
    assert!(changed, "{plugin} {keys}: all of this is for naught");

    let mut config = full.clone();
    if missing.is(Missing::PrevResult) {
        config.as_object_mut().unwrap().remove("prevResult");
    }
    if missing.is(Missing::ValidKeys) {
        config.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
    }
    let mut del = call(plugin, "DEL", &config);
    if missing.is(Missing::ValidKeys) {
        del = del.args("FOO");
    }
    if missing.is(Missing::Netns) {
        del = del.env("CNI_NETNS", "");
    }
    if missing.is(Missing::Container) {
        container.vanish();
    }
    if missing.is(Missing::Programs) {
        del = del.env("PATH", "/nowhere").env("CNI_PATH", "/nowhere");
    }
    if missing.is(Missing::Tables) {
        node.run("nft flush ruleset");
    }
    // As often as a runtime likes.
    for _ in 0..2 {
        let answer = del.run();
        let silent = answer.status() == Some(0) && answer.stdout().is_empty();
        assert!(silent, "{plugin} {keys}, {missing:?} missing: {answer}");
        assert_eq!(left(&node.host), Vec::<String>::new(), "{plugin} {keys}, {missing:?} missing");
    }
    if !missing.is(Missing::Container) && !missing.is(Missing::Netns) {
        assert_eq!(container.state(), before, "{plugin} {keys}, {missing:?} missing");
    }
}

#[test]
fn del_succeeds_and_removes_what_is_there() {
    let cases = cases();
    for case in &cases {
        for missing in Missing::ALL {
            // A host is a thread's.
            let tried = || try_it(case, missing);
            thread::scope(|scope| scope.spawn(tried).join().expect("see above"));
        }
    }
}

#[test]
fn del_of_what_never_was_succeeds() {
    let node = Node::new();
    let before = node.host.state() + &node.run("nft list ruleset");
    for (plugin, keys, wrong) in cases() {
        for keys in [keys, wrong, json!({})] {
            let config = config(plugin, &keys, None);
            let call = Call::new(plugin).command("DEL").container_id("lost").ifname("eth0");
            for netns in ["", "/run/netns/nothing"] {
                let answer = call.clone().env("CNI_NETNS", netns).config(&config).run();
                answer.expect_silent_success();
            }
        }
    }
    assert_eq!(node.host.state() + &node.run("nft list ruleset"), before);
}
