//! The line about what takes long: on standard error, on a terminal, and nowhere else.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testsupport::{bin_dir, write_program};

use crate::node::{Node, tool};

/// What erases the line.
const ERASED: &str = "\r\u{1b}[K";

/// A host with a network whose plugin takes longer than a second.
fn slow() -> Node {
    let node =
        Node::new(&[json!({"cniVersion": "1.0.0", "name": "slow", "plugins": [{"type": "slow"}]})]);
    let plugin = node.host.temp_dir().join("slow");
    write_program(&plugin, "#!/bin/sh\nsleep 1.6\necho '{\"cniVersion\":\"1.0.0\"}'\n");
    node
}

/// What the tool prints on a terminal with these words, behind which the shell may send its output elsewhere.
pub(crate) fn on_a_terminal(node: &Node, words: &str) -> String {
    let folders = format!("{}:{}", node.host.temp_dir().display(), bin_dir().display());
    let lists = node.conf_dir();
    let tool = tool();
    let line = format!("CNI_PATH={folders} NETCONFPATH={} {tool} {words}", lists.display());
    // It makes a terminal of its own for the command.
    node.host.run(["script", "--quiet", "--return", "--command", &line, "/dev/null"])
}

#[test]
fn a_slow_plugin_is_waited_for_in_so_many_words() {
    let node = slow();
    let _containers = ["web", "db"].map(|name| node.host.container(name));
    let file = node.host.temp_dir().join("added");
    let words = format!("net add slow /run/netns/web --json > {}", file.display());
    let seen = on_a_terminal(&node, &words);
    let line = format!("{ERASED}waiting for the plugins of slow");
    assert!(seen.contains(&line), "{seen:?}");
    assert!(seen.ends_with(ERASED), "the line is left: {seen:?}");
    let printed = fs::read_to_string(file).unwrap();
    let added: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(added["version"], 1, "{printed}");

    // With standard output on the terminal, too, the line is gone before it.
    let seen = on_a_terminal(&node, "net add slow /run/netns/db");
    let (_, result) = seen.rsplit_once(ERASED).unwrap();
    assert!(result.trim_start().starts_with('{') && result.contains("cniVersion"), "{seen:?}");
    let begun = Instant::now();
    let seen = on_a_terminal(&node, "ls");
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(1) || !seen.contains(ERASED), "{took:?}: {seen:?}");
}

#[test]
fn nothing_is_told_where_there_is_no_terminal() {
    let node = slow();
    let _container = node.host.container("web");
    let folders = format!("--cni-path={}", node.host.temp_dir().display());
    let finished = node.tool(&["net", "add", "slow", "/run/netns/web", &folders]);
    assert_eq!(finished.status, Some(0), "{finished}");
    assert!(finished.stderr.is_empty(), "{finished}");
}
