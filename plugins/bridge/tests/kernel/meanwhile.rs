//! What goes on while the IPAM plugin runs: beside one that only gives addresses the links are
//! made, any other finds them made.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

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
        fs::write(&path, &script).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
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
