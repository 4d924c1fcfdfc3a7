//! `causeway pool`: what it counts.

use std::fs;

use serde_json::json;

use crate::node::{Node, attachment, lease};

#[test]
fn every_address_of_a_set_is_counted_once() {
    let network = json!({"cniVersion": "1.0.0", "name": "small", "plugins": [
        {"type": "bridge", "bridge": "cni0", "ipam": {"type": "host-local", "cooldownSeconds": 600,
         "exclude": ["10.9.0.20-10.9.0.29"], "ranges": [[{"subnet": "10.9.0.0/26"}],
         [{"subnet": "fd09::/64"}]]}}]});
    let node = Node::new(&[network]);
    let (_kept, _) = node.attach("small", "kept");
    let (released, _) = node.attach("small", "released");
    node.del("small", &attachment(&released));
    fs::write(lease("small", "10.9.0.40"), "").unwrap();
    fs::write(lease("small", "10.9.1.1"), "elsewhere\r\neth0").unwrap();

    let pools = node.json(&["pool"], 0)["pools"].clone();
    let first = &pools[0];
    for (key, value) in [
        ("network", json!("small")),
        ("set", json!(0)),
        ("ranges", json!("10.9.0.1-10.9.0.62")),
        ("size", json!(62)),
        ("held", json!(1)),
        ("reclaimable", json!(1)),
        ("coolingDown", json!(1)),
        ("excluded", json!(11)),
        ("free", json!(48)),
        ("lastGiven", json!("10.9.0.3")),
    ] {
        assert_eq!(first[key], value, "{key}: {first:#}");
    }
    assert_eq!(pools[1]["held"], 1, "{pools:#}");
    assert_eq!(pools[1]["size"], json!(u64::MAX), "{pools:#}");
    let elsewhere = &pools[2];
    assert_eq!((&elsewhere["set"], &elsewhere["held"]), (&json!(null), &json!(1)), "{pools:#}");

    let text = node.text(&["pool", "small"], 0);
    assert!(text.lines().nth(1).unwrap().contains("10.9.0.1-10.9.0.62"), "{text}");
    assert!(text.contains("elsewhere") && text.contains("1%"), "{text}");
}

#[test]
fn a_pool_without_a_list_and_a_list_without_a_pool_are_shown() {
    let network = json!({"cniVersion": "1.0.0", "name": "unused", "plugins": [
        {"type": "bridge", "ipam": {"type": "host-local", "subnet": "10.9.0.0/24"}}]});
    let node = Node::new(&[network]);
    fs::create_dir_all("/var/lib/cni/networks/left").unwrap();
    fs::write(lease("left", "10.8.0.2"), "c1\r\neth0").unwrap();
    let pools = node.json(&["pool"], 0)["pools"].clone();
    assert_eq!((&pools[0]["network"], &pools[0]["held"]), (&json!("left"), &json!(1)));
    assert_eq!((&pools[1]["network"], &pools[1]["free"]), (&json!("unused"), &json!(253)));
}
