//! VLANs of the port and of the gateway, on kernels that filter them.

use serde_json::{Value, json};
use testsupport::{Container, feature, not_run};

use crate::node::{Node, assert_same, assert_says, config, host_end, ips, with};

/// Whether this kernel filters VLANs; if not, the test has said so.
fn filters() -> bool {
    let filters = feature::vlan_filtering();
    if !filters {
        not_run("vlan: this kernel has no VLAN filtering on bridges");
    }
    filters
}

/// `bridge vlan show` of a port: `1 Egress Untagged`, `100 PVID Egress Untagged`, ….
fn vlans(node: &Node, port: &str) -> Vec<String> {
    let text = node.host.run(["bridge", "vlan", "show", "dev", port]);
    let lines = text.lines().skip(1).filter(|line| !line.trim().is_empty());
    let words = lines.map(|line| {
        let line = line.strip_prefix(port).unwrap_or(line);
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    words.collect()
}

/// Attaches a container of that name with `10.1.0.<number>/16`.
fn attach(node: &Node, name: &str, number: u8, keys: &Value) -> (Container, Value) {
    let container = node.host.container(name);
    node.answer(&ips(&[&format!("10.1.0.{number}/16"), &format!("fd00:1::{number}/64")]));
    let result = node.add(&container, keys);
    (container, result)
}

#[test]
fn a_kernel_without_filtering_is_named_in_the_error() {
    if feature::vlan_filtering() {
        // There is nothing to be named: the tests below run instead of this one.
        return;
    }
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let answer = node.run("ADD", &blue, &config(json!({"vlan": 100})));
    assert_says(&answer.expect_error(100), &["create bridge \"br0\"", "EOPNOTSUPP"]);
    assert_says(&answer.details(), &["this kernel has no VLAN filtering"]);
    node.add_leaves_nothing(&blue, &config(json!({"vlan": 100, "isGateway": true})), 100);
}

#[test]
fn access_vlan_and_trunk_are_the_ports() {
    if !filters() {
        return;
    }
    let trunk = json!([{"minID": 200, "maxID": 202}, {"id": 42}]);
    for (keys, expected) in [
        (json!({"vlan": 100}), vec!["100 PVID Egress Untagged"]),
        (json!({"vlan": 100, "preserveDefaultVlan": false}), vec!["100 PVID Egress Untagged"]),
        (
            json!({"vlan": 100, "preserveDefaultVlan": true}),
            vec!["1 Egress Untagged", "100 PVID Egress Untagged"],
        ),
        (json!({"vlanTrunk": trunk}), vec!["1 PVID Egress Untagged", "42", "200", "201", "202"]),
        (
            json!({"vlanTrunk": trunk, "preserveDefaultVlan": false}),
            vec!["1 PVID Egress Untagged", "42", "200", "201", "202"],
        ),
        (json!({"vlanTrunk": [{"id": 1}]}), vec!["1"]),
        (
            json!({"vlan": 5, "vlanTrunk": trunk, "preserveDefaultVlan": false}),
            vec!["5 PVID Egress Untagged", "42", "200", "201", "202"],
        ),
    ] {
        let node = Node::giving(&["10.1.0.2/16"]);
        let blue = node.host.container("blue");
        let keys = config(keys);
        let result = node.add(&blue, &keys);
        assert_eq!(vlans(&node, &host_end(&result)), expected, "{keys}");
        assert_says(&node.host.run(["ip", "-d", "link", "show", "br0"]), &["vlan_filtering 1"]);
        node.check(&blue, &keys, &result).expect_silent_success();
        node.del(&blue, &keys);
        assert!(!node.has_link(&host_end(&result)));
    }
}

#[test]
fn the_default_vlan_is_removed_whichever_it_is() {
    if !filters() {
        return;
    }
    let untagged = "7 Egress Untagged";
    for (default, keys, expected) in [
        ("7", json!({"vlan": 100}), vec!["100 PVID Egress Untagged"]),
        ("7", json!({"vlanTrunk": [{"id": 42}]}), vec!["1 PVID Egress Untagged", "42"]),
        (
            "7",
            json!({"vlan": 100, "preserveDefaultVlan": true}),
            vec![untagged, "100 PVID Egress Untagged"],
        ),
        ("0", json!({"vlan": 100}), vec!["100 PVID Egress Untagged"]),
    ] {
        let node = Node::giving(&["10.1.0.2/16"]);
        let line = "ip link add br0 up type bridge vlan_filtering 1 vlan_default_pvid";
        node.host.run(line.split(' ').chain([default]).collect::<Vec<_>>());
        let blue = node.host.container("blue");
        let keys = with(&config(json!({"isGateway": true})), &keys);
        let result = node.add(&blue, &keys);
        assert_eq!(vlans(&node, &host_end(&result)), expected, "{default} {keys}");
        if keys["vlan"] == 100 {
            let link = node.host.run(["ip", "-o", "link", "show", "br0.100"]);
            assert_eq!(vlans(&node, link.split(['@', ':']).nth(2).unwrap()), expected, "{keys}");
        }
    }
}

#[test]
fn containers_reach_those_of_their_vlan_only() {
    if !filters() {
        return;
    }
    let node = Node::giving(&[]);
    let vlan = |id: u16| config(json!({"vlan": id, "preserveDefaultVlan": false}));
    let (blue, _) = attach(&node, "blue", 2, &vlan(100));
    let (red, _) = attach(&node, "red", 3, &vlan(100));
    let (green, _) = attach(&node, "green", 4, &vlan(200));
    assert!(blue.pings("10.1.0.3") && red.pings("fd00:1::2"));
    assert!(!blue.pings("10.1.0.4") && !green.pings("fd00:1::2"));
}

#[test]
fn a_trunk_carries_the_tagged_frames_of_its_vlans() {
    if !filters() {
        return;
    }
    let node = Node::giving(&[]);
    let access = config(json!({"vlan": 42, "preserveDefaultVlan": false}));
    let (blue, _) = attach(&node, "blue", 2, &access);
    let trunk = json!([{"minID": 40, "maxID": 42}]);
    let keys = config(json!({"ipam": null, "vlanTrunk": trunk, "preserveDefaultVlan": false}));
    let red = node.host.container("red");
    node.add(&red, &keys);
    let tagged = |id: &str, address: &str| {
        let name = format!("eth0.{id}");
        let line = format!("ip link add link eth0 name {name} up type vlan id {id}");
        let made = red.finish(line.split(' ').collect::<Vec<_>>());
        if made.status == Some(0) {
            red.run(["ip", "address", "add", address, "dev", &name]);
        }
        made.status == Some(0)
    };
    if !tagged("42", "10.1.0.3/16") {
        return not_run("vlan trunk: this kernel has no 802.1Q interfaces");
    }
    assert!(red.pings("10.1.0.2"));
    red.run(["ip", "link", "delete", "eth0.42"]);
    tagged("43", "10.1.0.3/16");
    assert!(!red.pings("10.1.0.2") && !blue.pings("10.1.0.3"));
}

#[test]
fn the_gateway_of_a_vlan_is_an_interface_of_the_result() {
    if !filters() {
        return;
    }
    for preserve in [false, true] {
        let node = Node::giving(&[]);
        let keys = config(json!({
            "cniVersion": "1.1.0", "vlan": 100, "isDefaultGateway": true,
            "preserveDefaultVlan": preserve, "mtu": 1400,
        }));
        let (blue, result) = attach(&node, "blue", 2, &keys);
        let gateway = &result["interfaces"][3];
        assert_eq!((&gateway["name"], &gateway["mtu"]), (&json!("br0.100"), &json!(1400)));
        assert_eq!(gateway["sandbox"], Value::Null);
        assert_eq!(result["ips"][0]["interface"], 2);
        let shown = node.host.run(["ip", "-o", "address", "show", "dev", "br0.100"]);
        assert_says(&shown, &["10.1.0.1/16", "fd00:1::1/64"]);
        let link = node.host.run(["ip", "-o", "link", "show", "br0.100"]);
        assert_says(&link, &[gateway["mac"].as_str().unwrap()]);
        assert_eq!(node.host.run(["ip", "-4", "-o", "address", "show", "dev", "br0"]), "");
        let port = link.split(['@', ':']).nth(2).unwrap();
        let mut expected = vec!["100 PVID Egress Untagged"];
        if preserve {
            expected.insert(0, "1 Egress Untagged");
        }
        assert_eq!(vlans(&node, port), expected);
        assert!(blue.pings("10.1.0.1") && blue.pings("fd00:1::1"));
        node.check(&blue, &keys, &result).expect_silent_success();
    }
}

#[test]
fn containers_share_the_gateway_of_their_vlan_and_it_stays() {
    if !filters() {
        return;
    }
    let node = Node::giving(&[]);
    let keys = |id: u16| {
        config(json!({"vlan": id, "isDefaultGateway": true, "preserveDefaultVlan": false}))
    };
    let (blue, first) = attach(&node, "blue", 2, &keys(100));
    let (red, second) = attach(&node, "red", 3, &keys(100));
    assert_eq!(first["interfaces"][3], second["interfaces"][3]);
    node.del(&blue, &keys(100));
    assert!(red.pings("10.1.0.1"));
    node.del(&red, &keys(100));
    assert!(node.has_link("br0.100"));
    // Another VLAN has a gateway of its own, and another subnet.
    let green = node.host.container("green");
    node.answer(&ips(&["10.2.0.2/16"]));
    let result = node.add(&green, &keys(200));
    assert_eq!(result["interfaces"][3]["name"], "br0.200");
    assert!(green.pings("10.2.0.1"));
}

#[test]
fn a_failed_add_takes_back_vlan_and_gateway() {
    if !filters() {
        return;
    }
    let node = Node::giving(&[]);
    let keys = config(json!({"vlan": 100, "isGateway": true, "preserveDefaultVlan": false}));
    let mut answer = ips(&["10.1.0.2/16"]);
    answer["routes"] = json!([{"dst": "10.9.0.0/16", "gw": "192.0.2.1"}]);
    node.answer(&answer);
    let blue = node.host.container("blue");
    node.add_leaves_nothing(&blue, &keys, 100);
    assert!(!node.has_link("br0") && !node.has_link("br0.100"));
    // Beside a neighbour of the VLAN bridge and gateway stay, whose they are.
    let (red, _) = attach(&node, "red", 3, &keys);
    node.answer(&answer);
    let before = node.snapshot(&blue);
    node.add_fails(&blue, &keys, 100);
    assert_same(&before, &node.snapshot(&blue));
    assert!(red.pings("10.1.0.1"));
}

#[test]
fn the_name_of_a_gateway_must_fit() {
    if !filters() {
        return;
    }
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let keys = config(json!({"bridge": "a-long-bridge", "vlan": 100, "isGateway": true}));
    let message = node.add_leaves_nothing(&blue, &keys, 7);
    assert_says(&message, &["\"a-long-bridge.100\"", "too long"]);
}
