//! CHECK finds what is broken, and names it.

use serde_json::{Value, json};
use testsupport::Container;

use crate::node::{Node, assert_says, config, host_end, with};

fn keys() -> Value {
    config(
        json!({"cniVersion": "1.1.0", "isDefaultGateway": true, "hairpinMode": true, "portIsolation": true}),
    )
}

/// Attaches, breaks something (`HOSTEND` stands for the host end's name), and expects CHECK to say
/// all of `parts`.
fn finds(lines: &[&str], parts: &[&str]) {
    let node = Node::giving(&["10.1.0.2/16", "fd00:1::2/64"]);
    let blue = node.host.container("blue");
    let result = attached(&node, &blue);
    let end = host_end(&result);
    for line in lines {
        let line = line.replace("HOSTEND", &end);
        match line.strip_prefix("in blue: ") {
            Some(inside) => blue.run(inside.split(' ').collect::<Vec<_>>()),
            None => node.host.run(line.split(' ').collect::<Vec<_>>()),
        };
    }
    let message = node.check(&blue, &keys(), &result).expect_error(102);
    let parts: Vec<String> = parts.iter().map(|part| part.replace("HOSTEND", &end)).collect();
    assert_says(&message, &parts.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(node.calls(), ["CHECK blue eth0"], "the IPAM plugin has faults of its own to name");
}

/// An attachment with a route of its own, in order.
fn attached(node: &Node, blue: &Container) -> Value {
    let result = json!({
        "cniVersion": "1.1.0",
        "ips": [{"address": "10.1.0.2/16"}, {"address": "fd00:1::2/64"}],
        "routes": [
            {"dst": "10.9.0.0/16", "gw": "10.1.0.7"}, {"dst": "10.9.0.0/16", "gw": "10.1.0.8"},
            {"dst": "10.8.0.0/16", "table": 1000, "priority": 7},
            {"dst": "10.7.0.0/16", "scope": 253},
            {"dst": "fd00:9::/64", "gw": "fd00:1::9", "priority": 7},
            {"dst": "fd00:8::/64", "gw": "fd00:1::8"}, {"dst": "fd00:8::/64", "gw": "fd00:1::9"},
        ],
    });
    node.answer(&result);
    let result = node.add(blue, &keys());
    node.calls();
    node.check(blue, &keys(), &result).expect_silent_success();
    assert_eq!(node.calls(), ["CHECK blue eth0"]);
    result
}

#[test]
fn the_bridge_gone() {
    finds(&["ip link delete br0"], &["bridge \"br0\" is gone"]);
}

#[test]
fn the_bridge_another_one() {
    let lines = ["ip link delete br0", "ip link add br0 up type bridge"];
    finds(&lines, &["\"br0\"", "MAC address"]);
    let lines = ["ip link delete br0", "ip link add br0 type veth peer other"];
    finds(&lines, &["\"br0\" is not a bridge but \"veth\""]);
}

#[test]
fn the_bridge_down() {
    finds(&["ip link set br0 down"], &["bridge \"br0\" is down"]);
}

#[test]
fn the_port_on_another_bridge() {
    let lines = ["ip link add br1 type bridge", "ip link set HOSTEND master br1"];
    finds(&lines, &["\"HOSTEND\" is not a port of \"br0\""]);
    finds(&["ip link set HOSTEND nomaster"], &["\"HOSTEND\" is not a port of \"br0\""]);
}

#[test]
fn the_port_without_its_flags() {
    finds(&["bridge link set dev HOSTEND hairpin off"], &["\"HOSTEND\"", "hairpin"]);
    finds(&["bridge link set dev HOSTEND isolated off"], &["\"HOSTEND\"", "isolated"]);
}

#[test]
fn the_port_down() {
    finds(&["ip link set HOSTEND down"], &["host interface \"HOSTEND\" is down"]);
}

#[test]
fn the_port_with_another_name_or_mac() {
    let lines = ["ip link set HOSTEND down", "ip link set HOSTEND name vethx"];
    finds(&lines, &["\"vethx\"", "prevResult"]);
    finds(
        &["ip link set HOSTEND address 02:00:00:00:00:07"],
        &["\"HOSTEND\"", "02:00:00:00:00:07"],
    );
}

#[test]
fn the_container_interface_gone_or_down() {
    finds(&["ip link delete HOSTEND"], &["container interface \"eth0\" is gone"]);
    finds(&["in blue: ip link set eth0 down"], &["container interface \"eth0\" is down"]);
}

#[test]
fn the_container_interface_another_one() {
    let lines = ["ip link delete HOSTEND", "in blue: ip link add eth0 type bridge"];
    finds(&lines, &["\"eth0\" is no veth"]);
}

#[test]
fn the_containers_mac() {
    let line = "in blue: ip link set eth0 address 02:00:00:00:00:07";
    finds(&[line], &["\"eth0\"", "02:00:00:00:00:07"]);
}

#[test]
fn an_address_gone() {
    let line = "in blue: ip address delete 10.1.0.2/16 dev eth0";
    finds(&[line], &["address 10.1.0.2/16 is not on interface \"eth0\""]);
    let line = "in blue: ip address delete fd00:1::2/64 dev eth0";
    finds(&[line], &["address fd00:1::2/64 is not on interface \"eth0\""]);
    let lines = [
        "in blue: ip address delete fd00:1::2/64 dev eth0",
        "in blue: ip address add fd00:1::2/96 dev eth0",
    ];
    finds(&lines, &["fd00:1::2/64"]);
}

#[test]
fn a_route_gone() {
    for (line, parts) in [
        ("ip route delete default", ["0.0.0.0/0", "10.1.0.1"]),
        ("ip -6 route delete default", ["::/0", "fd00:1::1"]),
        ("ip route delete 10.9.0.0/16", ["10.9.0.0/16", "10.1.0.7"]),
        ("ip route replace 10.9.0.0/16 via 10.1.0.7", ["10.9.0.0/16", "10.1.0.8"]),
        ("ip route delete 10.8.0.0/16 table 1000", ["10.8.0.0/16", "eth0"]),
        ("ip route delete 10.7.0.0/16", ["10.7.0.0/16", "eth0"]),
        ("ip route delete fd00:9::/64", ["fd00:9::/64", "fd00:1::9"]),
        ("ip route delete fd00:8::/64 via fd00:1::8 dev eth0", ["fd00:8::/64", "fd00:1::8"]),
    ] {
        finds(&[&format!("in blue: {line}")], &parts);
    }
}

#[test]
fn a_route_in_another_table_or_of_another_priority_is_another_route() {
    let moved = [
        "in blue: ip route delete 10.8.0.0/16 table 1000 metric 7",
        "in blue: ip route add 10.8.0.0/16 via 10.1.0.1 table 1000 metric 8",
    ];
    finds(&moved, &["10.8.0.0/16"]);
    let moved = [
        "in blue: ip route delete 10.8.0.0/16 table 1000 metric 7",
        "in blue: ip route add 10.8.0.0/16 via 10.1.0.1 metric 7",
    ];
    finds(&moved, &["10.8.0.0/16"]);
    let moved =
        ["in blue: ip route delete default", "in blue: ip route add default via 10.1.0.1 table 77"];
    finds(&moved, &["0.0.0.0/0"]);
}

#[test]
fn the_bridge_no_more_promiscuous() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let keys = config(json!({"promiscMode": true}));
    let result = node.add(&blue, &keys);
    node.check(&blue, &keys, &result).expect_silent_success();
    node.host.run(["ip", "link", "set", "br0", "promisc", "off"]);
    let message = node.check(&blue, &keys, &result).expect_error(102);
    assert_says(&message, &["\"br0\" is not promiscuous"]);
}

