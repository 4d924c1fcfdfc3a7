//! `host-local` in the process of `bridge`: only the executable of this very build is, and whichever way it
//! runs, callers see the same.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testsupport::{Answer, Container, bin_dir};

use crate::node::{Node, config};

/// What stands before the 20 bytes of a GNU build ID: lengths of name and ID, type, name.
const NOTE: &[u8] = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
const POOL: &str = "/var/lib/cni/networks/net";

/// What stands as `host-local` in the folder that is first in `CNI_PATH`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Found {
    Itself,
    Link,
    Copy,
    OtherBuild,
    Wrapper,
    HalfCopied,
}

/// Copies by a program: what this process itself has written, a child that another test starts in that
/// moment holds open, and it can't be executed until that is gone.
fn copy(node: &Node, from: &Path, to: &Path) {
    let [from, to] = [from, to].map(|path| path.to_str().unwrap());
    node.host.run(["cp", from, to]);
    node.host.run(["chmod", "755", to]);
}

fn put(node: &Node, found: Found) -> PathBuf {
    let (built, path) = (bin_dir().join("host-local"), node.ipam_dir().join("host-local"));
    let write = |bytes: &[u8]| {
        let source = node.host.temp_dir().join("source");
        fs::write(&source, bytes).unwrap();
        copy(node, &source, &path);
    };
    match found {
        Found::Itself => {}
        Found::Link => symlink(&built, &path).unwrap(),
        Found::Copy => write(&fs::read(&built).unwrap()),
        Found::OtherBuild => {
            let mut bytes = fs::read(&built).unwrap();
            let note = bytes.windows(NOTE.len()).position(|window| window == NOTE).unwrap();
            bytes[note + NOTE.len()] ^= 1;
            write(&bytes);
        }
        Found::Wrapper => write(format!("#!/bin/sh\nexec {}\n", built.display()).as_bytes()),
        Found::HalfCopied => {
            let bytes = fs::read(&built).unwrap();
            write(&bytes[..bytes.len() / 2]);
        }
    }
    path
}

fn keys(ipam: Value) -> Value {
    let mut ipam = ipam;
    ipam["type"] = json!("host-local");
    config(json!({"cniVersion": "1.1.0", "isDefaultGateway": true, "ipam": ipam}))
}

fn logged(node: &Node, command: &str, container: &Container, config: &Value) -> (Answer, bool) {
    let call = node.call(command, container).env("CNI_DEBUG", "1").config(config);
    let answer = call.run();
    let in_process = answer.stderr().contains("host-local in this process");
    (answer, in_process)
}

#[test]
fn the_executable_of_this_build_alone_is_called_in_the_process() {
    let ways = [
        (Found::Itself, true),
        (Found::Link, true),
        (Found::Copy, true),
        (Found::HalfCopied, true),
        (Found::OtherBuild, false),
        (Found::Wrapper, false),
    ];
    for (found, expected) in ways {
        let node = Node::giving(&[]);
        put(&node, found);
        let blue = node.host.container("blue");
        for command in ["ADD", "DEL"] {
            let config = keys(json!({"subnet": "10.1.0.0/16"}));
            let (answer, in_process) = logged(&node, command, &blue, &config);
            answer.expect_success();
            assert_eq!(in_process, expected, "{command} {found:?}\n{answer}");
        }
    }
}

#[test]
fn static_is_called_in_the_process_and_told_from_host_local() {
    let node = Node::giving(&[]);
    let blue = node.host.container("blue");
    let mut config = keys(json!({"addresses": [{"address": "10.1.0.7/16"}]}));
    config["ipam"]["type"] = json!("static");
    let call = |command| node.call(command, &blue).env("CNI_DEBUG", "1").config(&config).run();
    let answer = call("ADD");
    answer.expect_success();
    assert!(answer.stderr().contains("static in this process"), "{answer}");
    assert_eq!(answer.json()["ips"][0]["address"], "10.1.0.7/16");
    call("DEL").expect_success();
    // host-local under its name is not static.
    copy(&node, &bin_dir().join("host-local"), &node.ipam_dir().join("static"));
    let answer = call("ADD");
    assert!(!answer.stderr().contains("in this process"), "{answer}");
    answer.expect_error(7);
}

