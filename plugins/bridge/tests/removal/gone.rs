//! What is gone when a plugin has ended, for whoever looks.

use nix::sys::prctl;
use serde_json::json;

use crate::network::Network;

#[test]
fn both_ends_are_gone_at_once_and_their_names_free() {
    prctl::set_child_subreaper(true).unwrap();
    let network = Network::new();
    let blue = network.host.container("blue");
    for _ in 0..30 {
        network.call("ADD", &blue).run().expect_success();
        network.call("DEL", &blue).run().expect_silent_success();
        let names = blue.inside(|| {
            let folders = std::fs::read_dir("/proc/thread-self/net/dev_snmp6").unwrap();
            folders.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
        });
        assert_eq!(names, ["lo"]);
        assert_eq!(network.host_ends(), (String::new(), Vec::new()));
        network.assert_gone(&blue);
    }
}

#[test]
fn gc_removes_every_stale_pair_and_no_other() {
    prctl::set_child_subreaper(true).unwrap();
    let network = Network::new();
    let containers: Vec<_> =
        (0..20).map(|number| network.attached(&format!("c{number}"))).collect();
    network.gc(&["c7"]).expect_silent_success();
    for container in &containers {
        let inside = container.run(["ip", "-o", "link"]);
        let expected = if container.name() == "c7" { 2 } else { 1 };
        assert_eq!(inside.lines().count(), expected, "{inside}");
    }
    let (shown, folders) = network.host_ends();
    assert_eq!((shown.lines().count(), folders.len()), (1, 1), "{shown}");
}

#[test]
fn a_guarded_port_is_removed_with_its_rules() {
    prctl::set_child_subreaper(true).unwrap();
    let network = Network::with(json!({"macspoofchk": true}));
    for _ in 0..10 {
        let blue = network.attached("blue");
        network.del(&blue);
        assert_eq!(network.host.run(["nft", "list", "ruleset"]), "");
        network.host.run(["ip", "netns", "delete", "blue"]);
    }
}
