//! Who drops by default, and what passes all the same.

use serde_json::json;

use crate::world::{At, OUTSIDE, Patience, World, is_dropped, passes, passes_translated, run};

#[test]
fn a_container_reaches_the_outside_though_iptables_drops_by_default_until_del() {
    let world = World::new();
    world.drop_by_policy();
    let container = world.container(At(5, 0));
    assert!(is_dropped(&container, &world.outside, OUTSIDE[0]));
    world.add(At(5, 0), &json!({}));
    for (outside, own) in OUTSIDE.iter().zip(At(5, 0).addresses()) {
        assert!(passes(&container, &world.outside, outside), "{outside}\n{}", world.ruleset());
        // Replies only: nobody outside may begin.
        assert!(is_dropped(&world.outside, &container, &own), "{own}");
    }
    world.call("DEL", At(5, 0), &json!({})).expect_silent_success();
    assert!(is_dropped(&container, &world.outside, OUTSIDE[0]));
    assert!(is_dropped(&container, &world.outside, OUTSIDE[1]));
}

#[test]
fn it_passes_too_where_the_policy_comes_later_or_there_is_none() {
    let world = World::new();
    let container = world.open(At(5, 0), &json!({}));
    assert!(passes(&container, &world.outside, OUTSIDE[0]));
    world.drop_by_policy();
    assert!(passes(&container, &world.outside, OUTSIDE[0]));
    assert!(passes(&container, &world.outside, OUTSIDE[1]));
}

#[test]
fn only_containers_that_were_added_pass() {
    let world = World::new();
    world.drop_by_policy();
    let _open = world.open(At(5, 0), &json!({}));
    let other = world.container(At(6, 0));
    assert!(is_dropped(&other, &world.outside, OUTSIDE[0]));
    // A mark of the sender's own is no way in.
    run(&world.host, "nft add table ip m");
    run(&world.host, "nft add chain ip m p { type filter hook prerouting priority -150 ; }");
    run(&world.host, "nft add rule ip m p meta mark set 0x1000");
    assert!(is_dropped(&other, &world.outside, OUTSIDE[0]));
}

#[test]
fn a_published_port_is_reached_under_a_default_of_drop() {
    let world = World::new();
    world.drop_by_policy();
    run(
        &world.host,
        "iptables -t nat -A PREROUTING -d 203.0.113.1 -p udp --dport 8053 -j DNAT --to-destination 10.88.0.5:53",
    );
    let container = world.container(At(5, 0));
    let reaches = |patience| {
        passes_translated(&world.outside, (&container, 53), "203.0.113.1:8053", patience)
    };
    assert!(!reaches(Patience::Never));
    world.add(At(5, 0), &json!({}));
    assert!(reaches(Patience::Soon), "{}", world.ruleset());
}

#[test]
fn the_administrators_chain_decides_first_and_is_never_emptied() {
    let world = World::new();
    world.drop_by_policy();
    let keys = json!({ "iptablesAdminChainName": "NOMAD-ADMIN" });
    // As Nomad does before it.
    run(&world.host, "iptables -N NOMAD-ADMIN");
    run(&world.host, "iptables -A NOMAD-ADMIN -o cni0 -d 10.88.0.0/16 -j ACCEPT");
    let container = world.open(At(5, 0), &keys);
    assert!(passes(&world.outside, &container, "10.88.0.5"), "{}", world.ruleset());
    run(&world.host, "iptables -I NOMAD-ADMIN -s 10.88.0.5 -j DROP");
    assert!(is_dropped(&container, &world.outside, OUTSIDE[0]));
    world.call("DEL", At(5, 0), &keys).expect_silent_success();
    let save = run(&world.host, "iptables -S NOMAD-ADMIN");
    assert_eq!(save.lines().count(), 3, "{save}");
}

#[test]
fn iptables_reads_and_writes_the_table_as_before() {
    let world = World::new();
    let container = world.open(At(5, 0), &json!({}));
    for program in ["iptables", "ip6tables"] {
        let save = run(&world.host, &format!("{program}-save -t filter"));
        let rules: Vec<&str> = save.lines().filter(|line| line.starts_with("-A")).collect();
        let expected = [
            "-A FORWARD -m comment --comment \"CNI firewall plugin rules\" -j CNI-FORWARD",
            "-A CNI-FORWARD -m comment --comment \"CNI firewall plugin admin overrides\" -j CNI-ADMIN",
            "-A CNI-FORWARD -m mark --mark 0x1000/0x1000 -m comment --comment \"Causeway firewall: what has mark 0x1000\" -j ACCEPT",
        ];
        assert_eq!(rules, expected, "{save}");
        // A saved table that is loaded again does the same.
        run(&world.host, "mkdir -p /run/saved");
        std::fs::write("/run/saved/rules", save.replace("FORWARD ACCEPT", "FORWARD DROP")).unwrap();
        run(&world.host, &format!("{program}-restore /run/saved/rules"));
    }
    assert!(passes(&container, &world.outside, OUTSIDE[0]), "{}", world.ruleset());
    world.call("CHECK", At(5, 0), &json!({})).expect_silent_success();
    // The words by which the reference looks for its jump.
    let jump = "iptables -C FORWARD -j CNI-FORWARD -m comment --comment";
    let mut words: Vec<&str> = jump.split(' ').collect();
    words.push("CNI firewall plugin rules");
    world.host.run(words);
}

