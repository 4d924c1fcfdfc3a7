//! `bridge` with the suite's own `host-local`: leases live and die with attachments.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testsupport::Container;

use crate::node::{Node, assert_same, assert_says, config, host_end};

const POOL: &str = "/var/lib/cni/networks/net";

fn keys(routes: Value) -> Value {
    let ranges = json!([[{"subnet": "10.1.0.0/16"}], [{"subnet": "fd00:1::/64"}]]);
    let ipam = json!({"type": "host-local", "ranges": ranges, "routes": routes});
    config(json!({"cniVersion": "1.1.0", "isDefaultGateway": true, "ipam": ipam}))
}

/// The addresses held, by the names of their files.
fn leases() -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(POOL) else { return BTreeSet::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(['.', ':']) && !name.starts_with("last_reserved")).collect()
}

fn addresses(result: &Value) -> Vec<String> {
    let ips = result["ips"].as_array().unwrap().iter();
    let text = ips.map(|ip| ip["address"].as_str().unwrap().split('/').next().unwrap().to_owned());
    text.collect()
}

#[test]
fn a_lease_lives_as_long_as_its_attachment() {
    let node = Node::giving(&[]);
    let blue = node.host.container("blue");
    let result = node.add(&blue, &keys(json!([])));
    assert_eq!(addresses(&result), ["10.1.0.2", "fd00:1::2"]);
    assert_eq!(leases().into_iter().collect::<Vec<_>>(), ["10.1.0.2", "fd00:1::2"]);
    assert_eq!(fs::read_to_string(format!("{POOL}/10.1.0.2")).unwrap(), "blue\r\neth0");
    assert!(blue.pings("10.1.0.1") && blue.pings("fd00:1::1"));
    node.check(&blue, &keys(json!([])), &result).expect_silent_success();
    for _ in 0..3 {
        node.del(&blue, &keys(json!([])));
        assert!(leases().is_empty());
    }
}

#[test]
fn check_names_a_lease_whose_file_is_gone() {
    let node = Node::giving(&[]);
    let blue = node.host.container("blue");
    let result = node.add(&blue, &keys(json!([])));
    for address in ["fd00:1::2", "10.1.0.2"] {
        fs::remove_file(format!("{POOL}/{address}")).unwrap();
        let answer = node.check(&blue, &keys(json!([])), &result);
        assert_says(&answer.expect_error(102), &["Failed to find address", "blue"]);
        assert_eq!(answer.details(), format!("{address} is held by nobody"));
    }
}

#[test]
fn a_failed_add_holds_no_address() {
    let node = Node::giving(&[]);
    let blue = node.host.container("blue");
    let bad = keys(json!([{"dst": "10.9.0.0/16", "gw": "192.0.2.1"}]));
    node.add_fails(&blue, &bad, 100);
    assert!(leases().is_empty() && !node.has_link("br0"));
}

#[test]
fn a_refused_add_and_its_del_leave_the_living_lease() {
    let node = Node::giving(&[]);
    let blue = node.host.container("blue");
    node.add(&blue, &keys(json!([])));
    let before = leases();
    node.add_fails(&blue, &keys(json!([])), 101);
    let other = node.call("DEL", &blue).container_id("other").config(keys(json!([])));
    other.run().expect_silent_success();
    assert_eq!(leases(), before);
}

#[test]
fn a_lease_left_by_a_killed_add_is_no_obstacle() {
    let node = Node::giving(&[]);
    let blue = node.host.container("blue");
    fs::create_dir_all(POOL).unwrap();
    fs::write(format!("{POOL}/10.1.0.9"), "blue\r\neth0").unwrap();
    let result = node.add(&blue, &keys(json!([])));
    let held: BTreeSet<String> = addresses(&result).into_iter().collect();
    assert_eq!(leases(), held);
    assert!(blue.pings("10.1.0.1"));
}

#[test]
fn del_with_the_pool_gone() {
    let node = Node::giving(&[]);
    let blue = node.host.container("blue");
    let result = node.add(&blue, &keys(json!([])));
    fs::remove_dir_all("/var/lib/cni/networks").unwrap();
    for _ in 0..3 {
        node.del(&blue, &keys(json!([])));
        assert!(!node.has_link(&host_end(&result)));
    }
}

