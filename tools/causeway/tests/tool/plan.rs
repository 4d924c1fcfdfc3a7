//! `causeway plan`: what it says is what an ADD then does, and it does nothing itself.

use serde_json::{Value, json};

use crate::node::{Node, attachment, pods, pods_with};

fn lines(plan: &Value, plugin: usize) -> String {
    let lines = plan["plugins"][plugin]["lines"].as_array().unwrap();
    lines.iter().map(|line| format!("{}\n", line.as_str().unwrap())).collect()
}

#[test]
fn what_is_planned_is_what_an_add_does_and_nothing_is_done() {
    let network = pods_with(json!({"type": "tuning"}));
    let node = Node::new(&[network]);
    let container = node.host.container("blue");
    let ports = r#"{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]}"#;
    let words = ["plan", "pods", "--container-id", "blue", "--cap-args", ports];
    let before = node.host.run(["ip", "-oneline", "address"]);
    let plan = node.json(&words, 0);
    assert_eq!(node.host.run(["ip", "-oneline", "address"]), before);
    assert_eq!(node.host.run(["nft", "list", "ruleset"]), "");
    assert_eq!(node.json(&["ls"], 0)["networks"][0]["attachments"], json!([]));

    let capabilities =
        [("portMappings", serde_json::from_str::<Value>(ports).unwrap()["portMappings"].clone())];
    let result = node.add("pods", &attachment(&container).capabilities(capabilities));
    let bridge = lines(&plan, 0);
    let host = result["interfaces"][1]["name"].as_str().unwrap();
    for line in [
        "write /var/lib/cni/networks/pods/10.85.0.2\n",
        "ip link add cni0 ",
        &format!("ip link add {host} "),
        "ip address add 10.85.0.1/16 dev cni0\n",
        "ip address add 10.85.0.2/16 dev eth0",
        "nft add set inet causeway masq/pods/10.85.0.0/16",
    ] {
        assert!(bridge.contains(line), "{line:?}: {bridge}");
    }
    assert!(lines(&plan, 1).contains("8080"), "{plan:#}");
    assert_eq!(plan["plugins"][2], json!({"type": "tuning", "lines": null}));

    // The next one finds the bridge there.
    let text = node.text(&["plan", "pods"], 0);
    assert!(text.contains("write /var/lib/cni/networks/pods/10.85.0.3\n"), "{text}");
    assert!(!text.contains("ip link add cni0") && !text.contains("dev cni0\n"), "{text}");
    assert!(text.contains("what it would do is not known here"), "{text}");
}

#[test]
fn what_an_add_would_refuse_is_refused() {
    let mut network = pods();
    network["plugins"][0]["vlan"] = json!(5000);
    let node = Node::new(&[network]);
    let failed = node.tool(&["plan", "pods"]);
    assert_eq!(failed.status, Some(8), "{failed}");
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(said.contains("bridge: invalid VLAN ID 5000"), "{said}");
    let file = node.host.temp_dir().join("list");
    let list = json!({"cniVersion": "1.0.0", "name": "full", "plugins": [{"type": "bridge",
        "ipam": {"type": "host-local", "subnet": "10.9.0.0/30"}}]});
    std::fs::write(&file, list.to_string()).unwrap();
    let text = node.text(&["plan", file.to_str().unwrap()], 0);
    assert!(text.contains("networks/full/10.9.0.2"), "{text}");
}
