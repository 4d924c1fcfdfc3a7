//! `causeway net`: a network list is run as a runtime runs it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::node::{Node, lease, pods, pods_with};

#[test]
fn a_network_is_tried_without_any_runtime() {
    let node = Node::new(&[pods()]);
    let container = node.host.container("blue");
    let path = container.path().to_str().unwrap();
    node.text(&["net", "version", "pods"], 0);
    node.text(&["net", "status", "pods"], 0);
    let ports = r#"{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]}"#;
    let text = node.text(&["net", "add", "pods", path, "--cap-args", ports], 0);
    let result: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(result["ips"][0]["address"], "10.85.0.2/16");
    // As cnitool names it: printf /run/netns/blue | sha512sum
    let shown = node.shown("pods", "cnitool-df26705e2e4ffd095eb1");
    assert_eq!(shown["ports"][0]["hostPort"], 8080, "{shown:#}");
    assert!(Path::new("/var/lib/cni/results/pods-cnitool-df26705e2e4ffd095eb1-eth0").exists());
    assert!(container.pings("10.85.0.1"));
    node.text(&["net", "check", "pods", path], 0);
    let again = node.tool(&["net", "add", "pods", path]);
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(again.status == Some(8) && said.contains("attached already"), "{again}");
    assert!(container.pings("10.85.0.1"), "a second ADD detaches nothing");
    node.text(&["net", "gc", "pods"], 0);
    assert!(container.pings("10.85.0.1"), "it lives, so nothing of it goes");

    container.run(["ip", "address", "flush", "dev", "eth0"]);
    let checked = node.tool(&["net", "check", "pods", path]);
    assert_eq!(checked.status, Some(4), "{checked}");
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(said.contains("bridge: ") && said.contains("10.85.0.2/16"), "{said}");
    node.text(&["net", "del", "pods", path], 0);
    assert!(node.listed("pods").is_empty());
    node.text(&["net", "del", "pods", path], 0);
}

#[test]
fn an_add_that_fails_says_why_and_leaves_nothing() {
    let network = pods_with(json!({"type": "not-there"}));
    let node = Node::new(&[network]);
    let container = node.host.container("blue");
    let path = container.path().to_str().unwrap();
    let failed = node.tool(&["net", "add", "pods", path]);
    assert_eq!(failed.status, Some(8), "{failed}");
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(said.contains("not-there"), "{said}");
    assert!(failed.stdout.is_empty());
    let failed = node.tool(&["net", "add", "nowhere", path]);
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(said.contains("there is: pods"), "{said}");
}

#[test]
fn the_command_line_says_what_is_wrong_with_it() {
    let node = Node::new(&[]);
    for words in [&["no-such-command"][..], &["net", "add", "pods"], &["ls", "--colour"], &[]] {
        let failed = node.tool(words);
        assert_eq!(failed.status, Some(16), "{failed}");
        assert!(failed.stdout.is_empty(), "{failed}");
    }
    for words in [&["--help"][..], &["--version"], &["net", "add", "--help"]] {
        assert_eq!(node.tool(words).status, Some(0));
    }
    assert!(node.text(&["completions", "bash"], 0).contains("_causeway"));
    let folder = node.host.temp_dir().join("man");
    node.text(&["man", folder.to_str().unwrap()], 0);
    for page in ["causeway.1", "causeway-ls.1", "causeway-net-add.1"] {
        assert!(fs::read_to_string(folder.join(page)).unwrap().contains("causeway"), "{page}");
    }
    assert!(node.listed_nothing());
    assert!(!lease("pods", "10.85.0.2").exists());
}

impl Node {
    fn listed_nothing(&self) -> bool {
        self.json(&["ls"], 0)["networks"] == json!([])
    }
}
