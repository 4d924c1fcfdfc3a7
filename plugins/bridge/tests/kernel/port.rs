//! The pair and its port: addresses, sizes, flags.

use serde_json::{Value, json};

use crate::node::{Node, assert_says, config, host_end, ips};

#[test]
fn the_mac_comes_from_the_nearest_of_three_sources() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let runtime = json!({"runtimeConfig": {"mac": "02:00:00:00:00:01"}, "args": {"cni": {"mac": "02:00:00:00:00:02"}}});
    let args = json!({"args": {"cni": {"mac": "02:00:00:00:00:02"}}});
    for (keys, mac) in [(runtime, "01"), (args, "02"), (json!({}), "03")] {
        let blue = node.host.container("blue");
        let keys = config(keys);
        let call = node.call("ADD", &blue).args("MAC=02:00:00:00:00:03;IgnoreUnknown=1");
        let result = call.config(&keys).run().expect_success().json();
        let mac = format!("02:00:00:00:00:{mac}");
        assert_eq!(result["interfaces"][2]["mac"], mac.as_str());
        let link = blue.run(["ip", "-o", "link", "show", "eth0"]);
        assert_says(&link, &[&format!("link/ether {mac}")]);
        node.check(&blue, &keys, &result).expect_silent_success();
        node.del(&blue, &keys);
    }
}

#[test]
fn without_a_source_macs_are_random_local_and_as_the_result_says() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let blue = node.host.container("blue");
        let result = node.add(&blue, &config(json!({})));
        let inside = blue.run(["cat", "/proc/net/dev"]);
        assert!(inside.contains("eth0"), "{inside}");
        for index in [1, 2] {
            let mac = result["interfaces"][index]["mac"].as_str().unwrap().to_owned();
            assert!(matches!(mac.as_bytes()[1], b'2' | b'6' | b'a' | b'e'), "{mac} is not local");
            let link = match index {
                1 => node.host.run(["ip", "-o", "link", "show", &host_end(&result)]),
                _ => blue.run(["ip", "-o", "link", "show", "eth0"]),
            };
            assert_says(&link, &[&format!("link/ether {mac}")]);
            assert!(!seen.contains(&mac));
            seen.push(mac);
        }
        node.del(&blue, &config(json!({})));
    }
}

#[test]
fn the_bridges_mac_stays_whatever_its_ports() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let result = node.add(&blue, &config(json!({"isGateway": true})));
    let mac = result["interfaces"][0]["mac"].as_str().unwrap();
    let line = "ip link add port0 address 00:00:00:00:00:01 master br0 type veth peer port1";
    node.host.run(line.split(' ').collect::<Vec<_>>());
    let link = node.host.run(["ip", "-o", "link", "show", "br0"]);
    assert_says(&link, &[&format!("link/ether {mac}")]);
}

#[test]
fn the_mac_of_a_bridge_made_by_others_stays_once_it_is_a_gateway() {
    let node = Node::giving(&["10.1.0.2/16"]);
    node.host.run(["ip", "link", "add", "br0", "type", "bridge"]);
    let blue = node.host.container("blue");
    let result = node.add(&blue, &config(json!({"isGateway": true})));
    let mac = result["interfaces"][0]["mac"].as_str().unwrap();
    let line = "ip link add port0 address 00:00:00:00:00:01 master br0 type veth peer port1";
    node.host.run(line.split(' ').collect::<Vec<_>>());
    let link = node.host.run(["ip", "-o", "link", "show", "br0"]);
    assert_says(&link, &[&format!("link/ether {mac}"), "UP"]);
    node.check(&blue, &config(json!({"isGateway": true})), &result).expect_silent_success();
}

#[test]
fn mtu_is_that_of_the_pair_and_of_a_bridge_that_is_made() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let (blue, red) = (node.host.container("blue"), node.host.container("red"));
    let mtu = |mtu: u32| config(json!({"cniVersion": "1.1.0", "mtu": mtu}));
    let result = node.add(&blue, &mtu(1400));
    let host = |name: &str| node.host.run(["ip", "-o", "link", "show", name]);
    let inside = blue.run(["ip", "-o", "link", "show", "eth0"]);
    for link in [host("br0"), host(&host_end(&result)), inside] {
        assert_says(&link, &[" mtu 1400 "]);
    }
    for interface in result["interfaces"].as_array().unwrap() {
        assert_eq!(interface["mtu"], 1400, "{interface}");
    }
    node.answer(&ips(&["10.1.0.3/16"]));
    let result = node.add(&red, &mtu(1300));
    assert_says(&red.run(["ip", "-o", "link", "show", "eth0"]), &[" mtu 1300 "]);
    assert_says(&host(&host_end(&result)), &[" mtu 1300 "]);
}