#[test]
fn what_the_ipam_plugin_misses() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let result = node.add(&blue, &keys());
    let script = "#!/bin/sh\necho '{\"code\":102,\"msg\":\"no lease for 10.1.0.2\"}'\nexit 1\n";
    node.write_ipam(script);
    let message = node.check(&blue, &keys(), &result).expect_error(102);
    assert_eq!(message, "no lease for 10.1.0.2");
}

#[test]
fn another_sandbox_than_the_results() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let (blue, red) = (node.host.container("blue"), node.host.container("red"));
    let result = node.add(&blue, &keys());
    let keys = with(&keys(), &json!({"prevResult": result}));
    let answer = node.call("CHECK", &blue).netns(&red).config(&keys).run();
    assert_says(&answer.expect_error(102), &["/run/netns/blue", "/run/netns/red"]);
    let gone = node.call("CHECK", &blue).netns_path("/run/netns/gone").config(&keys).run();
    assert_says(&gone.expect_error(8), &["/run/netns/gone"]);
}

#[test]
fn no_result_to_compare_with() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    node.add(&blue, &keys());
    let message = node.run("CHECK", &blue, &keys()).expect_error(7);
    assert_eq!(message, "Required prevResult missing");
}

#[test]
fn forwarding_switched_off() {
    finds(&["sysctl -qw net.ipv4.ip_forward=0"], &["net.ipv4.ip_forward is 0"]);
    finds(&["sysctl -qw net.ipv6.conf.all.forwarding=0"], &["net.ipv6.conf.all.forwarding is 0"]);
}

#[test]
fn the_gateway_address_gone_or_replaced() {
    let gone = ["ip address del 10.1.0.1/16 dev br0"];
    finds(&gone, &["gateway address 10.1.0.1/16 is not on \"br0\""]);
    let replaced = ["ip address flush dev br0", "ip address add 10.2.0.1/16 dev br0"];
    finds(&replaced, &["gateway address 10.1.0.1/16 is not on \"br0\""]);
}

#[test]
fn every_fault_is_named() {
    let node = Node::giving(&["10.1.0.2/16", "fd00:1::2/64"]);
    let blue = node.host.container("blue");
    let result = attached(&node, &blue);
    let script = "#!/bin/sh\necho '{\"code\":102,\"msg\":\"no lease for 10.1.0.2\"}'\nexit 1\n";
    node.write_ipam(script);
    blue.run(["ip", "route", "del", "10.8.0.0/16", "table", "1000"]);
    blue.run(["ip", "address", "del", "fd00:1::2/64", "dev", "eth0"]);
    node.host.run(["ip", "link", "set", "br0", "promisc", "on"]);
    node.host.run(["sysctl", "-qw", "net.ipv4.ip_forward=0"]);
    let answer = node.check(&blue, &keys(), &result);
    let said = format!("{}; {}", answer.expect_error(102), answer.details());
    assert_says(
        &said,
        &[
            "address fd00:1::2/64 is not on",
            "route to 10.8.0.0/16",
            "net.ipv4.ip_forward is 0",
            "no lease for 10.1.0.2",
        ],
    );
}
