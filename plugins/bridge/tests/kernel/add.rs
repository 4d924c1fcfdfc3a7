//! ADD, DEL and CHECK as every caller makes them: versions, families, addresses.

use serde_json::{Value, json};
use testsupport::{Container, golden};

use crate::node::{Node, config, forwarding, host_end, ips, with};

const VERSIONS: [&str; 7] = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// The result with what differs from run to run replaced by words.
fn stable(mut result: Value) -> String {
    let interfaces = result.get_mut("interfaces").and_then(Value::as_array_mut);
    for (interface, mac) in interfaces.into_iter().flatten().zip(["BRIDGE-MAC", "HOST-MAC", "MAC"])
    {
        assert_eq!(interface["mac"].as_str().unwrap().len(), 17, "{interface}");
        interface["mac"] = json!(mac);
    }
    format!("{result:#}")
}

/// ADD, the result compared with a golden file, pings, CHECK, DEL, nothing left.
fn goes_through(version: &str, fact: &str, addresses: &[&str], gateways: &[&str]) {
    let node = Node::giving(addresses);
    let config = config(json!({"cniVersion": version, "isDefaultGateway": true}));
    let blue = node.host.container("blue");
    let before = node.snapshot(&blue);
    let result = node.add(&blue, &config);
    golden::assert_matches(
        &format!("testdata/bridge/result/{version}/{fact}.json"),
        &stable(result.clone()),
    );
    for gateway in gateways {
        assert!(blue.pings(gateway), "{version}: no answer from {gateway}\n{}", blue.state());
    }
    if version >= "0.4.0" {
        node.check(&blue, &config, &result).expect_silent_success();
    }
    assert_eq!(node.calls()[0], "ADD blue eth0");
    node.del(&blue, &config);
    assert_eq!(node.calls().last().unwrap(), "DEL blue eth0");
    node.host.run(["ip", "link", "delete", "br0"]);
    node.host.run(["sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0"]);
    assert_eq!(node.snapshot(&blue), before);
}

#[test]
fn ipv4_in_every_version() {
    for version in VERSIONS {
        goes_through(version, "ipv4", &["10.1.0.2/16"], &["10.1.0.1"]);
    }
}

#[test]
fn ipv6_in_every_version() {
    for version in VERSIONS {
        goes_through(version, "ipv6", &["fd00:1::2/64"], &["fd00:1::1"]);
    }
}

#[test]
fn dual_stack_in_every_version() {
    let gateways = ["10.1.0.1", "fd00:1::1"];
    for version in VERSIONS {
        goes_through(version, "dual-stack", &["10.1.0.2/16", "fd00:1::2/64"], &gateways);
    }
}

#[test]
fn several_addresses_of_a_family_from_0_3_0_on() {
    let addresses = ["10.1.0.2/16", "10.2.0.2/16", "fd00:1::2/64", "fd00:2::2/64"];
    let gateways = ["10.1.0.1", "10.2.0.1", "fd00:1::1", "fd00:2::1"];
    for version in &VERSIONS[2..] {
        goes_through(version, "several-addresses", &addresses, &gateways);
    }
}

#[test]
fn the_ipam_plugin_gets_the_same_bytes_and_the_same_variables() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let text = format!("{:#}\n\n", config(json!({"x": "kept as it is"})));
    let call = node.call("ADD", &blue).args("IgnoreUnknown=1;X=y").stdin(text.as_str());
    node.write_ipam(
        "#!/bin/sh\nd=${0%/*}\ncat > $d/stdin.$CNI_COMMAND\nenv > $d/env\necho noise >&2\ncat $d/result\n",
    );
    let answer = call.run();
    answer.expect_success();
    assert_eq!(answer.stderr(), "noise\n");
    let seen = std::fs::read_to_string(node.ipam_dir().join("stdin.ADD")).unwrap();
    assert_eq!(seen, text);
    let variables = std::fs::read_to_string(node.ipam_dir().join("env")).unwrap();
    for line in ["CNI_COMMAND=ADD", "CNI_CONTAINERID=blue", "CNI_ARGS=IgnoreUnknown=1;X=y"] {
        assert!(variables.lines().any(|seen| seen == line), "{line} is not in\n{variables}");
    }
}

#[test]
fn two_containers_reach_each_other_and_a_neighbour_outside() {
    let node = Node::giving(&[]);
    let config = config(json!({"isDefaultGateway": true}));
    let names = ["blue", "red"];
    let containers = names.map(|name| node.host.container(name));
    let outside = node.host.outside();
    for (container, number) in containers.iter().zip(2..) {
        let addresses = [format!("10.1.0.{number}/16"), format!("fd00:1::{number}/64")];
        node.answer_to(container.name(), &ips(&addresses.each_ref().map(String::as_str)));
        node.add(container, &config);
    }
    let [blue, red] = &containers;
    let pings = |from: &Container, to: &str| assert!(from.pings(to), "{to}\n{}", from.state());
    pings(blue, "10.1.0.3");
    pings(red, "10.1.0.2");
    pings(blue, "fd00:1::3");
    outside.learn_route("10.1.0.0/16");
    outside.learn_route("fd00:1::/64");
    pings(&outside, "10.1.0.2");
    pings(blue, "203.0.113.2");
    pings(blue, "2001:db8:ffff::2");
    assert_eq!(forwarding(&node.host), "1\n1\n");
}

#[test]
fn without_gateway_nothing_of_the_host_is_changed_but_the_bridge() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let result = node.add(&blue, &config(json!({})));
    assert_eq!(result["routes"], Value::Null);
    assert_eq!(result["ips"], json!([{"interface": 2, "address": "10.1.0.2/16"}]));
    assert_eq!(forwarding(&node.host), "0\n0\n");
    assert_eq!(node.host.run(["ip", "-4", "-o", "address", "show", "dev", "br0"]), "");
}

#[test]
fn layer_2_is_a_cable_with_both_ends_up() {
    let node = Node::giving(&[]);
    for ipam in [Value::Null, json!({}), json!({"type": ""})] {
        let keys = with(&config(json!({})), &json!({"ipam": ipam, "isGateway": true}));
        let blue = node.host.container("blue");
        let result = node.add(&blue, &keys);
        assert_eq!(result["ips"], Value::Null, "{result}");
        blue.run(["ip", "address", "add", "10.9.0.2/24", "dev", "eth0"]);
        node.host.run(["ip", "address", "replace", "10.9.0.1/24", "dev", "br0"]);
        assert!(blue.pings("10.9.0.1"));
        let accept_ra = ["sysctl", "-n", "net.ipv6.conf.eth0.accept_ra"];
        assert_eq!(blue.run(accept_ra), "1\n", "left as the kernel has it");
        node.check(&blue, &keys, &result).expect_silent_success();
        node.del(&blue, &keys);
        assert!(!node.has_link(&host_end(&result)));
    }
    assert!(node.calls().is_empty());
}

#[test]
fn a_disabled_container_interface_is_there_and_down() {
    let node = Node::giving(&[]);
    let keys = config(json!({"ipam": null, "disableContainerInterface": true}));
    let blue = node.host.container("blue");
    let result = node.add(&blue, &keys);
    let link = blue.run(["ip", "-o", "link", "show", "eth0"]);
    assert!(link.contains("state DOWN") && !link.contains("UP"), "{link}");
    node.check(&blue, &keys, &result).expect_silent_success();
    node.del(&blue, &keys);
    assert!(!node.has_link(&host_end(&result)));
}
