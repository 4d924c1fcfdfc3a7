//! What is found is mended by the command that is named, and then traffic flows: what is beside `check`.

use std::fmt::Write;
use std::fs;

use serde_json::json;
use testsupport::{Outside, golden};

use crate::node::{attachment, pods, pods_with};
use crate::scene::Scene;

#[test]
fn a_pair_off_its_bridge_is_put_back() {
    let scene = Scene::new();
    scene.run(&format!("ip link set {} nomaster", scene.link));
    let found = scene.finds(&["port-off-bridge"]);
    assert!(!scene.web.pings("10.85.0.1"));
    scene.mends(&found);
    scene.is_sound();
}

#[test]
fn rules_of_nobody_are_released() {
    let scene = Scene::new();
    let mut gone = scene.node.host.container("gone");
    let ports = json!([{"hostPort": 8081, "containerPort": 80, "protocol": "tcp"}]);
    let about = attachment(&gone).capabilities([("portMappings", ports)]);
    let result = scene.node.add("pods", &about);
    gone.vanish();
    let link = result["interfaces"][1]["name"].as_str().unwrap();
    let is_gone = |_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        scene.node.host.finish(["ip", "link", "show", link]).status != Some(0)
    };
    assert!((0..500).any(is_gone));
    // Somebody took the address back by hand, and the runtime's cache is gone.
    fs::remove_file("/var/lib/cni/networks/pods/10.85.0.4").unwrap();
    fs::remove_dir_all("/var/lib/cni/results").unwrap();
    let found = scene.finds(&["rules-without-attachment"]);
    assert_eq!(found[0]["subject"], "pods/gone/eth0");
    Scene::says(&found[0], "fault", "left: rules of ipMasq");
    scene.mends(&found);
    let rules = scene.node.host.run(["nft", "list", "ruleset"]);
    assert!(!rules.contains("gone") && !rules.contains("8081"), "{rules}");
    scene.is_sound();
    // The port is free again.
    let next = scene.node.host.container("next");
    let ports = json!([{"hostPort": 8081, "containerPort": 80, "protocol": "tcp"}]);
    scene.node.add("pods", &attachment(&next).capabilities([("portMappings", ports)]));
    scene.is_sound();
}

#[test]
fn an_attachment_whose_add_was_killed_is_released() {
    let scene = Scene::new();
    let (_killed, result) = scene.node.attach("pods", "killed");
    let link = result["interfaces"][1]["name"].as_str().unwrap();
    scene.node.host.run(["ip", "link", "set", link, "alias", "pods/killed/eth0 (being attached)"]);
    let found = scene.finds(&["unfinished-attachment"]);
    scene.mends(&found);
    assert_ne!(scene.node.host.finish(["ip", "link", "show", link]).status, Some(0));
    scene.is_sound();
}

#[test]
fn a_link_on_the_bridge_that_is_nobodys_is_taken_off() {
    let scene = Scene::new();
    let _other = scene.node.host.container("stranger");
    scene.run("ip link add stray0 type veth peer name eth0 netns stranger");
    scene.run("ip link set stray0 master cni0 up");
    let found = scene.finds(&["interface-without-lease"]);
    Scene::says(&found[0], "fault", "link stray0 is on the network's bridge");
    let mend = found[0]["mend"].as_str().unwrap();
    scene.run(mend.strip_prefix("if nobody needs it: ").unwrap());
    scene.is_sound();
}

#[test]
fn both_ip_versions_are_put_back() {
    let mut network = pods();
    network["plugins"][0]["ipam"] = json!({"type": "host-local", "ranges": [
        [{"subnet": "10.85.0.0/16"}], [{"subnet": "fd00:85::/64"}]],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]});
    let scene = Scene::of(network);
    let outside = Outside::ADDRESS_6.to_string();
    let flows = || {
        scene.is_sound();
        assert!(scene.web.pings("fd00:85::1") && scene.web.pings("fd00:85::3"));
        assert!(scene.web.pings(&outside), "outside, masqueraded");
    };
    flows();
    // A port that leads to both addresses is shown once.
    let listing = scene.node.text(&["ls"], 0);
    assert_eq!(listing.matches("8080→80/tcp").count(), 1, "{listing}");
    scene.run("sysctl -qw net.ipv6.conf.all.forwarding=0");
    scene.mends(&scene.finds(&["forwarding-off"]));
    flows();
    scene.run("ip -6 address flush dev cni0 scope global");
    let found = scene.finds(&["bridge-without-address"]);
    Scene::says(&found[0], "fault", "fd00:85::1/64");
    scene.mends(&found);
    flows();
    scene.run("nft delete table inet causeway");
    scene.mends(&scene.finds(&["attachment-without-rules", "route-localnet-without-guard"]));
    flows();
    scene.run("nft add table ip6 site");
    let chain = "{ type filter hook forward priority 0 ; policy drop ; }";
    scene.node.host.run(["nft", "add", "chain", "ip6", "site", "forward", chain]);
    let found = scene.finds(&["forwarding-dropped"]);
    assert!(!scene.web.pings(&outside));
    scene.mends(&found);
    flows();
}

#[test]
fn what_firewall_opened_is_opened_again() {
    let firewall = json!({"type": "firewall", "backend": "nftables"});
    let network = pods_with(firewall);
    let scene = Scene::of(network);
    // The jump stands there already.
    scene.run("iptables -P FORWARD DROP");
    scene.is_sound();
    scene.run("iptables -F FORWARD");
    let found = scene.finds(&["attachment-without-rules"]);
    assert!(!scene.web.pings(&Outside::ADDRESS.to_string()));
    scene.mends(&found);
    scene.is_sound();
    scene.run("nft flush ruleset");
    scene.run("iptables -P FORWARD DROP");
    let found = scene.finds(&["attachment-without-rules", "route-localnet-without-guard"]);
    scene.mends(&found);
    scene.is_sound();
}

