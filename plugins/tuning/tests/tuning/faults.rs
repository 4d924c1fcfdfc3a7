//! An ADD that fails, or of which nobody hears, leaves nothing.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use testsupport::Call;

use crate::attachment::{Attachment, KEPT, OWNER, every_attribute};

#[test]
fn an_attribute_that_the_kernel_refuses_undoes_all() {
    let tuned = Attachment::new();
    let first = tuned.sysctl("net.core.somaxconn");
    let before = tuned.link();
    let mut keys = every_attribute();
    keys["mtu"] = 70_000.into();
    keys["sysctl"] = json!({"net.core.somaxconn": "1000"});
    let message = tuned.call("ADD", keys).run().expect_error(100);
    assert!(
        message.starts_with("\"eth0\": set mac 02:00:00:00:00:0a, promisc true, mtu 70000"),
        "{message}"
    );
    assert_eq!(tuned.link(), before);
    assert_eq!(tuned.sysctl("net.core.somaxconn"), first);
    tuned.nothing_is_kept();
}

#[test]
fn a_failed_second_add_leaves_what_the_first_made() {
    let tuned = Attachment::new();
    tuned.call("ADD", json!({"mtu": 1400})).run().expect_success();
    let kept = tuned.kept();
    tuned.call("ADD", json!({"mtu": 70_000, "txQLen": 5})).run().expect_error(100);
    assert_eq!((&tuned.link()["mtu"], &tuned.link()["txQLen"]), (&json!(1400), &json!(1000)));
    assert_eq!(tuned.kept(), kept);
    assert!(fs::symlink_metadata(OWNER).is_ok());
}

#[test]
fn values_that_can_not_be_kept_are_not_replaced() {
    let tuned = Attachment::new();
    let first = tuned.sysctl("net.core.somaxconn");
    fs::write("/run/cni", "in the way").unwrap();
    let mut keys = every_attribute();
    keys["sysctl"] = json!({"net.core.somaxconn": "1000"});
    let before = tuned.link();
    let message = tuned.call("ADD", keys.clone()).run().expect_error(5);
    assert!(message.contains("/run/cni/tuning"), "{message}");
    keys["dataDir"] = "not/absolute".into();
    assert!(tuned.call("ADD", keys).run().expect_error(7).starts_with("dataDir: must be"));
    let long = "c".repeat(300);
    let elsewhere = json!({"mtu": 1400, "dataDir": "/run/elsewhere"});
    let call = tuned.call("ADD", elsewhere).container_id(&long);
    assert!(call.run().expect_error(5).contains("ENAMETOOLONG"));
    assert_eq!(tuned.link(), before);
    assert_eq!(tuned.sysctl("net.core.somaxconn"), first);
}

#[test]
fn without_the_interface_nothing_is_written() {
    let tuned = Attachment::new();
    let first = tuned.sysctl("net.core.somaxconn");
    let keys = json!({"sysctl": {"net.core.somaxconn": "1000"}, "mtu": 1400});
    let call = tuned.call("ADD", keys).ifname("eth7");
    assert_eq!(call.run().expect_error(100), "failed to get \"eth7\": Link not found");
    assert_eq!(tuned.sysctl("net.core.somaxconn"), first);
    assert!(!Path::new("/run/cni").exists());
}

#[test]
fn namespaces_that_are_none_or_the_plugins_own_are_refused() {
    let tuned = Attachment::new();
    for command in ["ADD", "CHECK"] {
        let message = tuned.call(command, every_attribute()).netns_path("/run/netns/none");
        assert!(message.run().expect_error(8).contains("/run/netns/none"));
    }
    let own = |command| tuned.call(command, every_attribute()).netns_path("/proc/self/ns/net");
    own("ADD").run().expect_error(8);
    tuned.call("ADD", every_attribute()).run().expect_success();
    own("DEL").run().expect_error(8);
    assert!(Path::new(KEPT).exists());
}

#[test]
fn an_add_that_nobody_hears_leaves_nothing() {
    let tuned = Attachment::new();
    let before = tuned.link();
    let input = tuned.host.temp_dir().join("in");
    fs::write(&input, tuned.config(every_attribute()).to_string()).unwrap();
    let mut process = tuned.call("ADD", json!({})).process();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    process.stdin(fs::File::open(&input).unwrap()).stdout(full);
    assert_eq!(process.status().unwrap().code(), Some(1));
    assert_eq!(tuned.link(), before);
    tuned.nothing_is_kept();
}

/// Below `bridge`, as in a list: the interface is set back and then removed.
#[test]
fn a_chain_behind_bridge_comes_and_goes() {
    let tuned = Attachment::new();
    let pod = tuned.host.container("pod");
    let call = |plugin: &str, command: &str, config: &Value| {
        let call = Call::new(plugin).command(command).container_id("c2").ifname("eth0");
        call.netns(&pod).config(config).run()
    };
    let mut bridge = json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bridge", "bridge": "br0", "isGateway": true,
        "ipam": {"type": "static", "addresses": [{"address": "10.1.0.5/24"}]},
    });
    let mut config = json!({
        "cniVersion": "1.0.0", "name": "net", "type": "tuning", "mtu": 1400,
        "mac": "02:00:00:00:00:0c", "sysctl": {"net.ipv4.conf.IFNAME.arp_notify": "1"},
    });
    config["prevResult"] = call("bridge", "ADD", &bridge).expect_success().json();
    let result = call("tuning", "ADD", &config).expect_success().json();
    assert!(pod.pings("10.1.0.1"));
    bridge["prevResult"] = result.clone();
    config["prevResult"] = result;
    for (plugin, config) in [("bridge", &bridge), ("tuning", &config)] {
        call(plugin, "CHECK", config).expect_silent_success();
    }
    for (plugin, config) in [("tuning", &config), ("bridge", &bridge)] {
        call(plugin, "DEL", config).expect_silent_success();
    }
    assert!(!pod.run(["ip", "-o", "link"]).contains("eth0"));
    tuned.nothing_is_kept();
}
