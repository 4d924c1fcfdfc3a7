//! What an operator finds in the log.

use std::fs;

use serde_json::{Value, json};
use testsupport::{feature, not_run};

use crate::node::{Node, assert_says, config, with};

/// The log's lines of one call, each of which must say whose it is.
fn logged(node: &Node, command: &str, keys: &Value) -> Vec<Value> {
    let path = node.ipam_dir().join("log");
    fs::remove_file(&path).ok();
    let blue = node.host.container(command);
    let keys = with(keys, &json!({"logFile": path.to_str().unwrap()}));
    node.run(command, &blue, &keys);
    let text = fs::read_to_string(&path).unwrap();
    let lines = text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let about = [("network", "net"), ("container", command), ("interface", "eth0")];
        assert!(about.iter().all(|(key, value)| line[*key] == *value), "{line}");
        line
    });
    lines.collect()
}

/// The line whose step begins with these words.
#[track_caller]
fn find<'a>(lines: &'a [Value], words: &str) -> &'a Value {
    let is_it = |line: &&Value| line["step"].as_str().is_some_and(|step| step.starts_with(words));
    lines.iter().find(is_it).unwrap_or_else(|| panic!("{words}: {lines:#?}"))
}

#[test]
fn every_operation_is_a_step_with_its_duration_and_the_last_line_the_outcome() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let lines = logged(&node, "ADD", &config(json!({"isGateway": true})));
    for words in [
        "read the configuration",
        "open /",
        "look at br0",
        "ip link add",
        "ip address add 10.1.0.1/16",
    ] {
        let line = find(&lines, words);
        assert_eq!((&line["kind"], &line["outcome"]), (&json!("step"), &json!("ok")), "{line}");
        assert!(line["duration_us"].is_u64() && line["within"] == 0, "{line}");
    }
    let last = lines.last().unwrap();
    assert_eq!((&last["kind"], &last["outcome"]), (&json!("end"), &json!("ok")));
    let lines = logged(&node, "DEL", &config(json!({})));
    find(&lines, "remove veth");
    assert_eq!(lines.last().unwrap()["outcome"], "ok");
    let lines = logged(&node, "CHECK", &config(json!({})));
    let last = lines.last().unwrap();
    assert_eq!((&last["outcome"], &last["code"]), (&json!("failed"), &json!(7)));
    assert_says(last["message"].as_str().unwrap(), &["Required prevResult missing"]);
}

#[test]
fn what_fails_and_what_is_undone_is_told() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    // Refused as the last of all operations.
    let resolv_conf = std::path::Path::new("/etc/netns/blue/resolv.conf");
    fs::create_dir_all(resolv_conf.parent().unwrap()).unwrap();
    fs::write(resolv_conf, "nameserver 9.9.9.9\n").unwrap();
    let path = node.ipam_dir().join("log");
    let dns = json!({"nameservers": ["10.1.0.1"]});
    let keys = json!({"netnsResolvConf": true, "dns": dns, "logFile": path.to_str().unwrap()});
    node.run("ADD", &blue, &config(keys)).expect_error(101);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let failed = lines.iter().find(|line| line["kind"] == "step" && line["outcome"] == "failed");
    assert!(failed.is_some_and(|line| line["code"] == 101), "{lines:#?}");
    assert_eq!(find(&lines, "undo RemovePair")["outcome"], "ok");
    assert_eq!(lines.last().unwrap()["code"], 101);
}

#[test]
fn steps_of_the_own_ipam_plugin_are_seen_as_its() {
    let node = Node::giving(&[]);
    std::os::unix::fs::symlink(
        testsupport::bin_dir().join("host-local"),
        node.ipam_dir().join("host-local"),
    )
    .unwrap();
    let keys = json!({"ipam": {"type": "host-local", "subnet": "10.1.0.0/16"}});
    let lines = logged(&node, "ADD", &config(keys.clone()));
    let delegate = find(&lines, "ADD /");
    assert_says(delegate["step"].as_str().unwrap(), &["host-local in this process"]);
    let own: Vec<&Value> = lines.iter().filter(|line| line["plugin"] == "host-local").collect();
    let (begin, end) = (own[0], own.last().unwrap());
    assert_eq!((&begin["kind"], &begin["within"]), (&json!("begin"), &delegate["id"]));
    assert_eq!(
        (&end["kind"], &end["outcome"], &end["id"]),
        (&json!("end"), &json!("ok"), &begin["id"])
    );
    let write = find(&lines, "write /var/lib/cni/networks/net/10.1.0.2");
    assert_eq!((&write["plugin"], &write["within"]), (&json!("host-local"), &begin["id"]));
    assert!(own.iter().all(|line| line["command"] == "ADD" && line["call"] == lines[0]["call"]));
    let others = lines.iter().filter(|line| line["plugin"] != "host-local");
    assert!(others.clone().count() > 5);
    assert!(others.into_iter().all(|line| line["plugin"] == "bridge"));
}

#[test]
fn masquerading_is_logged_with_its_backend() {
    if !feature::nftables_masquerade() {
        return not_run("log: this kernel does not masquerade by nf_tables");
    }
    let node = Node::giving(&["10.1.0.2/16"]);
    let keys = config(json!({"ipMasq": true, "ipMasqBackend": "nftables"}));
    let lines = logged(&node, "ADD", &keys);
    let step = find(&lines, "masquerade 10.1.0.2/16 by nftables");
    let within = |line: &&Value| line["within"] == step["id"];
    let transaction = lines.iter().find(within).unwrap();
    assert!(transaction["step"].as_str().unwrap().starts_with("nft "), "{transaction}");
    let lines = logged(&node, "DEL", &keys);
    find(&lines, "remove masquerading of");
}
