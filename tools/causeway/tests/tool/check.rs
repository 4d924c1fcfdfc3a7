//! `causeway check` and `causeway repair`: each fault is found, mended by the command that is named, and then
//! traffic flows.

use std::fs;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::json;
use testsupport::{Container, Outside};

use crate::node::{Node, attachment, lease, pods_with};
use crate::scene::Scene;

#[test]
fn flushed_rules_are_put_back() {
    let scene = Scene::new();
    scene.run("nft flush ruleset");
    let found = scene.finds(&["attachment-without-rules", "route-localnet-without-guard"]);
    assert!(!scene.web.pings(&Outside::ADDRESS.to_string()), "they are needed");
    scene.repaired(&found);
    scene.is_sound();
}

#[test]
fn a_limit_that_was_taken_away_is_put_back() {
    let bandwidth = json!({"type": "bandwidth", "capabilities": {"bandwidth": true}});
    let network = pods_with(bandwidth);
    let node = Node::new(&[network]);
    let container = node.host.container("slow");
    let rates = json!({"ingressRate": 8_000_000, "ingressBurst": 8_000_000});
    let about = attachment(&container).capabilities([("bandwidth", rates)]);
    let result = node.add("pods", &about);
    let (free, _) = node.attach("pods", "free");
    let link = result["interfaces"][1]["name"].as_str().unwrap();
    let root = || node.host.run(["tc", "qdisc", "show", "dev", link, "root"]);
    let limited = root();
    assert!(limited.contains("tbf"), "{limited}");
    assert_eq!(node.text(&["check"], 0), "nothing is wrong\n");
    assert_eq!(node.shown("pods", "slow")["rates"]["ingressRate"], 8_000_000);
    node.host.run(["tc", "qdisc", "delete", "dev", link, "root"]);
    let found = node.json(&["check"], 4)["findings"].clone();
    assert_eq!(found.as_array().unwrap().len(), 1, "{found:#}");
    assert_eq!(found[0]["kind"], "attachment-without-rules");
    node.json(&["repair"], 1);
    assert!(root().contains("tbf"), "{}", root());
    assert_eq!(node.text(&["check"], 0), "nothing is wrong\n");
    assert!(container.pings("10.85.0.1") && free.pings("10.85.0.1"));
}

#[test]
fn one_element_that_is_missing_among_many_is_found() {
    let scene = Scene::new();
    let set = "nft delete element inet causeway masq/pods/10.85.0.0/16 { 10.85.0.3 }";
    scene.run(set);
    let found = scene.finds(&["attachment-without-rules"]);
    assert_eq!(found[0]["subject"], "pods/other/eth0", "{found:#?}");
    assert_eq!(found.len(), 1);
    scene.repaired(&found);
    scene.is_sound();
    scene.run("nft flush chain inet causeway masq/pods/10.85.0.0/16");
    let found = scene.finds(&["attachment-without-rules"]);
    assert_eq!(found.len(), 2, "the rule that both share: {found:#?}");
    scene.repaired(&found);
    scene.is_sound();
}

#[test]
fn a_bridge_that_lost_its_address_or_went_down_and_forwarding_are_put_back() {
    let scene = Scene::new();
    scene.run("ip address flush dev cni0");
    let found = scene.finds(&["bridge-without-address"]);
    assert!(found[0]["fault"].as_str().unwrap().contains("10.85.0.1/16"), "{found:#?}");
    scene.repaired(&found);
    scene.is_sound();
    scene.run("sysctl -qw net.ipv4.ip_forward=0");
    scene.repaired(&scene.finds(&["forwarding-off"]));
    scene.is_sound();
    scene.run("ip link set cni0 down");
    scene.repaired(&scene.finds(&["bridge-altered"]));
    scene.is_sound();
}

#[test]
fn a_bridge_that_was_deleted_is_made_again_with_its_ports() {
    let scene = Scene::new();
    scene.run("ip link delete cni0");
    let found = scene.finds(&["bridge-altered", "bridge-without-address", "port-off-bridge"]);
    scene.repaired(&found);
    // Neighbours learn the new address of their gateway.
    scene.web.run(["ip", "neighbour", "flush", "all"]);
    scene.run("sysctl -qw net.ipv4.conf.cni0.route_localnet=1");
    scene.is_sound();
}

#[test]
fn an_address_file_that_was_deleted_is_written_again_for_who_has_the_address() {
    let scene = Scene::new();
    let file = lease("pods", "10.85.0.2");
    let content = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let found = scene.finds(&["interface-without-lease"]);
    scene.repaired(&found);
    assert_eq!(fs::read(&file).unwrap(), content);
    scene.is_sound();
    // It proves as much as before.
    scene.run(&format!("ip link delete {}", scene.link));
    let found = scene.finds(&["dead-attachment"]);
    assert_eq!(found[0]["mend"], "causeway gc pods");
    scene.node.json(&["gc", "pods"], 1);
    // With the last published port its guard goes, and what it guards from.
    assert_eq!(scene.node.text(&["check"], 0), "nothing is wrong\n");
    scene.run("sysctl -qw net.ipv4.conf.cni0.route_localnet=1");
    let found = scene.finds(&["route-localnet-without-guard"]);
    scene.run(found[0]["mend"].as_str().unwrap());
    assert_eq!(scene.node.text(&["check"], 0), "nothing is wrong\n");
}

#[test]
fn an_address_file_without_a_link_is_the_operators_to_judge() {
    let scene = Scene::new();
    fs::write(lease("pods", "10.85.0.9"), "theirs\r\neth0").unwrap();
    fs::write(lease("pods", "10.85.0.10"), "kept for the printer, ask Ann").unwrap();
    let found = scene.finds(&["lease-without-interface"]);
    assert_eq!(found.len(), 1, "a note is no fault: {found:#?}");
    let mend = found[0]["mend"].as_str().unwrap().strip_prefix("if it is gone: ").unwrap();
    scene.run(mend);
    scene.is_sound();
}