#[test]
fn an_executable_that_may_not_be_run_is_refused_as_before() {
    let node = Node::giving(&[]);
    let path = put(&node, Found::Copy);
    fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let blue = node.host.container("blue");
    let config = keys(json!({"subnet": "10.1.0.0/16"}));
    let message = node.add_leaves_nothing(&blue, &config, 103);
    assert!(message.contains("Permission denied"), "{message}");
}

fn noted(node: &Node, what: &str, answer: &Answer) -> String {
    let stdout = match serde_json::from_str::<Value>(&answer.stdout()) {
        Ok(mut result) => {
            result.as_object_mut().unwrap().remove("interfaces");
            result.to_string()
        }
        Err(_) => answer.stdout(),
    };
    let files = node.host.finish(["find", POOL, "-type", "f", "-name", "*[.:]*"]);
    let files = String::from_utf8_lossy(&files.stdout).lines().count();
    format!("{what}: {:?} {stdout} {files} files", answer.status())
}

/// What callers see of every command, in states good and bad, but for random MAC addresses and for the process
/// that a line of the log is of.
fn seen(found: Found) -> Vec<String> {
    let node = Node::giving(&[]);
    put(&node, found);
    let (blue, red) = (node.host.container("blue"), node.host.container("red"));
    let mut seen = Vec::new();
    let mut note = |what: &str, answer: &Answer| seen.push(noted(&node, what, answer));
    let tiny = keys(json!({"ranges": [[{"subnet": "10.1.0.0/30"}], [{"subnet": "fd00::/64"}]]}));
    let answer = node.run("ADD", &blue, &tiny);
    note("dual stack", &answer);
    let result = answer.json();
    note("second ADD", &node.run("ADD", &blue, &tiny));
    note("full pool", &node.run("ADD", &red, &tiny));
    note("CHECK", &node.check(&blue, &tiny, &result));
    note("STATUS", &node.run("STATUS", &blue, &tiny));
    fs::remove_file(format!("{POOL}/fd00::2")).unwrap();
    note("CHECK of a lost lease", &node.check(&blue, &tiny, &result));
    note("DEL", &node.run("DEL", &blue, &tiny));
    note("DEL of nothing", &node.run("DEL", &blue, &tiny));
    for (what, ipam) in [
        ("host bits", json!({"subnet": "10.1.0.1/16"})),
        ("too small", json!({"subnet": "10.1.0.0/31"})),
        ("no range", json!({})),
        ("not a range", json!({"ranges": 7})),
        ("no resolv.conf", json!({"subnet": "10.2.0.0/16", "resolvConf": "/no/file"})),
        ("no folder", json!({"subnet": "10.2.0.0/16", "dataDir": "/proc/no"})),
    ] {
        for command in ["ADD", "STATUS", "DEL"] {
            note(&format!("{command} {what}"), &node.run(command, &blue, &keys(ipam.clone())));
        }
    }
    let mut old =
        keys(json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/24"}]]}));
    old["cniVersion"] = json!("0.2.0");
    note("two addresses in 0.2.0", &node.run("ADD", &blue, &old));
    let mut wide = keys(json!({"subnet": "10.3.0.0/16"}));
    wide["forceAddress"] = json!(true);
    let call = |command| node.call(command, &blue).config(&wide);
    note("a requested address", &call("ADD").args("IP=10.3.0.9").run());
    call("DEL").run().expect_success();
    note("one outside", &call("ADD").args("IP=10.4.0.9").run());
    note("unknown arguments", &call("ADD").args("COLOUR=blue").run());
    for path in ["", "/no/folder"] {
        note("nothing in CNI_PATH", &call("ADD").env("CNI_PATH", path).run());
    }
    note("the gateway", &call("ADD").args("IP=10.3.0.1").run());
    node.run("ADD", &blue, &wide).expect_success();
    for valid in [json!([{"containerID": "blue", "ifname": "eth0"}]), json!([])] {
        let mut gc = wide.clone();
        gc["cni.dev/valid-attachments"] = valid;
        note("GC", &node.run("GC", &blue, &gc));
    }
    seen
}

#[test]
fn callers_see_the_same_either_way() {
    let (in_process, as_program) = (seen(Found::Itself), seen(Found::OtherBuild));
    for (one, other) in in_process.iter().zip(&as_program) {
        assert_eq!(one, other);
    }
    assert_eq!(in_process.len(), as_program.len());
}
