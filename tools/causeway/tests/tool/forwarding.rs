//! `causeway check` and chains of others: one that drops is named and can be opened by the command that is named,
//! one that accepts is no fault, and of one that may do either that is said.

use crate::scene::Scene;

/// A chain where forwarded packets go through, with these rules.
fn chain(scene: &Scene, policy: &str, rules: &[&str]) {
    scene.run("nft add table inet site");
    let forward = format!("{{ type filter hook forward priority 0 ; policy {policy} ; }}");
    scene.node.host.run(["nft", "add", "chain", "inet", "site", "zone"]);
    scene.node.host.run(["nft", "add", "chain", "inet", "site", "forward", &forward]);
    for rule in rules {
        let words: Vec<&str> =
            ["nft", "add", "rule", "inet", "site"].into_iter().chain(rule.split(' ')).collect();
        scene.node.host.run(words);
    }
}

fn gone(scene: &Scene) {
    scene.run("nft delete table inet site");
}

#[test]
fn a_chain_that_drops_is_opened_by_the_command_that_is_named() {
    let scene = Scene::new();
    scene.run("ip route add default dev uplink0");
    for (policy, rules, place) in [
        ("drop", vec![], "its policy"),
        ("drop", vec!["forward ct state established,related accept"], "its policy"),
        (
            "drop",
            vec!["forward iifname docker0 accept", "forward ct status dnat accept"],
            "its policy",
        ),
        ("drop", vec!["forward ip saddr 10.86.0.0/16 accept"], "its policy"),
        ("accept", vec!["forward counter drop"], "its rule of handle"),
        ("accept", vec!["forward iifname cni* drop"], "its rule of handle"),
        ("accept", vec!["forward jump zone", "zone ip saddr 10.85.0.0/16 reject"], "in chain zone"),
        (
            "accept",
            vec!["zone oifname lo accept", "zone drop", "forward goto zone"],
            "in chain zone",
        ),
    ] {
        chain(&scene, policy, &rules);
        let found = scene.finds(&["forwarding-dropped"]);
        assert_eq!(found.len(), 1, "{rules:?}: {found:#?}");
        assert_eq!(found[0]["subject"], "table inet site, chain forward");
        Scene::says(&found[0], "fault", place);
        assert!(!scene.web.pings(&testsupport::Outside::ADDRESS.to_string()), "{rules:?}");
        scene.mends(&found);
        scene.is_sound();
        gone(&scene);
    }
}

#[test]
fn a_chain_that_lets_the_bridge_through_is_no_fault_whatever_its_policy() {
    let scene = Scene::new();
    let replies = "forward ct state established,related accept";
    let published = "forward ct status dnat accept";
    let index = format!("forward iif {} accept", "cni0");
    for (policy, rules) in [
        ("drop", vec!["forward iifname cni0 accept", replies, published]),
        ("drop", vec!["forward iifname cni* counter accept", replies, published]),
        ("drop", vec![index.as_str(), replies, published]),
        ("drop", vec!["forward ip saddr 10.85.0.0/16 accept", replies, published]),
        ("drop", vec!["forward ip saddr 10.85.0.0/20 accept", replies, published]),
        ("drop", vec!["forward iifname != lo accept", replies, published]),
        ("drop", vec!["forward jump zone", "zone iifname cni0 accept", replies, published]),
        ("drop", vec!["forward meta nfproto ipv4 accept"]),
        // What is meant for some only is no fault either.
        ("accept", vec!["forward tcp dport 25 drop", "forward ip daddr 198.51.100.0/24 reject"]),
        (
            "accept",
            vec!["forward iifname docker0 drop", "forward ct state established,related accept"],
        ),
        ("accept", vec!["forward jump zone", "zone return", "zone drop"]),
    ] {
        chain(&scene, policy, &rules);
        scene.is_sound();
        gone(&scene);
    }
}

#[test]
fn of_a_chain_whose_rules_may_or_may_not_accept_that_is_said() {
    let scene = Scene::new();
    for rules in [
        vec!["forward meta mark 0x17 accept"],
        vec!["forward ip daddr 198.51.100.0/24 accept"],
        vec!["forward jump zone", "zone tcp dport { 80, 443 } accept"],
        vec!["forward iifname vmap { cni0 : accept }"],
        vec!["forward jump zone", "zone meta mark 1 return", "zone drop"],
    ] {
        chain(&scene, "drop", &rules);
        let answer = scene.node.json(&["check"], 0);
        assert_eq!(answer["findings"], serde_json::json!([]), "{rules:?}: {answer:#}");
        let unknown = answer["unknown"].as_array().unwrap();
        assert_eq!(unknown.len(), 1, "{rules:?}: {answer:#}");
        assert_eq!(unknown[0]["kind"], "forwarding-unknown");
        Scene::says(&unknown[0], "fault", "unless a rule before it accepts that");
        assert_eq!(unknown[0]["mend"], "nft list table inet site");
        let text = scene.node.text(&["check"], 0);
        assert!(text.starts_with("nothing is wrong\nforwarding-unknown table inet site"), "{text}");
        gone(&scene);
    }
    scene.is_sound();
}

#[test]
fn the_chain_of_iptables_is_followed_as_docker_leaves_it() {
    let scene = Scene::new();
    for line in [
        "iptables -N DOCKER-USER",
        "iptables -N DOCKER-FORWARD",
        "iptables -A DOCKER-USER -j RETURN",
        "iptables -A FORWARD -j DOCKER-USER",
        "iptables -A FORWARD -j DOCKER-FORWARD",
        "iptables -A DOCKER-FORWARD -o lo -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "iptables -A DOCKER-FORWARD -i docker0 -j ACCEPT",
    ] {
        scene.run(line);
    }
    scene.is_sound();
    scene.run("iptables -P FORWARD DROP");
    let found = scene.finds(&["forwarding-dropped"]);
    assert_eq!(found[0]["subject"], "table ip filter, chain FORWARD");
    Scene::says(&found[0], "fault", "its policy drops");
    assert!(!scene.web.pings(&testsupport::Outside::ADDRESS.to_string()));
    scene.mends(&found);
    scene.is_sound();
}
