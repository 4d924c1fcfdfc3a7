//! What goes on while the IPAM plugin runs: beside one that only gives addresses the links are
//! made, any other finds them made.

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;
use testsupport::write_program;

use crate::node::{Node, config, host_end, ips};

/// Whether bridge ports can be locked: since Linux 5.18.
fn can_lock_ports() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    (numbers.next().unwrap(), numbers.next().unwrap()) >= (5, 18)
}

#[test]
fn an_ipam_plugin_that_is_not_known_finds_the_container_interface_up() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let answer = ips(&["10.1.0.2/16"]);
    node.write_ipam(&format!(
        "#!/bin/sh\n[ $CNI_COMMAND = ADD ] || exit 0\n\
         nsenter --net=$CNI_NETNS ip -o link show dev eth0 > ${{0%/*}}/seen\necho '{answer}'\n"
    ));
    let blue = node.host.container("blue");
    node.add(&blue, &config(json!({"isGateway": true})));
    let seen = fs::read_to_string(node.ipam_dir().join("seen")).unwrap();
    assert!(seen.contains("eth0") && seen.contains(",UP"), "{seen}");
    assert!(blue.pings("10.1.0.1"));
}

#[test]
fn beside_one_that_only_gives_addresses_the_port_is_up_and_locked_until_the_container_has_them() {
    let node = Node::giving(&[]);
    let answer = ips(&["10.1.0.2/16"]);
    // Looks at the port until it is as it should be, for at most five seconds: it is made first, and
    // locked by the next message.
    let locked = if can_lock_ports() { "locked on" } else { "." };
    let script = format!(
        "#!/bin/sh\n[ $CNI_COMMAND = ADD ] || exit 0\nfor turn in $(seq 50); do\n\
         bridge -details link show > ${{0%/*}}/seen\n\
         grep -q 'veth.*LOWER_UP.*state forwarding' ${{0%/*}}/seen && grep -q '{locked}' ${{0%/*}}/seen && break\nsleep 0.1\ndone\necho '{answer}'\n"
    );
    for name in ["host-local", "static"] {
        let path = node.ipam_dir().join(name);
        write_program(&path, &script);
        let blue = node.host.container(name);
        let result = node.add(&blue, &config(json!({"isGateway": true, "ipam": {"type": name}})));
        let seen = fs::read_to_string(node.ipam_dir().join("seen")).unwrap();
        assert!(seen.contains(&host_end(&result)), "{seen}");
        assert_eq!(seen.contains("locked on"), can_lock_ports(), "{seen}");
        let after = node.host.run(["bridge", "-details", "link", "show"]);
        assert!(!after.contains("locked on"), "{after}");
        assert!(blue.pings("10.1.0.1"));
    }
}

#[test]
fn a_bridge_that_is_removed_as_soon_as_it_has_the_port_is_made_again() {
    let node = Node::giving(&[]);
    let keys = config(json!({
        "isGateway": true,
        "ipam": {"type": "host-local", "subnet": "10.1.0.0/16"},
    }));
    let (first, blue) = (node.host.container("first"), node.host.container("blue"));
    node.add(&first, &keys);
    node.del(&first, &keys);
    let stdin = node.ipam_dir().join("config");
    fs::write(&stdin, keys.to_string()).unwrap();
    let plugin = node.call("ADD", &blue).process();
    // The sixth message is the port's alias: see docs/architecture.md.
    let late = "inject=sendto:delay_enter=1000000:when=6";
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-o", "/dev/null", "-e", "trace=sendto", "-e", late]);
    strace.arg(plugin.get_program()).env_clear();
    strace.envs(plugin.get_envs().filter_map(|(name, value)| Some((name, value?))));
    strace.stdin(fs::File::open(stdin).unwrap()).stdout(Stdio::null());
    let mut add = strace.spawn().unwrap();
    let ports = || node.host.run(["ip", "-o", "link", "show", "master", "br0"]);
    let deadline = Instant::now() + Duration::from_secs(10);
    while ports().is_empty() && Instant::now() < deadline {
        sleep(Duration::from_millis(10));
    }
    node.host.run(["ip", "link", "del", "br0"]);
    assert!(add.wait().unwrap().success());
    assert_eq!(ports().lines().count(), 1);
    assert!(blue.pings("10.1.0.1"));
}