#[test]
fn flags_are_the_ports() {
    for (key, word) in [("hairpinMode", "hairpin on"), ("portIsolation", "isolated on")] {
        let node = Node::giving(&["10.1.0.2/16"]);
        let blue = node.host.container("blue");
        let mut keys = config(json!({}));
        let show =
            |result: &Value| node.host.run(["ip", "-d", "-o", "link", "show", &host_end(result)]);
        let result = node.add(&blue, &keys);
        assert!(!show(&result).contains(word));
        node.del(&blue, &keys);
        keys[key] = json!(true);
        let result = node.add(&blue, &keys);
        assert_says(&show(&result), &[word]);
        node.check(&blue, &keys, &result).expect_silent_success();
    }
}

#[test]
fn promiscuous_is_the_bridge() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let show = || node.host.run(["ip", "-d", "-o", "link", "show", "br0"]);
    node.add(&blue, &config(json!({})));
    assert!(!show().contains("PROMISC"));
    let red = node.host.container("red");
    node.add(&red, &config(json!({"promiscMode": true})));
    assert_says(&show(), &["PROMISC", "promiscuity 1"]);
}

#[test]
fn isolated_containers_reach_the_gateway_and_not_each_other() {
    let node = Node::giving(&[]);
    let containers = ["blue", "red", "green"].map(|name| node.host.container(name));
    for (container, number) in containers.iter().zip(2..) {
        node.answer(&ips(&[&format!("10.1.0.{number}/16"), &format!("fd00:1::{number}/64")]));
        let isolated = container.name() != "green";
        node.add(container, &config(json!({"isGateway": true, "portIsolation": isolated})));
    }
    // A bridge may also route back what it does not pass on; that is the packet filter's to refuse.
    let [blue, red, green] = &containers;
    for container in &containers {
        assert!(container.pings("10.1.0.1") && container.pings("fd00:1::1"));
    }
    assert!(!blue.pings("10.1.0.3") && !red.pings("fd00:1::2"));
    assert!(blue.pings("10.1.0.4") && green.pings("fd00:1::3"));
}

#[test]
fn the_host_end_says_whose_it_is() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let call = node.call("ADD", &blue).config(config(json!({})));
    let args = "K8S_POD_NAMESPACE=shop;IgnoreUnknown=1;K8S_POD_NAME=web-0";
    let result = call.args(args).run().expect_success().json();
    let alias = ["cat".to_owned(), format!("/sys/class/net/{}/ifalias", host_end(&result))];
    let link = node.host.run(["ip", "-o", "link", "show", &host_end(&result)]);
    assert_says(&link, &["alias net/blue/eth0 pod shop/web-0"]);
    assert!(!link.contains("being attached"), "{alias:?} {link}");
}

#[test]
fn a_port_has_no_ipv6_of_its_own_and_passes_that_of_its_container() {
    let node = Node::giving(&["fd00:1::2/64"]);
    let (blue, red) = (node.host.container("blue"), node.host.container("red"));
    let keys = config(json!({"isGateway": true}));
    let port = host_end(&node.add(&blue, &keys));
    node.answer(&ips(&["fd00:1::3/64"]));
    node.add(&red, &keys);
    assert!(blue.pings("fd00:1::3") && blue.pings("fd00:1::1"), "{}", blue.state());
    let addresses = node.host.run(["ip", "-6", "address", "show", "dev", &port]);
    let routes = node.host.run(["ip", "-6", "route", "show", "table", "all", "dev", &port]);
    assert_eq!((addresses.as_str(), routes.as_str()), ("", ""));
    assert_says(&node.host.run(["ip", "-6", "address", "show", "dev", "br0"]), &["fe80:"]);
}
