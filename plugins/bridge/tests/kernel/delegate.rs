//! An IPAM plugin is somebody else's program: whatever it does, ADD answers, soon and clearly, and
//! leaves nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::node::{Node, assert_says, config};

/// A stand-in that answers ADD with `body`, and everything else with nothing.
fn script(body: &str) -> String {
    format!("#!/bin/sh\n[ \"$CNI_COMMAND\" = ADD ] || exit 0\n{body}\n")
}

const RESULT: &str = r#"{"cniVersion":"1.0.0","ips":[{"address":"10.1.0.2/16"}]}"#;

/// ADD fails with code 103 within seconds, naming the plugin and saying `parts`.
fn fails(body: &str, parts: &[&str]) {
    let node = Node::giving(&[]);
    node.write_ipam(&script(body));
    let blue = node.host.container("blue");
    let start = Instant::now();
    let message = node.add_leaves_nothing(&blue, &config(json!({"isGateway": true})), 103);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_says(&message, &["IPAM plugin \"stand-in\""]);
    assert_says(&message, parts);
}

/// ADD succeeds within seconds.
fn succeeds(body: &str) {
    let node = Node::giving(&[]);
    node.write_ipam(&script(body));
    let blue = node.host.container("blue");
    let start = Instant::now();
    node.add(&blue, &config(json!({"isGateway": true})));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert!(blue.pings("10.1.0.1"));
}

#[test]
fn garbage() {
    fails("echo nonsense", &["printed no result", "nonsense"]);
    fails("printf '\\377\\376'", &["printed no result"]);
    fails("echo '[]'", &["printed no result", "[]"]);
    fails(&format!("echo '{RESULT}{RESULT}'"), &["printed no result"]);
    fails("echo '{\"ips\":[{\"address\":\"10.1.0.2\"}]}'", &["printed no result"]);
    fails("echo '{\"cniVersion\":\"9.9.9\",\"ips\":[]}'", &["printed no result"]);
}

#[test]
fn nothing() {
    fails("exit 0", &["stdout is empty"]);
    fails("exit 1", &["without an error object", "exit status: 1", "stdout is empty"]);
    fails("exec >&-; exit 3", &["exit status: 3"]);
}

#[test]
fn megabytes() {
    fails("head -c 3000000 /dev/zero", &["more than 1048576 bytes"]);
    fails("exec yes", &["more than 1048576 bytes"]);
}

#[test]
fn an_end_by_a_signal() {
    fails("kill -9 $$", &["signal: 9"]);
    fails(&format!("echo '{RESULT}'; kill -11 $$"), &["signal: 11"]);
}

#[test]
fn a_result_with_a_failing_status_is_none() {
    fails(&format!("echo '{RESULT}'; exit 1"), &["exit status: 1"]);
}

#[test]
fn an_error_object_with_status_0_is_an_error() {
    let node = Node::giving(&[]);
    node.write_ipam(&script("echo '{\"code\":104,\"msg\":\"no more\",\"details\":\"at all\"}'"));
    let blue = node.host.container("blue");
    let config = config(json!({"isGateway": true}));
    assert_eq!(node.add_leaves_nothing(&blue, &config, 104), "no more");
    assert_eq!(node.run("ADD", &blue, &config).details(), "at all");
}

#[test]
fn a_child_left_behind_that_holds_stdout() {
    succeeds(&format!("sleep 30 2>/dev/null & echo '{RESULT}'"));
    fails("sleep 30 2>/dev/null & echo nonsense", &["nonsense"]);
}

#[test]
fn a_stdout_closed_before_the_end() {
    succeeds(&format!("echo '{RESULT}'; exec >&-; sleep 0.2; exit 0"));
    succeeds(&format!("exec <&-; sleep 0.1; echo '{RESULT}'"));
}

#[test]
fn a_result_of_another_version() {
    succeeds("echo '{\"cniVersion\":\"0.2.0\",\"ip4\":{\"ip\":\"10.1.0.2/16\"}}'");
    succeeds(
        "echo '{\"cniVersion\":\"0.3.1\",\"ips\":[{\"version\":\"4\",\"address\":\"10.1.0.2/16\"}]}'",
    );
    succeeds("echo '{\"ips\":[{\"address\":\"10.1.0.2/16\"}]}'");
}

#[test]
fn a_file_that_can_not_be_executed() {
    let node = Node::giving(&[]);
    let blue = node.host.container("blue");
    let program = node.ipam_dir().join("stand-in");
    fs::write(&program, "not a program").unwrap();
    fs::set_permissions(&program, PermissionsExt::from_mode(0o644)).unwrap();
    let message = node.add_leaves_nothing(&blue, &config(json!({"isGateway": true})), 103);
    assert_says(&message, &[program.to_str().unwrap(), "EACCES"]);
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let message = node.add_leaves_nothing(&blue, &config(json!({"isGateway": true})), 103);
    assert_says(&message, &[program.to_str().unwrap(), "ENOEXEC"]);
    fs::remove_file(&program).unwrap();
    fs::create_dir(&program).unwrap();
    let message = node.add_leaves_nothing(&blue, &config(json!({"isGateway": true})), 103);
    assert_says(&message, &["failed to find plugin \"stand-in\"", "/run/test/ipam"]);
    fs::remove_dir(&program).unwrap();
    let message = node.add_leaves_nothing(&blue, &config(json!({"isGateway": true})), 103);
    assert_says(&message, &["failed to find plugin \"stand-in\"", "/run/test/ipam"]);
}

#[test]
fn a_folder_that_can_not_be_searched_is_named() {
    let node = Node::giving(&[]);
    let blue = node.host.container("blue");
    fs::remove_file(node.ipam_dir().join("stand-in")).unwrap();
    let loops = node.ipam_dir().join("stand-in");
    std::os::unix::fs::symlink(&loops, &loops).unwrap();
    let answer = node.run("ADD", &blue, &config(json!({})));
    assert_says(&answer.expect_error(103), &["failed to find plugin \"stand-in\""]);
    assert_says(&answer.details(), &[loops.to_str().unwrap(), "ELOOP"]);
}