#[test]
fn calls_that_do_not_get_the_pools_lock_say_who_has_it_and_can_be_repeated() {
    let node = Node::giving(&[]);
    let (blue, red) = (node.host.container("blue"), node.host.container("red"));
    node.add(&red, &keys(json!([])));
    let held = leases();
    let lock = fs::OpenOptions::new().write(true).open(format!("{POOL}/lock")).unwrap();
    lock.lock().unwrap();
    let started = Instant::now();
    let [add, del] = std::thread::scope(|scope| {
        let call = |command, container| node.run(command, container, &keys(json!([])));
        let calls = [("ADD", &blue), ("DEL", &red)]
            .map(|(command, container)| scope.spawn(move || call(command, container)));
        calls.map(|call| call.join().unwrap())
    });
    // The limit is 30 s, and neither waits twice.
    assert!(started.elapsed() < Duration::from_secs(50), "{:?}", started.elapsed());
    let holder = format!("held by process {} (", std::process::id());
    for answer in [&add, &del] {
        assert_says(&answer.expect_error(11), &["lock not acquired within 30 s", &holder]);
    }
    // All of the ADD is gone, and of the DEL all but the lease.
    assert_eq!(blue.run(["ip", "-o", "link"]).lines().count(), 1);
    assert_same("", &node.host.run(["ip", "-o", "link", "show", "master", "br0"]));
    assert_eq!(leases(), held);
    drop(lock);
    node.del(&red, &keys(json!([])));
    assert!(leases().is_empty());
    node.add(&blue, &keys(json!([])));
    node.del(&blue, &keys(json!([])));
}

#[test]
fn gc_takes_link_and_lease_of_a_dead_attachment() {
    let node = Node::giving(&[]);
    let (blue, red) = (node.host.container("blue"), node.host.container("red"));
    let dead = node.add(&blue, &keys(json!([])));
    let living = node.add(&red, &keys(json!([])));
    let mut gc = keys(json!([]));
    gc["cni.dev/valid-attachments"] = json!([{"containerID": "red", "ifname": "eth0"}]);
    let call = testsupport::Call::new("bridge").command("GC").config(gc);
    call.run().expect_silent_success();
    assert!(!node.has_link(&host_end(&dead)) && node.has_link(&host_end(&living)));
    assert_eq!(leases(), addresses(&living).into_iter().collect());
    assert!(red.pings("10.1.0.1"));
}

/// Calls `work` for every index below `count`, sixteen at a time; its answers, by index.
fn sixteen_at_a_time<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return done;
            }
            done.push((index, work(index)));
        }
    };
    let mut done: Vec<(usize, T)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..16).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, value)| value).collect()
}

const MANY: usize = 200;

#[test]
fn two_hundred_containers_sixteen_at_a_time() {
    let node = Node::giving(&[]);
    let containers: Vec<Container> =
        (0..MANY).map(|number| node.host.container(&format!("c{number}"))).collect();
    let keys = keys(json!([]));
    let results = sixteen_at_a_time(MANY, |index| node.add(&containers[index], &keys));
    let given: Vec<String> = results.iter().flat_map(addresses).collect();
    let distinct: BTreeSet<String> = given.iter().cloned().collect();
    assert_eq!((given.len(), distinct.len()), (2 * MANY, 2 * MANY));
    assert_eq!(leases(), distinct);
    let ports = || node.host.run(["ip", "-o", "link", "show", "master", "br0"]).lines().count();
    assert_eq!(ports(), MANY);
    for (container, result) in
        [(0, MANY - 1), (MANY - 1, 0)].map(|(a, b)| (&containers[a], &results[b]))
    {
        for address in addresses(result) {
            assert!(container.pings(&address), "{} does not reach {address}", container.name());
        }
    }
    sixteen_at_a_time(MANY, |index| node.del(&containers[index], &keys));
    assert_eq!((ports(), leases().len()), (0, 0));
    for container in &containers {
        assert_eq!(container.run(["ip", "-o", "link"]).lines().count(), 1, "{}", container.name());
    }
}

#[test]
fn parallel_failures_take_nothing_from_those_that_succeed() {
    let node = Node::giving(&[]);
    let count = 48;
    let containers: Vec<Container> =
        (0..count).map(|number| node.host.container(&format!("c{number}"))).collect();
    let (good, bad) = (keys(json!([])), keys(json!([{"dst": "10.9.0.0/16", "gw": "192.0.2.1"}])));
    let fails = |index: usize| !index.is_multiple_of(3);
    sixteen_at_a_time(count, |index| match fails(index) {
        true => assert_says(&node.add_fails(&containers[index], &bad, 100), &["192.0.2.1"]),
        false => drop(node.add(&containers[index], &good)),
    });
    let ports = node.host.run(["ip", "-o", "link", "show", "master", "br0"]);
    assert_eq!((ports.lines().count(), leases().len()), (count / 3, 2 * count / 3));
    for (index, container) in containers.iter().enumerate().filter(|(index, _)| !fails(*index)) {
        assert!(container.pings("10.1.0.1") && container.pings("fd00:1::1"), "{index}");
    }
    sixteen_at_a_time(count, |index| node.del(&containers[index], &good));
    assert_same("", &node.host.run(["ip", "-o", "link", "show", "master", "br0"]));
}
