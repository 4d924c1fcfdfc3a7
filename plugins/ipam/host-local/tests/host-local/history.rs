//! `cooldownSeconds` and `stickyBy`: the history of addresses that nobody holds.

use std::fs;

use serde_json::json;

use crate::pool::{Pool, addresses};

fn pod(pool: &Pool, container: &str, name: &str) -> Vec<String> {
    let args = format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME={name}");
    addresses(&pool.call("ADD", container).args(&args).run())
}

#[test]
fn a_released_address_cools_until_nothing_else_is_free() {
    let pool = Pool::new(json!({ "subnet": "10.0.0.0/29", "cooldownSeconds": 3600 }));
    for id in ["a", "b", "c", "d", "e"] {
        pool.add(id).expect_success();
    }
    // Without cooling the next would be 10.0.0.2, the first after the last one allocated.
    for id in ["c", "a", "e"] {
        pool.del(id).expect_silent_success();
        // The time of a release is kept in milliseconds; a DEL takes less.
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert_eq!(pool.allocated("f"), ["10.0.0.4"]);
    assert_eq!(pool.allocated("g"), ["10.0.0.2"]);
    assert_eq!(pool.allocated("h"), ["10.0.0.6"]);
    pool.add("i").expect_error(104);
}

#[test]
fn an_address_that_does_not_cool_is_preferred() {
    let pool = Pool::new(json!({
        "subnet": "10.0.0.0/24", "rangeStart": "10.0.0.2", "rangeEnd": "10.0.0.4",
        "cooldownSeconds": 3600,
    }));
    pool.add("a").expect_success();
    pool.del("a").expect_silent_success();
    for id in ["b", "c"] {
        pool.add(id).expect_success();
    }
    pool.del("b").expect_silent_success();
    // The round robin is at its end; of .2 and .3, both cooling, .2 was released first.
    assert_eq!(pool.allocated("d"), ["10.0.0.2"]);
    assert_eq!(pool.allocated("e"), ["10.0.0.3"]);
}

#[test]
fn a_cooldown_ends() {
    let pool = Pool::new(json!({ "subnet": "10.0.0.0/29", "cooldownSeconds": 1 }));
    for id in ["a", "b", "c", "d", "e"] {
        pool.add(id).expect_success();
    }
    pool.del("b").expect_silent_success();
    pool.gc(&["b", "c", "d", "e"]).expect_silent_success();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    // 10.0.0.3 was released first, but the turn is at 10.0.0.2, and neither cools.
    assert_eq!(pool.allocated("f"), ["10.0.0.2"]);
}

#[test]
fn a_pod_gets_its_previous_addresses_while_they_are_free() {
    let pool = Pool::new(json!({
        "ranges": [[{ "subnet": "10.0.0.0/24" }], [{ "subnet": "fd00::/64" }]],
        "stickyBy": "pod",
    }));
    let first = pod(&pool, "c1", "web-0");
    pod(&pool, "c2", "web-1");
    pool.del("c1").expect_silent_success();
    assert_eq!(pod(&pool, "c3", "web-2"), ["10.0.0.4", "fd00::4"]);
    assert_eq!(pod(&pool, "c4", "web-0"), first);
    pool.del("c4").expect_silent_success();
    // Taken by another: the pod gets the next one, and keeps that from then on.
    fs::write(pool.file("10.0.0.2"), "other\r\neth0").unwrap();
    let moved = pod(&pool, "c5", "web-0");
    assert_eq!(moved, ["10.0.0.5", "fd00::2"]);
    pool.del("c5").expect_silent_success();
    pool.del("other").expect_silent_success();
    assert_eq!(pod(&pool, "c6", "web-0"), moved);
    // Without a pod nothing sticks.
    assert_eq!(pool.allocated("c7")[0], "10.0.0.6");
}

#[test]
fn a_pod_gets_its_address_even_while_it_cools() {
    let pool = Pool::new(json!({
        "subnet": "10.0.0.0/24", "stickyBy": "pod", "cooldownSeconds": 3600,
    }));
    assert_eq!(pod(&pool, "c1", "web-0"), ["10.0.0.2"]);
    pool.del("c1").expect_silent_success();
    assert_eq!(pod(&pool, "c2", "web-0"), ["10.0.0.2"]);
}

#[test]
fn neither_is_on_unless_asked_for() {
    let pool = Pool::new(json!({ "subnet": "10.0.0.0/29" }));
    assert_eq!(pod(&pool, "c1", "web-0"), ["10.0.0.2"]);
    pool.del("c1").expect_silent_success();
    assert_eq!(pod(&pool, "c2", "web-0"), ["10.0.0.3"]);
    assert!(!pool.data_dir().join(".causeway/net1.memory").exists());
}

#[test]
fn a_faulty_wish_is_named() {
    let mut pool = Pool::new(json!({ "subnet": "10.0.0.0/29", "stickyBy": "node" }));
    assert_eq!(pool.add("c1").expect_error(2), "ipam.stickyBy: must be \"pod\", got \"node\"");
    pool.ipam = json!({ "subnet": "10.0.0.0/29", "cooldownSeconds": -1 });
    assert!(pool.add("c1").expect_error(7).contains("ipam.cooldownSeconds"));
    pool.ipam = json!({ "subnet": "10.0.0.0/29", "exclude": ["10.0.0.5-10.0.0.2"] });
    assert!(pool.add("c1").expect_error(7).contains("ipam.exclude[0]"));
    assert!(!pool.folder().exists());
}

#[test]
fn a_memory_that_is_lost_or_not_one_does_no_harm() {
    let pool = Pool::new(json!({
        "subnet": "10.0.0.0/29", "stickyBy": "pod", "cooldownSeconds": 3600,
    }));
    let file = pool.data_dir().join(".causeway/net1.memory");
    for (number, noise) in [&b""[..], &[0xff; 5000], b"cwmemo01"].iter().enumerate() {
        let id = format!("c{number}");
        pod(&pool, &id, "web-0");
        pool.del(&id).expect_silent_success();
        assert!(file.is_file());
        fs::write(&file, noise).unwrap();
    }
    let mut bytes = vec![0xee; 4096 * 17];
    bytes[..8].copy_from_slice(b"cwmemo01");
    fs::write(&file, bytes).unwrap();
    assert_eq!(pod(&pool, "last", "web-0").len(), 1);
    assert_eq!(pool.leases().len(), 1);
}
