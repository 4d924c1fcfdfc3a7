//! One pool folder, two suites: the reference plugin and this one, by turns and at once.

use std::collections::HashSet;
use std::fs;
use std::thread;

use serde_json::json;

use crate::pool::{Pool, addresses, reference};

/// Two views of one folder: ours and the reference's. Its package may not speak 1.1.0.
fn shared(subnet: &str) -> (Pool, Pool) {
    let mut ours = Pool::new(json!({ "subnet": subnet }));
    ours.version = "1.0.0";
    let mut theirs = Pool::new(json!({ "subnet": subnet, "dataDir": ours.data_dir() }));
    theirs.version = "1.0.0";
    theirs.program = reference();
    (ours, theirs)
}

#[test]
fn what_one_gives_the_other_releases() {
    let (ours, theirs) = shared("10.0.0.0/24");
    for _ in 0..5 {
        ours.add("a").expect_success();
        theirs.del("a").expect_silent_success();
        assert!(ours.leases().is_empty());
        theirs.add("b").expect_success();
        ours.del("b").expect_silent_success();
        assert!(ours.leases().is_empty());
    }
    assert_eq!(ours.leases().len(), 0);
}

#[test]
fn both_write_the_same_bytes() {
    let (ours, theirs) = shared("10.0.0.0/24");
    ours.add("a").expect_success();
    theirs.add("b").expect_success();
    let leases = ours.leases();
    assert_eq!(leases["10.0.0.2"], "a\r\neth0");
    assert_eq!(leases["10.0.0.3"], "b\r\neth0");
    assert_eq!(fs::read_to_string(ours.file("last_reserved_ip.0")).unwrap(), "10.0.0.3");
    use std::os::unix::fs::PermissionsExt;
    let mode = |ip: &str| fs::metadata(ours.file(ip)).unwrap().permissions().mode();
    // The reference leaves what the umask allows of 0644 in some versions, 0600 in others.
    assert_eq!(mode("10.0.0.2") & 0o777, 0o600);
    assert_eq!(mode("10.0.0.3") & 0o600, 0o600);
}

#[test]
fn by_turns_the_round_robin_goes_on_and_no_address_is_allocated_twice() {
    let (ours, theirs) = shared("10.0.0.0/28");
    let mut allocated = HashSet::new();
    for number in 0..13 {
        let pool = if number % 2 == 0 { &ours } else { &theirs };
        let ip = addresses(&pool.add(&format!("c{number}"))).remove(0);
        assert_eq!(ip, format!("10.0.0.{}", number + 2));
        assert!(allocated.insert(ip));
    }
    assert!(ours.add("full").expect_error(104).contains("no IP addresses available"));
    // A second ADD is refused by either, whoever made the first.
    for (pool, id) in [(&ours, "c1"), (&theirs, "c0")] {
        let answer = pool.add(id);
        assert_eq!(answer.status(), Some(1));
        assert!(answer.stdout().contains("duplicate allocation is not allowed"), "{answer}");
    }
    for number in 0..13 {
        let pool = if number % 2 == 0 { &theirs } else { &ours };
        pool.del(&format!("c{number}")).expect_silent_success();
    }
    assert!(ours.leases().is_empty());
}

#[test]
fn at_once_no_address_is_allocated_twice_and_nothing_is_left() {
    let (ours, theirs) = shared("10.0.0.0/24");
    let run = |pool: &Pool, name: &str| {
        let mut allocated = Vec::new();
        for number in 0..25 {
            let id = format!("{name}{number}");
            allocated.push(addresses(&pool.add(&id)).remove(0));
            if number % 3 == 0 {
                pool.del(&id).expect_silent_success();
            }
        }
        allocated
    };
    thread::scope(|scope| {
        for name in ["w", "x"] {
            let (run, ours, theirs) = (&run, &ours, &theirs);
            scope.spawn(move || run(ours, &format!("ours-{name}")));
            scope.spawn(move || run(theirs, &format!("theirs-{name}")));
        }
    });
    let leases = ours.leases();
    assert_eq!(leases.len(), 4 * 16);
    assert_eq!(leases.values().collect::<HashSet<_>>().len(), 4 * 16);
    for content in leases.values() {
        let id = content.strip_suffix("\r\neth0").unwrap();
        // Each is released by the other.
        let pool = if id.starts_with("ours") { &theirs } else { &ours };
        pool.del(id).expect_silent_success();
    }
    assert!(ours.leases().is_empty());
}

#[test]
fn an_old_file_is_understood_by_both() {
    let (ours, theirs) = shared("10.0.0.0/24");
    ours.write("10.0.0.9", "old");
    ours.add("old").expect_error(101);
    ours.del("old").expect_silent_success();
    ours.write("10.0.0.9", "old");
    theirs.del("old").expect_silent_success();
    assert!(ours.leases().is_empty());
}

#[test]
fn their_calls_are_not_disturbed_by_what_ours_remember() {
    let (mut ours, theirs) = shared("10.0.0.0/24");
    ours.ipam["cooldownSeconds"] = 60.into();
    ours.ipam["stickyBy"] = "pod".into();
    ours.call("ADD", "a").args("K8S_POD_NAME=p;K8S_POD_NAMESPACE=n").run().expect_success();
    ours.del("a").expect_silent_success();
    assert_eq!(theirs.allocated("b"), ["10.0.0.3"]);
    let again = ours.call("ADD", "c").args("K8S_POD_NAME=p;K8S_POD_NAMESPACE=n").run();
    assert_eq!(addresses(&again), ["10.0.0.2"]);
    for id in ["b", "c"] {
        theirs.del(id).expect_silent_success();
    }
    assert_eq!(ours.names(), ["last_reserved_ip.0", "lock"]);
}
