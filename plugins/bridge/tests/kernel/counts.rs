//! What an attachment costs, in numbers that are the same on every machine: processes that are
//! started and messages that are sent, as a tracer sees them.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::json;
use testsupport::Container;

use crate::node::{Node, config};

/// The lines that `strace -f` writes of `calls` during a command, of a network with `host-local`.
fn traced(node: &Node, command: &str, container: &Container, calls: &str) -> Vec<String> {
    let keys = config(json!({
        "isDefaultGateway": true,
        "ipam": {"type": "host-local", "subnet": "10.1.0.0/16"},
    }));
    let (stdin, trace) = (node.ipam_dir().join("config"), node.ipam_dir().join("trace"));
    fs::write(&stdin, keys.to_string()).unwrap();
    let plugin = node.call(command, container).process();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", &format!("trace={calls}"), "-o"]).arg(&trace);
    strace.arg(plugin.get_program()).env_clear();
    strace.envs(plugin.get_envs().filter_map(|(name, value)| Some((name, value?))));
    strace.stdin(fs::File::open(stdin).unwrap()).stdout(Stdio::null());
    assert!(strace.status().unwrap().success());
    let trace = fs::read_to_string(trace).unwrap();
    let is_begun = |line: &&str| line.contains('(') && !line.contains("resumed>");
    trace.lines().filter(is_begun).map(str::to_owned).collect()
}

#[test]
fn no_process_is_started() {
    let node = Node::giving(&[]);
    let blue = node.host.container("blue");
    for command in ["ADD", "DEL"] {
        let started = traced(&node, command, &blue, "execve");
        assert_eq!(started.len(), 1, "{started:#?}");
        assert!(started[0].contains("/bridge\""), "{started:#?}");
    }
}

#[test]
fn an_add_sends_15_rtnetlink_messages_and_a_del_three() {
    let node = Node::giving(&[]);
    let (first, blue) = (node.host.container("first"), node.host.container("blue"));
    traced(&node, "ADD", &first, "none");
    for (command, most) in [("ADD", 15), ("DEL", 3)] {
        let sent = traced(&node, command, &blue, "socket,sendto");
        // The packet filter has sockets of its own; a readiness that is not there yet asks again.
        let route = sent.iter().position(|line| line.contains("NETLINK_ROUTE")).unwrap();
        let filter = sent.iter().position(|line| line.contains("NETLINK_NETFILTER"));
        let sent = &sent[route..filter.unwrap_or(sent.len())];
        let messages = sent.iter().filter(|line| line.contains("sendto")).count();
        let asked_again = sent.iter().filter(|line| line.contains("NETLINK_ROUTE")).count();
        match (command, asked_again) {
            ("ADD", 2) | ("DEL", 3) => assert_eq!(messages, most, "{command}: {sent:#?}"),
            _ => assert!(messages <= most + 20, "{command}: {sent:#?}"),
        }
    }
}

#[test]
fn proc_sys_net_is_looked_up_once_in_each_namespace() {
    let node = Node::giving(&[]);
    let (first, blue) = (node.host.container("first"), node.host.container("blue"));
    traced(&node, "ADD", &first, "none");
    // One of the two, depending on the C library.
    let opened = traced(&node, "ADD", &blue, "/^open(at)?$");
    let of = |part: &str| opened.iter().filter(|line| line.contains(part)).count();
    assert!(of("/accept_ra\"") == 3 && of("ip_forward\"") == 1, "{opened:#?}");
    assert_eq!(of("\"/proc/sys/net"), 2, "{opened:#?}");
    // Below that, the kernel keeps an `ipv4` and an `ipv6` of every namespace.
    assert_eq!(of("\"ipv4/") + of("\"ipv6/"), 3, "{opened:#?}");
    // Set by the message that brings the interface up.
    assert_eq!(of("arp_notify"), 0, "{opened:#?}");
    assert_eq!(blue.run(["sysctl", "-n", "net.ipv4.conf.eth0.arp_notify"]).trim(), "1");
}

#[test]
fn a_pair_has_one_queue_each_way() {
    let node = Node::giving(&[]);
    let blue = node.host.container("blue");
    traced(&node, "ADD", &blue, "none");
    let inside = blue.run(["ip", "-d", "link", "show", "eth0"]);
    let outside = node.host.run(["ip", "-d", "link", "show", "type", "veth"]);
    for shown in [inside, outside] {
        assert!(shown.contains(" numtxqueues 1 numrxqueues 1 "), "{shown}");
    }
}