#[test]
fn a_fault_of_several_parts_is_told_a_line_each() {
    let firewall = json!({"type": "firewall", "backend": "nftables"});
    let scene = Scene::of(pods_with(firewall));
    scene.run("nft flush chain inet causeway firewall/forward");
    let found = scene.finds(&["attachment-without-rules"]);
    let printed = scene.node.text(&["check"], 4);
    let of_one = printed.split_inclusive("mend: causeway repair pods\n").nth(1).unwrap();
    let parts: Vec<&str> = of_one.lines().filter(|line| line.starts_with("        ")).collect();
    assert_eq!(parts.len(), 6, "{of_one}");
    let all = found[1]["fault"].as_str().unwrap();
    assert_eq!(all.matches(" is missing or altered").count(), 7, "{all}");
    for part in &parts {
        assert!(all.contains(part.trim()), "{part}");
    }
    let repair = scene.node.text(&["repair", "--dry-run"], 4);
    assert!(repair.contains(&parts.join("\n")), "{repair}");
    let page = golden::read("docs/operating.md");
    assert!(page.contains(&format!("```text\n{of_one}```\n")), "the page is to show\n{of_one}");
    scene.mends(&found);
    scene.is_sound();
}

#[test]
fn a_bridge_that_is_nearly_full_is_told_before_it_is() {
    let scene = Scene::new();
    let mut lines = String::new();
    for number in 0..920 {
        writeln!(lines, "link add full{number} type veth peer name end{number}").unwrap();
        writeln!(lines, "link set full{number} master cni0").unwrap();
    }
    let batch = scene.node.host.temp_dir().join("batch");
    fs::write(&batch, lines).unwrap();
    scene.node.host.run(["ip", "-batch", batch.to_str().unwrap()]);
    let found = scene.finds(&["bridge-nearly-full"]);
    assert_eq!(found[0]["fault"], "it has 922 ports of 1023");
    assert_eq!(found[0]["mend"], "give new containers a network on another bridge");
    scene.has_traffic();
    let mut second = pods();
    second["name"] = json!("more");
    second["plugins"][0]["bridge"] = json!("cni1");
    second["plugins"][0]["ipam"]["subnet"] = json!("10.86.0.0/16");
    fs::write(scene.node.conf_dir().join("20-more.conflist"), second.to_string()).unwrap();
    let (container, _) = scene.node.attach("more", "next");
    assert!(container.pings("10.86.0.1") && container.pings(&Outside::ADDRESS.to_string()));
    let full = scene.node.json(&["check"], 4);
    assert_eq!(full["findings"].as_array().unwrap().len(), 1, "{full:#}");
    let lines: String = (0..22).map(|number| format!("link delete full{number}\n")).collect();
    fs::write(&batch, lines).unwrap();
    scene.node.host.run(["ip", "-batch", batch.to_str().unwrap()]);
    scene.is_sound();
}

#[test]
fn what_is_left_of_our_table_is_made_whole_and_what_is_others_in_it_stays() {
    let scene = Scene::new();
    let foreign = "nft add rule inet causeway theirs tcp dport 9 counter comment theirs";
    let rules = &["attachment-without-rules"][..];
    let both = &["attachment-without-rules", "route-localnet-without-guard"][..];
    for (damage, kinds) in [
        (vec!["nft delete chain inet causeway masq/pods/10.85.0.0/16"], rules),
        (vec!["nft flush chain inet causeway masq/pods/10.85.0.0/16"], rules),
        (vec!["nft flush set inet causeway masq/pods/10.85.0.0/16"], rules),
        (vec!["nft flush map inet causeway masq/attachments"], rules),
        (
            vec![
                "nft delete chain inet causeway masq/pods/10.85.0.0/16",
                "nft delete set inet causeway masq/pods/10.85.0.0/16",
                "nft delete map inet causeway masq/attachments",
            ],
            rules,
        ),
        (vec!["nft flush map inet causeway portmap/ports/ip"], rules),
        (vec!["nft flush map inet causeway portmap/attachments"], rules),
        (vec!["nft flush chain inet causeway portmap/redirect"], rules),
        (vec!["nft delete chain inet causeway portmap/prerouting"], rules),
        (vec!["nft delete chain inet causeway portmap/localnet"], both),
        (vec!["nft flush chain inet causeway portmap/localnet"], both),
        // Chains that are there, and that nothing leads into.
        (
            vec![
                "nft delete chain inet causeway portmap/prerouting",
                "nft add chain inet causeway portmap/prerouting",
                "nft add rule inet causeway portmap/prerouting fib daddr type local jump portmap/redirect",
            ],
            rules,
        ),
        (vec!["nft flush set bridge causeway senders"], rules),
        (vec!["nft delete table bridge causeway"], rules),
    ] {
        scene.run("nft add chain inet causeway theirs");
        scene.run(foreign);
        for line in &damage {
            scene.run(line);
        }
        let found = scene.finds(kinds);
        scene.mends(&found);
        scene.is_sound();
        let rules = scene.node.host.run(["nft", "list", "chain", "inet", "causeway", "theirs"]);
        assert!(rules.contains("theirs"), "{damage:?}: {rules}");
        scene.run("nft delete chain inet causeway theirs");
    }
}