#[test]
fn ends_of_different_lengths_are_found() {
    let scene = Scene::new();
    scene.run(&format!("ip link set dev {} mtu 1400", scene.link));
    let found = scene.finds(&["mtu-mismatch"]);
    scene.run(found[0]["mend"].as_str().unwrap());
    scene.is_sound();
}

#[test]
fn an_address_on_two_containers_is_found() {
    let scene = Scene::new();
    let (third, _) = scene.node.attach("pods", "third");
    third.run(["ip", "address", "add", "10.85.0.2/16", "dev", "eth0"]);
    let found = scene.finds(&["address-on-two"]);
    let fault = found[0]["fault"].as_str().unwrap();
    assert!(fault.contains("pods/third/eth0") && fault.contains("pods/web/eth0"), "{fault}");
    scene.node.del("pods", &attachment(&third));
    scene.web.run(["ip", "neighbour", "flush", "all"]);
    scene.node.host.run(["ip", "neighbour", "flush", "all"]);
    scene.is_sound();
}

#[test]
fn a_chain_that_drops_is_named_with_its_rule() {
    let scene = Scene::new();
    scene.run("nft add table inet strict");
    let chain = "{ type filter hook forward priority 0 ; }";
    scene.node.host.run(["nft", "add", "chain", "inet", "strict", "closed", chain]);
    scene.run("nft add rule inet strict closed counter drop");
    let found = scene.finds(&["forwarding-dropped"]);
    assert_eq!(found[0]["subject"], "table inet strict, chain closed");
    assert!(found[0]["fault"].as_str().unwrap().contains("rule of handle"), "{found:#?}");
    assert!(!scene.web.pings(&Outside::ADDRESS.to_string()));
    scene.run("nft delete table inet strict");
    scene.is_sound();
    scene.run("iptables -P FORWARD DROP");
    let found = scene.finds(&["forwarding-dropped"]);
    assert!(found[0]["subject"].as_str().unwrap().contains("chain FORWARD"), "{found:#?}");
    scene.run("iptables -P FORWARD ACCEPT");
    scene.is_sound();
}

#[test]
fn a_program_on_a_published_port_is_found() {
    let scene = Scene::new();
    let program = TcpListener::bind("0.0.0.0:8080").unwrap();
    let found = scene.finds(&["published-port-in-use"]);
    assert_eq!(found[0]["subject"], "8080/tcp");
    let fault = found[0]["fault"].as_str().unwrap();
    assert!(fault.contains(&format!("(process {})", std::process::id())), "{fault}");
    drop(program);
    scene.is_sound();
}

#[test]
fn lists_that_no_plugin_can_run_and_networks_that_overlap_are_found() {
    let scene = Scene::new();
    let file = |name: &str| scene.node.conf_dir().join(name);
    fs::write(file("90-broken.conflist"), "{").unwrap();
    fs::write(
        file("91-other.conflist"),
        json!({"cniVersion": "1.0.0", "name": "other", "plugins": [{"type": "not-there"},
            {"type": "bridge", "bridge": "cni1", "ipam": {"type": "host-local",
             "subnet": "10.85.128.0/24"}}]})
        .to_string(),
    )
    .unwrap();
    let found = scene.finds(&["unusable-list", "overlapping-networks"]);
    let text = serde_json::to_string(&found).unwrap();
    for part in ["90-broken.conflist", "not-there", "other and pods"] {
        assert!(text.contains(part), "{part}: {found:#?}");
    }
    fs::remove_file(file("90-broken.conflist")).unwrap();
    fs::remove_file(file("91-other.conflist")).unwrap();
    scene.is_sound();
}

#[test]
fn while_containers_come_and_go_there_is_no_false_alarm_and_nothing_is_taken() {
    const CONTAINERS: usize = 200;
    let scene = Scene::new();
    let list = scene.node.list("pods");
    let containers: Vec<Container> =
        (0..CONTAINERS).map(|number| scene.node.host.container(&format!("c{number}"))).collect();
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some(container) = containers.get(next.fetch_add(1, Ordering::Relaxed)) {
            let attachment = attachment(container);
            scene.node.runtime.add(&list, &attachment).unwrap();
            scene.node.runtime.check(&list, &attachment).unwrap();
            if container.name().ends_with('7') {
                scene.node.runtime.del(&list, &attachment).unwrap();
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        while done.load(Ordering::Relaxed) < CONTAINERS
            && !workers.iter().all(|one| one.is_finished())
        {
            for (command, said) in [
                ("check", "nothing is wrong\n"),
                ("gc", "nothing is dead\n"),
                ("gc --dry-run", "nothing is dead\n"),
                ("repair", "nothing is missing\n"),
                ("repair --dry-run", "nothing is missing\n"),
            ] {
                let words: Vec<&str> = command.split(' ').collect();
                assert_eq!(scene.node.text(&words, 0), said, "{command}");
            }
            for one in scene.node.listed("pods") {
                let is_sound = matches!(one["state"].as_str(), Some("alive" | "busy"));
                assert!(is_sound, "{one:#}");
            }
            let pool = scene.node.json(&["pool"], 0)["pools"][0].clone();
            assert_eq!(pool["reclaimable"], 0, "{pool:#}");
        }
    });
    let left = scene.node.listed("pods");
    assert_eq!(left.len(), CONTAINERS - CONTAINERS / 10 + 2);
    assert!(left.iter().all(|one| one["state"] == "alive"), "{left:#?}");
    scene.is_sound();
}
