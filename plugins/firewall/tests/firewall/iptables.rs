//! Backend `iptables`: the reference's chains and rules.

use std::path::Path;

use serde_json::{Value, json};
use testsupport::{Call, REFERENCE_DIR, not_run, write_program};

use crate::world::{At, OUTSIDE, World, config, is_dropped, passes, run};

fn keys(policy: &str) -> Value {
    json!({ "backend": "iptables", "ingressPolicy": policy })
}

/// The rules of both protocols' tables, in order.
fn rules(world: &World) -> String {
    let saves = ["iptables-save", "ip6tables-save"]
        .map(|program| run(&world.host, &format!("{program} -t filter")));
    let lines = saves.iter().flat_map(|save| save.lines());
    let is_rule = |line: &&str| line.starts_with("-A");
    lines.filter(is_rule).map(|line| format!("{line}\n")).collect()
}

fn reference() -> Call {
    Call::of(format!("{REFERENCE_DIR}/firewall"))
}

#[test]
fn the_rules_and_their_order_are_the_references() {
    // The release of Debian 12 knows no `isolated`.
    for policy in ["open", "same-bridge"] {
        let made = [Call::new("firewall"), reference()].map(|call| {
            let world = World::new();
            for at in [At(5, 0), At(6, 0), At(5, 1)] {
                let config = config(at, &keys(policy));
                world.call_of(call.clone(), "ADD", (at, config)).expect_success();
            }
            rules(&world)
        });
        let [ours, theirs] = made;
        let ours = match theirs.contains("isolated") {
            true => ours,
            false => ours.replace("same-bridge|isolated", "same-bridge"),
        };
        assert_eq!(ours, theirs, "{policy}");
    }
}

/// As release 1.9.1 makes them.
#[test]
fn isolated_stands_before_what_leads_to_other_bridges() {
    let world = World::new();
    world.add(At(5, 0), &keys("isolated"));
    let rules = rules(&world);
    let own = rules.lines().filter(|line| line.starts_with("-A CNI-ISOLATION")).take(5);
    let comment = |of: &str| {
        format!("-m comment --comment \"CNI firewall plugin rules (ingressPolicy: {of})\"")
    };
    let (isolated, both) = (comment("isolated"), comment("same-bridge|isolated"));
    let expected = [
        format!("-A CNI-ISOLATION-STAGE-1 -i cni0 -o cni0 {isolated} -j DROP"),
        format!("-A CNI-ISOLATION-STAGE-1 -i cni0 ! -o cni0 {isolated} -j CNI-ISOLATION-STAGE-2"),
        format!("-A CNI-ISOLATION-STAGE-1 {both} -j RETURN"),
        format!("-A CNI-ISOLATION-STAGE-2 -o cni0 {both} -j DROP"),
        format!("-A CNI-ISOLATION-STAGE-2 {both} -j RETURN"),
    ];
    assert_eq!(own.collect::<Vec<_>>(), expected);
}

#[test]
fn packets_pass_under_a_default_of_drop_until_del_without_prev_result() {
    let world = World::new();
    world.drop_by_policy();
    let container = world.open(At(5, 0), &keys("open"));
    for outside in OUTSIDE {
        assert!(passes(&container, &world.outside, outside), "{outside}\n{}", world.ruleset());
    }
    world.call("CHECK", At(5, 0), &keys("open")).expect_silent_success();
    let mut config = config(At(5, 0), &keys("open"));
    config.as_object_mut().unwrap().remove("prevResult");
    world.call_with("DEL", At(5, 0), config).expect_silent_success();
    assert!(is_dropped(&container, &world.outside, OUTSIDE[0]));
    assert!(!world.ruleset().contains("10.88.0.5"), "{}", world.ruleset());
    assert!(!world.ruleset().contains("causeway"), "{}", world.ruleset());
}

#[test]
fn another_policy_replaces_the_rules_and_a_second_add_repeats_none() {
    let world = World::new();
    world.add(At(5, 0), &keys("isolated"));
    world.add(At(5, 0), &keys("same-bridge"));
    let once = rules(&world);
    assert!(!once.contains("isolated)\" -j DROP\n-A CNI-ISOLATION-STAGE-1"), "{once}");
    assert!(!once.contains("ingressPolicy: isolated)"), "{once}");
    world.add(At(5, 0), &keys("same-bridge"));
    assert_eq!(rules(&world), once);
    let message = world.call("CHECK", At(5, 0), &keys("isolated")).expect_error(102);
    assert!(message.contains("expected rule [-A CNI-ISOLATION-STAGE-1 -i cni0"), "{message}");
}

#[test]
fn either_suite_checks_and_removes_what_the_other_made() {
    let (at, own) = (At(5, 0), || Call::new("firewall"));
    for calls in [[own(), reference()], [reference(), own()]] {
        let world = World::new();
        let [maker, other] = calls;
        let config = || (at, config(at, &keys("same-bridge")));
        world.call_of(maker, "ADD", config()).expect_success();
        world.call_of(other.clone(), "CHECK", config()).expect_silent_success();
        world.call_of(other, "DEL", config()).expect_silent_success();
        assert!(!rules(&world).contains("10.88.0.5"), "{}", rules(&world));
    }
}

#[test]
fn bridges_with_a_policy_are_kept_apart_and_isolated_ports_where_bridged_frames_are_filtered() {
    let world = World::new();
    if !Path::new("/proc/sys/net/bridge").is_dir() {
        return not_run("this kernel has no br_netfilter, or it is not loaded");
    }
    for protocol in ["iptables", "ip6tables"] {
        run(&world.host, &format!("sysctl -qw net.bridge.bridge-nf-call-{protocol}=1"));
    }
    let one = world.open(At(5, 0), &keys("same-bridge"));
    let neighbour = world.open(At(6, 0), &keys("same-bridge"));
    let other = world.container(At(5, 1));
    // A bridge without a policy is reached.
    assert!(passes(&one, &other, "10.89.0.5"), "{}", world.ruleset());
    world.add(At(5, 1), &keys("isolated"));
    for (address, back) in At(5, 1).addresses().iter().zip(At(5, 0).addresses()) {
        assert!(is_dropped(&one, &other, address), "{address}");
        assert!(is_dropped(&other, &one, &back), "{back}");
    }
    for (near, outside) in At(6, 0).addresses().iter().zip(OUTSIDE) {
        assert!(passes(&one, &neighbour, near) && passes(&one, &world.outside, outside));
    }
    let port = world.container(At(6, 1));
    for address in At(6, 1).addresses() {
        assert!(is_dropped(&other, &port, &address), "{address}");
    }
    assert!(passes(&other, &world.outside, OUTSIDE[0]));
}

/// As when another ADD makes the chains between the look and the change.
#[test]
fn chains_that_were_made_since_the_look_keep_their_rules() {
    let world = World::new();
    world.add(At(5, 0), &keys("same-bridge"));
    let before = rules(&world);
    let folder = world.host.temp_dir();
    for program in ["iptables-save", "ip6tables-save"] {
        let path = folder.join(program);
        let first = folder.join(format!("{program} was here"));
        let script = format!(
            "#!/bin/sh\nmkdir '{}' 2>/dev/null && exit 0\nexec /usr/sbin/{program} \"$@\"\n",
            first.display()
        );
        write_program(&path, &script);
    }
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let (at, call) = (At(6, 0), Call::new("firewall").env("PATH", path));
    world.call_of(call, "ADD", (at, config(at, &keys("same-bridge")))).expect_success();
    let after = rules(&world);
    let lost: Vec<&str> = before.lines().filter(|line| !after.contains(line)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}
