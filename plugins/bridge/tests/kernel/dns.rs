//! Name resolution: in the result, and where `ip netns exec` looks.

use std::fs;

use serde_json::{Value, json};

use crate::node::{Node, assert_says, config, ips, with};

const FILE: &str = "/etc/netns/blue/resolv.conf";

fn written() -> Value {
    let dns = json!({
        "nameservers": ["10.1.0.53", "fd00::53"], "domain": "example.org",
        "search": ["a.example.org"], "options": ["ndots:2"],
    });
    config(json!({"netnsResolvConf": true, "dns": dns, "isGateway": true}))
}

#[test]
fn the_configurations_replaces_the_ipams_and_the_runtimes_both() {
    let node = Node::giving(&[]);
    let mut answer = ips(&["10.1.0.2/16"]);
    answer["dns"] = json!({"nameservers": ["10.1.0.1"], "search": ["ipam"]});
    node.answer(&answer);
    let configured = json!({"domain": "configured", "options": ["a"]});
    let runtime = json!({"dns": {"servers": ["10.1.0.3"], "searches": ["runtime"], "options": []}});
    for (keys, expected) in [
        (json!({}), answer["dns"].clone()),
        (json!({"dns": {}}), answer["dns"].clone()),
        (json!({"dns": configured}), configured.clone()),
        (
            json!({"dns": configured, "runtimeConfig": runtime}),
            json!({
                "nameservers": ["10.1.0.3"], "domain": "configured", "search": ["runtime"],
                "options": ["a"],
            }),
        ),
        (json!({"runtimeConfig": {"dns": {"options": ["b"]}}}), {
            json!({"nameservers": ["10.1.0.1"], "search": ["ipam"], "options": ["b"]})
        }),
    ] {
        let blue = node.host.container("blue");
        let result = node.add(&blue, &config(keys.clone()));
        assert_eq!(result["dns"], expected, "{keys}");
        node.del(&blue, &config(keys));
    }
    assert!(!fs::exists("/etc/netns").unwrap());
}

#[test]
fn ip_netns_sees_the_name_servers() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    node.add(&blue, &written());
    let seen = node.host.run(["ip", "netns", "exec", "blue", "cat", "/etc/resolv.conf"]);
    let lines: Vec<&str> = seen.lines().skip(1).collect();
    let expected = [
        "domain example.org",
        "search a.example.org",
        "nameserver 10.1.0.53",
        "nameserver fd00::53",
        "options ndots:2",
    ];
    assert_eq!(lines, expected, "{seen}");
    assert_says(seen.lines().next().unwrap(), &["net/blue/eth0"]);
}

#[test]
fn only_where_it_is_asked_for_and_only_for_named_namespaces() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    node.add(&blue, &with(&written(), &json!({"netnsResolvConf": null})));
    let pod = node.host.container_of_process("pod");
    node.add(&pod, &written());
    assert!(!fs::exists("/etc/netns").unwrap());
}

#[test]
fn del_removes_it_whatever_the_namespace() {
    let node = Node::giving(&["10.1.0.2/16"]);
    for netns in ["/run/netns/blue", "", "/run/netns/gone"] {
        let blue = node.host.container("blue");
        node.add(&blue, &written());
        assert!(fs::exists(FILE).unwrap());
        let call = node.call("DEL", &blue).netns_path(netns).config(written());
        for _ in 0..3 {
            call.run().expect_silent_success();
            assert!(!fs::exists("/etc/netns").unwrap(), "{netns}");
        }
    }
}

#[test]
fn a_failed_add_leaves_none() {
    let node = Node::giving(&["10.1.0.2/16", "10.2.0.2/16"]);
    let blue = node.host.container("blue");
    node.add_leaves_nothing(&blue, &with(&written(), &json!({"cniVersion": "0.2.0"})), 7);
    assert!(!fs::exists("/etc/netns").unwrap());
}

#[test]
fn somebody_elses_file_is_refused_and_kept() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    fs::create_dir_all("/etc/netns/blue").unwrap();
    fs::write(FILE, "nameserver 192.0.2.1\n").unwrap();
    let message = node.add_leaves_nothing(&blue, &written(), 101);
    assert_says(&message, &[FILE]);
    assert_eq!(fs::read_to_string(FILE).unwrap(), "nameserver 192.0.2.1\n");
    node.del(&blue, &written());
    assert_eq!(fs::read_to_string(FILE).unwrap(), "nameserver 192.0.2.1\n");
}

#[test]
fn a_second_network_of_the_container_does_not_take_the_file_of_the_first() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    node.add(&blue, &written());
    let before = fs::read_to_string(FILE).unwrap();
    let second = with(&written(), &json!({"name": "net2"}));
    let other = |command| node.call(command, &blue).ifname("eth1").config(&second).run();
    assert_says(&other("ADD").expect_error(101), &[FILE]);
    other("DEL").expect_silent_success();
    assert_eq!(fs::read_to_string(FILE).unwrap(), before);
}

#[test]
fn gc_removes_the_file_of_a_dead_attachment_only() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let (blue, red) = (node.host.container("blue"), node.host.container("red"));
    node.add(&blue, &written());
    node.add(&red, &written());
    let green = node.host.container("green");
    node.add(&green, &with(&written(), &json!({"name": "net2"})));
    let living = json!([{"containerID": "red", "ifname": "eth0"}]);
    let keys = json!({"cniVersion": "1.1.0", "cni.dev/valid-attachments": living});
    let call = testsupport::Call::new("bridge").command("GC").env("CNI_PATH", node.ipam_dir());
    call.config(with(&written(), &keys)).run().expect_silent_success();
    let exists = |name: &str| fs::exists(format!("/etc/netns/{name}/resolv.conf")).unwrap();
    assert!(!exists("blue") && exists("red") && exists("green"));
}

#[test]
fn del_leaves_the_folders_and_links_that_were_there_before() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    fs::create_dir_all("/etc/netns/blue").unwrap();
    node.del(&blue, &written());
    assert!(fs::exists("/etc/netns/blue").unwrap());
    node.add(&blue, &written());
    node.del(&blue, &written());
    assert!(!fs::exists(FILE).unwrap() && fs::exists("/etc/netns/blue").unwrap());
    std::os::unix::fs::symlink("/run/nowhere", FILE).unwrap();
    assert_says(&node.add_leaves_nothing(&blue, &written(), 101), &[FILE]);
    node.del(&blue, &written());
    assert!(fs::symlink_metadata(FILE).is_ok());
}

#[test]
fn an_empty_file_that_was_there_before_stays() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    fs::create_dir_all("/etc/netns/blue").unwrap();
    fs::write(FILE, "").unwrap();
    node.add_leaves_nothing(&blue, &written(), 101);
    node.del(&blue, &written());
    assert_eq!(fs::read_to_string(FILE).unwrap(), "");
}
