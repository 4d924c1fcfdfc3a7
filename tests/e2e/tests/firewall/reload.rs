//! After a reload of firewalld, which flushes what was added while it ran.

use std::fs;

use e2e::firewalld::Firewalld;
use e2e::peer::{PORT, Place};
use e2e::{Node, checkout};
use serde_json::json;
use testsupport::{Outside, bin_dir};

use crate::{assert_open, attach, detach, network, reaches, rules, runtime};

#[test]
fn a_reload_of_firewalld_is_found_by_check_and_mended_by_the_next_add() {
    let node = Node::new();
    let firewalld = Firewalld::start(&node, &[]);
    let network = network(&json!({}));
    let web = attach(&node, &network, "web");
    firewalld.run(&["--reload"]);
    let error = runtime(&node).check(&network, &web.attachment).unwrap_err().object();
    let said = error.to_string();
    assert!(error["code"] == 102 && said.contains("is not in zone trusted of firewalld"), "{said}");
    let client = attach(&node, &network, "client");
    assert_open(&node, [&web, &client]);
    detach(&node, &network, [&web, &client]);
}

/// The operator's tool, with the exit status that it must have. What it printed.
fn tool(node: &Node, words: &str, status: i32) -> String {
    let program = bin_dir().join("causeway").display().to_string();
    let cache = node.temp_dir().join("cache").display().to_string();
    // Not those of the node, which are scripts that record their calls.
    let plugins = format!("CNI_PATH={}", bin_dir().display());
    let line = ["env", &plugins, &program, "--cache-dir", &cache];
    let line = line.into_iter().chain(words.split(' '));
    let finished = node.finish(line.collect::<Vec<_>>());
    assert_eq!(finished.status, Some(status), "{words}: {finished}");
    String::from_utf8(finished.stdout).unwrap()
}

#[test]
fn a_reload_of_firewalld_is_found_by_the_tool_and_mended_by_the_unit_that_follows_it() {
    let node = Node::new();
    let firewalld = Firewalld::start(&node, &[]);
    let network = network(&json!({}));
    fs::write("/etc/cni/net.d/pods.conflist", network.to_json().to_string()).unwrap();
    let pods = ["web", "client"].map(|name| attach(&node, &network, name));
    let [web, client] = &pods;
    assert_eq!(tool(&node, "check", 0), "nothing is wrong\n");
    assert_open(&node, [web, client]);
    firewalld.run(&["--reload"]);
    assert_eq!(firewalld.sources("trusted"), Vec::<String>::new());
    {
        let _outside = Place::Beside(node.outside()).answer(&node);
        let neighbour = Outside::ADDRESS.to_string();
        assert!(!reaches(&node, Some(&web.container), &neighbour, PORT), "{}", rules(&node));
    }
    let found = tool(&node, "check", 4);
    for name in ["web", "client"] {
        let line = format!("attachment-without-rules pods/{name}/eth0: ");
        assert!(found.contains(&line), "{found}");
    }
    // Both addresses of either container.
    assert_eq!(found.matches("is not in zone trusted").count(), 4, "{found}");
    // What systemd calls when firewalld is reloaded.
    let unit = checkout().join("examples/systemd/causeway-repair-after-reload.service");
    let unit = fs::read_to_string(unit).unwrap();
    assert!(unit.lines().any(|line| {
        line.strip_prefix("ReloadPropagatedFrom=")
            .is_some_and(|of| of.contains("firewalld.service"))
    }));
    let call = unit.lines().find_map(|line| line.strip_prefix("ExecReload=/usr/bin/causeway "));
    let done = tool(&node, call.unwrap(), 1);
    assert!(done.contains("repaired pods/web/eth0: "), "{done}");
    assert_eq!(firewalld.sources("trusted").len(), 4);
    assert_eq!(tool(&node, "check", 0), "nothing is wrong\n");
    assert_open(&node, [web, client]);
    detach(&node, &network, [web, client]);
}
