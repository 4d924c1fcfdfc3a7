//! Attachments that the reference plugin made.

use serde_json::{Value, json};
use testsupport::{Call, REFERENCE_DIR};

use crate::world::{Pod, World, both};

/// What the nftables backend of release 1.9.1 makes for container c1 of `both(8080, 80)`; older
/// packages do not have that backend.
const NATIVE: &str = r#"
table ip cni_hostport {
    chain hostports {
        tcp dport 8080 dnat to 10.1.0.2:80 comment "c1"
        udp dport 8080 dnat to 10.1.0.2:80 comment "c1"
        tcp dport 9090 dnat to 10.1.0.9:80 comment "c9"
    }
    chain hostip_hostports { }
    chain hostports_all { jump hostip_hostports; jump hostports; }
    chain prerouting { type nat hook prerouting priority dstnat; policy accept; fib daddr type local jump hostports_all; }
    chain masquerading {
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr 10.1.0.2 ip daddr 10.1.0.2 masquerade comment "c1"
        ip saddr 127.0.0.1 ip daddr 10.1.0.2 masquerade comment "c1"
    }
}
table ip6 cni_hostport {
    chain hostports {
        tcp dport 8080 dnat to [fd00:1::2]:80 comment "c1"
        udp dport 8080 dnat to [fd00:1::2]:80 comment "c1"
    }
    chain masquerading {
        type nat hook postrouting priority srcnat; policy accept;
        ip6 saddr fd00:1::2 ip6 daddr fd00:1::2 masquerade comment "c1"
    }
}
"#;

fn load(world: &World) {
    let file = world.host.temp_dir().join("rules.nft");
    std::fs::write(&file, NATIVE).unwrap();
    world.run(&format!("nft -f {}", file.display()));
}

/// An ADD by the distribution's `portmap`.
fn add(pod: &Pod, mappings: &Value) {
    let mut config = pod.config(mappings, json!({}));
    config["cniVersion"] = "1.0.0".into();
    config["prevResult"]["cniVersion"] = "1.0.0".into();
    let call = Call::of(format!("{REFERENCE_DIR}/portmap")).command("ADD").container_id(&pod.name);
    call.ifname("eth0").netns(&pod.container).config(config).run().expect_success();
}

#[test]
fn its_rules_on_nftables_are_recognised_and_removed() {
    let world = World::new();
    let pod = world.pod("c1", 1);
    load(&world);
    pod.run("CHECK", &both(8080, 80)).expect_silent_success();
    let mut more = both(8080, 80);
    more.as_array_mut().unwrap().push(both(8081, 80)[0].clone());
    pod.run("CHECK", &more).expect_error(102);
    pod.unmap(&both(8080, 80));
    let rules = world.ruleset();
    assert!(!rules.contains("\"c1\"") && rules.contains("\"c9\""), "{rules}");
    pod.run("CHECK", &both(8080, 80)).expect_error(102);
}

#[test]
fn its_rules_on_iptables_are_recognised_and_removed() {
    let world = World::new();
    let (pod, other) = (world.pod("c1", 1), world.pod("c2", 1));
    add(&other, &both(9090, 80));
    let others = world.iptables();
    add(&pod, &both(8080, 80));
    pod.run("CHECK", &both(8080, 80)).expect_silent_success();
    pod.unmap(&both(8080, 80));
    assert_eq!(world.iptables(), others);
    pod.run("CHECK", &both(8080, 80)).expect_error(102);
}

#[test]
fn an_add_of_the_same_attachment_replaces_its_rules() {
    let world = World::new();
    let pod = world.pod("c1", 1);
    add(&pod, &both(8080, 80));
    load(&world);
    pod.map(&both(8080, 80));
    let rules = world.ruleset();
    assert!(!rules.contains("\"c1\"") && !rules.contains("CNI-DN-"), "{rules}");
    pod.run("CHECK", &both(8080, 80)).expect_silent_success();
}

#[test]
fn gc_removes_its_rules_on_iptables_of_what_lives_no_more() {
    let world = World::new();
    let (pod, other) = (world.pod("c1", 1), world.pod("c2", 1));
    add(&other, &both(9090, 80));
    let others = world.iptables();
    add(&pod, &both(8080, 80));
    let config = json!({
        "cniVersion": "1.1.0", "name": "net", "type": "portmap",
        "cni.dev/valid-attachments": [{"containerID": "c2", "ifname": "eth0"}],
    });
    Call::new("portmap").command("GC").config(config).run().expect_silent_success();
    assert_eq!(world.iptables(), others);
}

#[test]
fn gc_removes_its_rules_on_nftables_that_lead_to_the_networks_subnets() {
    let world = World::new();
    let (pod, other) = (world.pod("c1", 1), world.pod("c2", 1));
    load(&world);
    let gc = |living: &[&str]| {
        let entry = |name: &&str| json!({"containerID": name, "ifname": "eth0"});
        let living: Vec<Value> = living.iter().map(entry).collect();
        let config = json!({
            "cniVersion": "1.1.0", "name": "net", "type": "portmap",
            "cni.dev/valid-attachments": living,
        });
        Call::new("portmap").command("GC").config(config).run().expect_silent_success();
    };
    let theirs = || {
        world.run("nft list table ip cni_hostport") + &world.run("nft list table ip6 cni_hostport")
    };
    let all = theirs();
    gc(&[]);
    assert_eq!(theirs(), all, "nothing says of which network they are");
    other.map(&both(7070, 80));
    gc(&["c1", "c2", "c9"]);
    assert_eq!(theirs(), all);
    gc(&["c1", "c2"]);
    assert!(theirs().contains("\"c1\"") && !theirs().contains("\"c9\""), "{}", theirs());
    pod.run("CHECK", &both(8080, 80)).expect_silent_success();
    gc(&["c2"]);
    assert!(!theirs().contains("\"c1\""), "{}", theirs());
    other.run("CHECK", &both(7070, 80)).expect_silent_success();
}
