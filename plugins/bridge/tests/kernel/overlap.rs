//! Calls of one attachment that overlap: they take effect one after the other.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Barrier;

use serde_json::{Value, json};
use testsupport::{Answer, Container};

use crate::node::{Node, config, host_end};

const POOL: &str = "/var/lib/cni/networks/net";
const ROUNDS: usize = 40;

/// Everything that an attachment may hold: links, leases, rules of both kinds.
fn keys(number: usize) -> Value {
    let backend = if number.is_multiple_of(4) { "iptables" } else { "nftables" };
    let ipam = json!({"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}]]});
    config(json!({
        "isGateway": true, "ipMasq": true, "ipMasqBackend": backend, "macspoofchk": true, "ipam": ipam,
    }))
}

fn leases() -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(POOL) else { return BTreeSet::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("10.")).collect()
}

/// Runs the commands for the container at the same time; their answers in that order.
fn at_once<const N: usize>(
    (node, container): (&Node, &Container),
    keys: &Value,
    commands: [&str; N],
) -> [Answer; N] {
    let barrier = Barrier::new(N);
    std::thread::scope(|scope| {
        let calls = commands.map(|command| {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                node.run(command, container, keys)
            })
        });
        calls.map(|call| call.join().unwrap())
    })
}

/// The attachment of `result` is whole.
#[track_caller]
fn assert_whole(node: &Node, (blue, keys): (&Container, &Value), result: &Value) {
    node.check(blue, keys, result).expect_silent_success();
    let address = result["ips"][0]["address"].as_str().unwrap().split('/').next().unwrap();
    assert_eq!(leases(), BTreeSet::from([address.to_owned()]));
    assert!(node.has_link(&host_end(result)));
}

/// Nothing of any attachment is there.
#[track_caller]
fn assert_nothing(node: &Node) {
    assert!(leases().is_empty(), "{:?}", leases());
    assert_eq!(node.host.run(["ip", "-o", "link", "show", "master", "br0"]), "");
    let rules = node.host.run(["nft", "list", "ruleset"]);
    assert!(!rules.contains("blue"), "{rules}");
}

#[test]
fn of_overlapping_adds_one_succeeds_and_the_others_take_nothing_from_it() {
    let node = Node::giving(&[]);
    for round in 0..ROUNDS {
        let (blue, keys) = (node.host.container("blue"), keys(round));
        let answers = at_once((&node, &blue), &keys, ["ADD"; 3]);
        let (made, refused): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status() == Some(0));
        assert_eq!(made.len(), 1, "round {round}: {answers:?}");
        for answer in refused {
            let message = answer.expect_error(101);
            assert!(message.contains("already exists"), "round {round}: {answer}");
        }
        assert_whole(&node, (&blue, &keys), &made[0].expect_success().json());
        node.del(&blue, &keys);
        assert_nothing(&node);
    }
}

#[test]
fn an_add_that_overlaps_a_del_leaves_a_whole_attachment_or_none() {
    let node = Node::giving(&[]);
    let mut seen = BTreeSet::new();
    for round in 0..ROUNDS {
        let (blue, keys) = (node.host.container("blue"), keys(round));
        let living = round.is_multiple_of(2);
        if living {
            node.add(&blue, &keys);
        }
        let [add, del] = at_once((&node, &blue), &keys, ["ADD", "DEL"]);
        del.expect_silent_success();
        let is_there = blue.finish(["ip", "link", "show", "eth0"]).status == Some(0);
        match add.status() {
            Some(0) if is_there => {
                assert_whole(&node, (&blue, &keys), &add.expect_success().json())
            }
            // The DEL came after it, or the attachment was still there and the DEL came last.
            _ => assert_nothing(&node),
        }
        seen.insert((living, is_there));
        node.del(&blue, &keys);
        assert_nothing(&node);
    }
    // Otherwise nothing has overlapped.
    assert!(seen.len() > 2, "{seen:?}");
}

#[test]
fn a_failing_add_takes_nothing_from_one_that_waits_for_it() {
    let node = Node::giving(&[]);
    for round in 0..ROUNDS / 4 {
        let (blue, good) = (node.host.container("blue"), keys(round));
        let mut bad = good.clone();
        bad["ipam"]["routes"] = json!([{"dst": "10.9.0.0/16", "gw": "192.0.2.1"}]);
        let barrier = Barrier::new(2);
        let [failed, made] = std::thread::scope(|scope| {
            let calls = [&bad, &good].map(|keys| {
                let (node, blue, barrier) = (&node, &blue, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    node.run("ADD", blue, keys)
                })
            });
            calls.map(|call| call.join().unwrap())
        });
        assert!(failed.status() == Some(1), "{failed}");
        assert_whole(&node, (&blue, &good), &made.expect_success().json());
        node.del(&blue, &good);
        assert_nothing(&node);
    }
}

#[test]
fn a_host_whose_run_is_read_only_attaches_all_the_same() {
    let node = Node::giving(&[]);
    let (blue, keys) = (node.host.container("blue"), keys(1));
    // The mount alone: a user namespace may not change the file system below it.
    node.host.run(["mount", "-o", "remount,bind,ro", "/run"]);
    let result = node.add(&blue, &keys);
    assert_whole(&node, (&blue, &keys), &result);
    node.add_fails(&blue, &keys, 101);
    assert_whole(&node, (&blue, &keys), &result);
    node.del(&blue, &keys);
    assert_nothing(&node);
    node.host.run(["mount", "-o", "remount,bind,rw", "/run"]);
}

#[test]
fn all_locks_are_one_empty_file() {
    let node = Node::giving(&["10.1.0.2/16"]);
    for name in ["blue", "red", "green"] {
        let container = node.host.container(name);
        node.add(&container, &config(json!({"isGateway": true})));
        node.del(&container, &config(json!({"isGateway": true})));
    }
    let found = node.host.run(["find", "/run/cni", "-name", "*.lock*"]);
    assert_eq!(found.lines().collect::<Vec<_>>(), ["/run/cni/causeway.lock"]);
    let lock = fs::metadata("/run/cni/causeway.lock").unwrap();
    assert_eq!((lock.len(), lock.mode() & 0o777), (0, 0o600));
}
