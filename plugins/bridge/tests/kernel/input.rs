//! What arrives in other forms: namespaces of every kind, keys as callers write them.

use serde_json::{Value, json};

use crate::node::{Node, config, host_end, with};

#[test]
fn namespaces_of_every_kind() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let keys = config(json!({"isGateway": true}));
    let containers = [
        node.host.container("blue"),
        node.host.container_at(node.host.temp_dir().join("somewhere")),
        node.host.container_of_process("pod"),
    ];
    for container in &containers {
        let result = node.add(container, &keys);
        assert_eq!(result["interfaces"][2]["sandbox"], container.path().to_str().unwrap());
        assert!(container.pings("10.1.0.1"), "{}", container.name());
        node.check(container, &keys, &result).expect_silent_success();
        node.del(container, &keys);
        assert!(!node.has_link(&host_end(&result)));
    }
    // By another name of the same: `/var/run` is `/run`.
    let linked = node.host.temp_dir().join("link");
    std::os::unix::fs::symlink(containers[0].path(), &linked).unwrap();
    let result = node.call("ADD", &containers[0]).netns_path(&linked).config(&keys).run();
    let result = result.expect_success().json();
    assert_eq!(result["interfaces"][2]["sandbox"], linked.to_str().unwrap());
    node.del(&containers[0], &keys);
    assert!(!node.has_link(&host_end(&result)));
}

#[test]
fn a_namespace_that_ends_with_its_process() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let mut pod = node.host.container_of_process("pod");
    let result = node.add(&pod, &config(json!({"isGateway": true})));
    pod.vanish();
    node.del(&pod, &config(json!({"isGateway": true})));
    assert!(!node.has_link(&host_end(&result)));
    assert_eq!(node.calls().last().unwrap(), "DEL pod eth0");
}

#[test]
fn keys_in_another_case_count_and_null_is_absent() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let keys = json!({
        "CNIVersion": "1.1.0", "NAME": "net", "type": "bridge", "Bridge": "br7",
        "ISDEFAULTGATEWAY": true, "MTU": 1400.0, "vlan": null, "vlanTrunk": null, "hairpinMode": null,
        "ipam": {"Type": "stand-in"}, "RuntimeConfig": {"Mac": "02:00:00:00:00:07"},
        "dns": null, "args": null, "PreserveDefaultVlan": null, "capabilities": {"mac": true},
        "somethingNew": {"deep": [1, 2, 3]},
    });
    let result = node.add(&blue, &keys);
    assert_eq!(result["interfaces"][0]["name"], "br7");
    assert_eq!(result["interfaces"][2]["mac"], "02:00:00:00:00:07");
    assert_eq!(result["interfaces"][2]["mtu"], 1400);
    assert_eq!(result["routes"], json!([{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}]));
    node.check(&blue, &keys, &result).expect_silent_success();
    node.del(&blue, &keys);
    assert!(!node.has_link(&host_end(&result)));
}

#[test]
fn an_exact_key_wins() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let keys = with(&config(json!({})), &json!({"BRIDGE": "br1", "Bridge": "br2"}));
    assert_eq!(node.add(&blue, &keys)["interfaces"][0]["name"], "br0");
}

#[test]
fn the_default_bridge_is_cni0() {
    let node = Node::giving(&["10.1.0.2/16"]);
    for bridge in [Value::Null, json!("")] {
        let blue = node.host.container("blue");
        let keys = with(&config(json!({})), &json!({"bridge": bridge}));
        assert_eq!(node.add(&blue, &keys)["interfaces"][0]["name"], "cni0");
        node.del(&blue, &keys);
    }
}

#[test]
fn several_networks_and_interfaces_of_one_container() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let first = config(json!({"isGateway": true}));
    let second = config(json!({"name": "net2", "bridge": "br1", "isGateway": true}));
    let one = node.add(&blue, &first);
    node.answer(&crate::node::ips(&["10.2.0.2/16"]));
    let two = node.call("ADD", &blue).ifname("net1").config(&second).run();
    let two = two.expect_success().json();
    assert!(blue.pings("10.1.0.1") && blue.pings("10.2.0.1"));
    assert_ne!(host_end(&one), host_end(&two));
    node.del(&blue, &first);
    assert!(blue.pings("10.2.0.1") && node.has_link(&host_end(&two)));
    node.call("DEL", &blue).ifname("net1").config(&second).run().expect_silent_success();
    assert!(!node.has_link(&host_end(&two)));
}
