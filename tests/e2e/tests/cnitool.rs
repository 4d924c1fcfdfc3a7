//! cnitool, the specification's own small runtime, if it is installed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use e2e::peer::Place;
use e2e::{Node, Pod, pages, plugins, remains};
use testsupport::{Outside, not_run};

/// Whether it is there; otherwise the test is listed as one that could not run.
fn is_installed(node: &Node) -> bool {
    let found = node.finish(["sh", "-c", "command -v cnitool"]).status == Some(0);
    if !found {
        not_run("cnitool is not on PATH");
    }
    found
}

fn network() -> String {
    pages::block("docs/runtimes/containerd.md", "json", 0)
}

/// The namespace that the page's commands make.
fn blue() -> Pod {
    let calls = plugins::calls();
    let add = calls.iter().find(|call| call.is("bridge", "ADD")).unwrap();
    Pod { id: add.variable("CONTAINERID").to_owned(), netns: PathBuf::from("/run/netns/blue") }
}

fn remains(node: &Node, id: &str) -> Vec<String> {
    let marks = ["10.85.", "10.88.", "fd85::", id];
    let mut found = remains::list(node, &["cni0"], &marks);
    found.retain(|line| line != "namespace blue");
    found
}

#[test]
fn a_chain_is_added_checked_and_deleted() {
    let node = Node::new();
    if !is_installed(&node) {
        return;
    }
    node.configure("10-pods.conflist", &network());
    // As one script: its variable is for the rest of it.
    node.must(&format!("set -e\n{}", pages::block("docs/runtimes/cnitool.md", "sh", 0)));
    for plugin in ["bridge", "portmap", "firewall", "bandwidth", "tuning"] {
        for command in ["ADD", "CHECK", "DEL"] {
            let count = plugins::calls().iter().filter(|call| call.is(plugin, command)).count();
            assert_eq!(count, 1, "{command} of {plugin}");
        }
    }
    assert_eq!(remains(&node, &blue().id), Vec::<String>::new());
}

#[test]
fn a_port_of_the_node_leads_to_the_container() {
    let node = Node::new();
    if !is_installed(&node) {
        return;
    }
    node.configure("10-pods.conflist", &network());
    node.run(["ip", "netns", "add", "blue"]);
    let ports =
        r#"{ "portMappings": [{ "hostPort": 8080, "containerPort": 9000, "protocol": "tcp" }] }"#;
    let cnitool = |command: &str| {
        let line = format!(
            "CAP_ARGS='{ports}' CNI_PATH=/opt/cni/bin cnitool {command} pods /run/netns/blue"
        );
        node.must(&line)
    };
    cnitool("add");
    let blue = blue();
    {
        let _blue = Place::Pod(&blue).answer(&node);
        let outside = Place::Beside(node.outside());
        assert_eq!(
            outside.ask(&node, &Outside::HOST.to_string(), "8080"),
            Outside::ADDRESS.to_string()
        );
    }
    cnitool("del");
    assert_eq!(remains(&node, &blue.id), Vec::<String>::new());
}

#[test]
fn check_fails_when_an_address_is_gone() {
    let node = Node::new();
    if !is_installed(&node) {
        return;
    }
    node.configure("10-pods.conflist", &network());
    node.run(["ip", "netns", "add", "blue"]);
    let line =
        |command: &str| format!("CNI_PATH=/opt/cni/bin cnitool {command} pods /run/netns/blue");
    node.must(&line("add"));
    blue().run(&node, &["ip", "-4", "address", "flush", "dev", "eth0"]);
    let check = node.finish(["sh", "-c", &line("check")]);
    let error = String::from_utf8_lossy(&check.stderr).into_owned();
    assert!(check.status != Some(0) && error.contains("10.85.0.2/16"), "{check}");
}

#[test]
fn status_tells_whether_the_network_is_ready_and_gc_detaches_what_is_cached() {
    let node = Node::new();
    if !is_installed(&node) {
        return;
    }
    let minimal = pages::block("README.md", "json", 0);
    let newest = minimal.replace("\"cniVersion\": \"1.0.0\"", "\"cniVersion\": \"1.1.0\"");
    assert_ne!(minimal, newest);
    node.configure("10-pods.conflist", &newest);
    let cnitool = |command: &str| {
        let line = format!("CNI_PATH=/opt/cni/bin cnitool {command} pods /run/netns/blue");
        node.finish(["sh", "-c", &line])
    };
    node.run(["ip", "netns", "add", "blue"]);
    cnitool("status").success();
    cnitool("add").success();
    cnitool("check").success();
    let blue = blue();

    // It does not say who lives.
    cnitool("gc").success();
    assert_eq!(remains(&node, &blue.id), Vec::<String>::new());

    node.configure("10-pods.conflist", &newest.replace("10.88.0.0/16", "10.88.0.1/16"));
    let status = cnitool("status");
    let error = String::from_utf8_lossy(&status.stderr).into_owned();
    assert!(status.status != Some(0) && error.contains("Network has host bits set"), "{status}");
}