#[test]
fn a_chain_of_others_that_drops_everything_is_named_and_nothing_is_left() {
    let world = World::new();
    run(&world.host, "nft add table inet mine");
    run(
        &world.host,
        "nft add chain inet mine guard { type filter hook forward priority 5 ; policy drop ; }",
    );
    run(&world.host, "nft add rule inet mine guard ct state established,related accept");
    let before = world.ruleset();
    let _container = world.container(At(5, 0));
    let message = world.call("ADD", At(5, 0), &json!({})).expect_error(101);
    assert!(message.contains("table inet mine, chain guard drops"), "{message}");
    assert_eq!(world.ruleset(), before);
    let mut status = json!({ "cniVersion": "1.1.0", "name": "net", "type": "firewall" });
    status["backend"] = json!("");
    let message = testsupport::Call::new("firewall").command("STATUS").config(status).run();
    assert!(message.expect_error(50).contains("inet mine"));

    // What its owner accepts may be the containers' traffic.
    run(&world.host, "nft add rule inet mine guard iifname cni0 accept");
    world.add(At(5, 0), &json!({}));
}

#[test]
fn without_any_iptables_program_it_is_the_same() {
    let world = World::new();
    run(&world.host, "nft add table ip filter");
    run(
        &world.host,
        "nft add chain ip filter FORWARD { type filter hook forward priority 0 ; policy drop ; }",
    );
    let container = world.container(At(5, 0));
    let answer = testsupport::Call::new("firewall")
        .command("ADD")
        .container_id("c5-0")
        .ifname("eth0")
        .netns(&container)
        .env("PATH", "/nowhere")
        .config(crate::world::config(At(5, 0), &json!({})))
        .run();
    answer.expect_success();
    assert!(passes(&container, &world.outside, OUTSIDE[0]));
}

/// Its table as far as it matters; `tests/e2e` has the real one.
#[test]
fn where_firewalld_can_not_be_asked_only_a_backend_that_is_named_is_tried() {
    let world = World::new();
    run(&world.host, "nft add table inet firewalld");
    run(
        &world.host,
        "nft add chain inet firewalld filter_FORWARD { type filter hook forward priority 10 ; }",
    );
    run(&world.host, "nft add chain inet firewalld filter_FORWARD_ZONES");
    run(&world.host, "nft add rule inet firewalld filter_FORWARD jump filter_FORWARD_ZONES");
    run(
        &world.host,
        "nft add rule inet firewalld filter_FORWARD reject with icmpx admin-prohibited",
    );
    let before = world.ruleset();
    let container = world.container(At(5, 0));
    let message = world.call("ADD", At(5, 0), &json!({})).expect_error(11);
    assert!(
        message.contains("table inet firewalld: firewalld drops what is forwarded"),
        "{message}"
    );
    let status = json!({ "cniVersion": "1.1.0", "name": "net", "type": "firewall" });
    let message = testsupport::Call::new("firewall").command("STATUS").config(status).run();
    assert!(message.expect_error(50).contains("table inet firewalld"));
    assert_eq!(world.ruleset(), before);
    // Nomad names it; then the zones have to have been opened.
    for backend in ["nftables", "iptables"] {
        let message = world.call("ADD", At(5, 0), &json!({ "backend": backend })).expect_error(101);
        let named = "table inet firewalld, chain filter_FORWARD drops what containers send";
        assert!(message.contains(named), "{backend}: {message}");
        assert_eq!(world.ruleset(), before, "{backend}");
    }
    // The trusted zone may have the containers' subnet.
    run(&world.host, "nft add rule inet firewalld filter_FORWARD_ZONES iifname cni0 accept");
    run(&world.host, "nft add rule inet firewalld filter_FORWARD_ZONES oifname cni0 accept");
    for backend in ["nftables", "iptables"] {
        world.add(At(5, 0), &json!({ "backend": backend }));
        assert!(passes(&container, &world.outside, OUTSIDE[0]), "{backend}");
    }
}
