//! What an operator finds in the log.

use std::fs;

use serde_json::{Value, json};
use testsupport::{feature, not_run};

use crate::node::{Node, assert_says, config, with};

/// The log's lines of one call, each without its first words, which must be those of the call.
fn logged(node: &Node, command: &str, keys: &Value) -> Vec<String> {
    let path = node.ipam_dir().join("log");
    fs::remove_file(&path).ok();
    let blue = node.host.container(command);
    let keys = with(keys, &json!({"logFile": path.to_str().unwrap()}));
    node.run(command, &blue, &keys);
    let about = format!(" bridge {command} network=net container={command} interface=eth0: ");
    let text = fs::read_to_string(&path).unwrap();
    let lines = text.lines().map(|line| {
        let (head, line) = line.split_once(&about).unwrap_or_else(|| panic!("{line:?}"));
        let time = head.rsplit(' ').next().unwrap();
        assert!(time.len() == 24 && time.starts_with("20") && time.ends_with('Z'), "{head:?}");
        line.to_owned()
    });
    lines.collect()
}

#[test]
fn every_line_has_time_command_network_container_and_interface_and_the_last_the_outcome() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let lines = logged(&node, "ADD", &config(json!({"isGateway": true})));
    assert!(lines.iter().any(|line| line.contains("address add 10.1.0.1/16")), "{lines:#?}");
    assert_eq!(lines.last().unwrap(), "succeeded");
    assert_eq!(logged(&node, "DEL", &config(json!({}))).last().unwrap(), "succeeded");
    let lines = logged(&node, "CHECK", &config(json!({})));
    assert_says(lines.last().unwrap(), &["failed with code 7: Required prevResult missing"]);
}

#[test]
fn masquerading_is_logged_with_its_backend() {
    if !feature::nftables_masquerade() {
        return not_run("log: this kernel does not masquerade by nf_tables");
    }
    let node = Node::giving(&["10.1.0.2/16"]);
    let keys = config(json!({"ipMasq": true, "ipMasqBackend": "nftables"}));
    let lines = logged(&node, "ADD", &keys);
    assert!(lines.contains(&"masquerade 10.1.0.2/16 by nftables".to_owned()), "{lines:#?}");
    let lines = logged(&node, "DEL", &keys);
    assert!(lines.iter().any(|line| line.starts_with("remove masquerading of")), "{lines:#?}");
}
