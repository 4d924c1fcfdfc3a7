//! Routes, as `ip route` shows them in the container.

use serde_json::{Value, json};
use testsupport::Container;

use crate::node::{Node, config};

/// ADD with these routes of the IPAM: node and container.
fn with_routes(keys: Value, routes: Value) -> (Node, Container) {
    let node = Node::giving(&[]);
    node.answer(&json!({
        "cniVersion": "1.1.0",
        "ips": [{"address": "10.1.0.2/16"}, {"address": "fd00:1::2/64"}],
        "routes": routes,
    }));
    let blue = node.host.container("blue");
    let mut keys = config(keys);
    keys["cniVersion"] = json!("1.1.0");
    let result = node.add(&blue, &keys);
    node.check(&blue, &keys, &result).expect_silent_success();
    (node, blue)
}

/// `ip route show` with spaces made single.
fn shown(blue: &Container, words: &str) -> String {
    let text = blue.run(format!("ip {words}").split(' ').collect::<Vec<_>>());
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn metrics_priority_table_and_scope() {
    let (_node, blue) = with_routes(
        json!({"isGateway": true}),
        json!([
            {"dst": "10.20.0.0/16", "mtu": 1300, "advmss": 1200},
            {"dst": "10.30.0.0/16", "gw": "10.1.0.7", "priority": 50, "table": 1000},
            {"dst": "10.40.0.0/16", "scope": 253},
            {"dst": "10.50.0.9/16"},
            {"dst": "fd00:20::/64", "mtu": 1300, "advmss": 1200, "priority": 7},
            {"dst": "fd00:30::/64", "gw": "fd00:1::7", "table": 200},
        ]),
    );
    let route = |words: &str| shown(&blue, &format!("route show {words}"));
    assert_eq!(route("10.20.0.0/16"), "10.20.0.0/16 via 10.1.0.1 dev eth0 mtu 1300 advmss 1200");
    assert_eq!(route("table 1000"), "10.30.0.0/16 via 10.1.0.7 dev eth0 metric 50");
    assert_eq!(route("10.40.0.0/16"), "10.40.0.0/16 dev eth0 scope link");
    assert_eq!(route("10.50.0.0/16"), "10.50.0.0/16 via 10.1.0.1 dev eth0");
    let six = |words: &str| shown(&blue, &format!("-6 route show {words}"));
    let expected = "fd00:20::/64 via fd00:1::1 dev eth0 metric 7 mtu 1300 advmss 1200 pref medium";
    assert_eq!(six("fd00:20::/64"), expected);
    let expected = "fd00:30::/64 via fd00:1::7 dev eth0 metric 1024 pref medium";
    assert_eq!(six("table 200"), expected);
}

#[test]
fn several_gateways_are_one_route_with_several_hops() {
    let (_node, blue) = with_routes(
        json!({"isGateway": true}),
        json!([
            {"dst": "10.20.0.0/16", "gw": "10.1.0.7"}, {"dst": "10.20.0.0/16", "gw": "10.1.0.8"},
            {"dst": "fd00:20::/64", "gw": "fd00:1::7"}, {"dst": "fd00:20::/64", "gw": "fd00:1::8"},
        ]),
    );
    let four = shown(&blue, "route show 10.20.0.0/16");
    let expected = "10.20.0.0/16\nnexthop via 10.1.0.7 dev eth0 weight 1\nnexthop via 10.1.0.8 dev eth0 weight 1";
    assert_eq!(four, expected);
    let six = shown(&blue, "-6 route show fd00:20::/64");
    let expected = "fd00:20::/64 metric 1024 pref medium\nnexthop via fd00:1::7 dev eth0 weight 1\nnexthop via fd00:1::8 dev eth0 weight 1";
    assert_eq!(six, expected);
}

#[test]
fn a_default_gateway_is_one_default_route_of_each_family() {
    let (_node, blue) = with_routes(json!({"isDefaultGateway": true}), json!([]));
    assert_eq!(shown(&blue, "route show default"), "default via 10.1.0.1 dev eth0");
    let six = shown(&blue, "-6 route show default");
    assert_eq!(six, "default via fd00:1::1 dev eth0 metric 1024 pref medium");
}

#[test]
fn a_default_route_of_the_ipam_without_gateway_stays_the_only_one() {
    let routes = json!([{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]);
    let (_node, blue) = with_routes(json!({"isDefaultGateway": true}), routes);
    assert_eq!(shown(&blue, "route show default"), "default via 10.1.0.1 dev eth0");
    let six = shown(&blue, "-6 route show default");
    assert_eq!(six, "default via fd00:1::1 dev eth0 metric 1024 pref medium");
}

#[test]
fn a_route_that_is_there_twice_is_added_once() {
    let routes = json!([{"dst": "10.20.0.0/16"}, {"dst": "10.20.0.0/16", "gw": "10.1.0.1"}]);
    let (_node, blue) = with_routes(json!({"isGateway": true}), routes);
    let found = shown(&blue, "route show 10.20.0.0/16");
    assert_eq!(found, "10.20.0.0/16 via 10.1.0.1 dev eth0");
}

#[test]
fn without_gateways_a_route_is_on_the_link() {
    let routes = json!([{"dst": "10.20.0.0/16"}, {"dst": "fd00:20::/64"}]);
    let (_node, blue) = with_routes(json!({}), routes);
    assert_eq!(shown(&blue, "route show 10.20.0.0/16"), "10.20.0.0/16 dev eth0 scope link");
    let six = shown(&blue, "-6 route show fd00:20::/64");
    assert_eq!(six, "fd00:20::/64 dev eth0 metric 1024 pref medium");
}
