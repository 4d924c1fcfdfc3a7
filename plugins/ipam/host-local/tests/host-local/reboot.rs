//! A second boot, simulated: another boot ID in a private mount namespace.

use std::fs;

use nix::mount::{MsFlags, mount};
use serde_json::json;
use testsupport::Host;

use crate::pool::{self, Pool, reference};

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What follows happens in another boot.
fn boot(pool: &Pool, id: &str) {
    let file = pool.data_dir().join(format!("boot-{id}"));
    fs::write(&file, format!("{id}-0000-4000-8000-000000000000\n")).unwrap();
    mount(Some(&file), BOOT_ID, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
}

fn of_five() -> Pool {
    Pool::new(json!({ "subnet": "10.0.0.0/29" }))
}

#[test]
fn leases_of_an_earlier_boot_are_reclaimed_when_nothing_else_is_left() {
    let _host = Host::new();
    let pool = of_five();
    for id in ["a", "b", "c"] {
        pool.add(id).expect_success();
    }
    boot(&pool, "11111111");
    for id in ["d", "e"] {
        pool.add(id).expect_success();
    }
    assert_eq!(pool.leases().len(), 5);
    // Exhausted, but some can be reclaimed.
    pool.status().expect_silent_success();
    let answer = pool.call("ADD", "f").env("CNI_DEBUG", "1").run();
    assert_eq!(pool::addresses(&answer), ["10.0.0.2"]);
    for (ip, id) in [("10.0.0.2", "a"), ("10.0.0.3", "b"), ("10.0.0.4", "c")] {
        let line =
            format!("reclaiming {ip} from container {id}: it was allocated in an earlier boot");
        assert!(answer.stderr().contains(&line), "{answer}");
    }
    let leases = pool.leases();
    assert_eq!(leases.keys().collect::<Vec<_>>(), ["10.0.0.2", "10.0.0.5", "10.0.0.6"]);
    // Nothing of this boot is ever reclaimed.
    for id in ["g", "h"] {
        pool.add(id).expect_success();
    }
    assert!(pool.add("i").details().contains("5 held, 0 reclaimable, 0 free of 5"));
    pool.status().expect_silent_success();
}

#[test]
fn leases_of_unknown_origin_are_never_reclaimed() {
    let _host = Host::new();
    let mut pool = of_five();
    pool.version = "1.0.0";
    let ours = std::mem::replace(&mut pool.program, reference());
    for id in ["a", "b", "c"] {
        pool.add(id).expect_success();
    }
    pool.program = ours;
    pool.version = "1.1.0";
    pool.add("d").expect_success();
    // A copy of ours by hand is nobody's word for when it was made, either.
    pool.write("10.0.0.6", "e\r\neth0");
    boot(&pool, "22222222");
    pool.add("f").expect_success();
    let leases = pool.leases();
    assert_eq!(leases["10.0.0.5"], "f\r\neth0");
    assert_eq!(leases["10.0.0.6"], "e\r\neth0");
    pool.add("g").expect_error(104);
    assert_eq!(pool.leases(), leases);
}

#[test]
fn a_del_of_an_earlier_boots_container_still_works() {
    let _host = Host::new();
    let pool = of_five();
    pool.add("a").expect_success();
    boot(&pool, "33333333");
    pool.add("a").expect_error(101);
    pool.del("a").expect_silent_success();
    assert!(pool.leases().is_empty());
}

#[test]
fn the_origin_of_a_lease_outlives_the_cache() {
    let _host = Host::new();
    let pool = of_five();
    for id in ["a", "b", "c", "d", "e"] {
        pool.add(id).expect_success();
    }
    fs::remove_dir_all(pool.data_dir().join(".causeway")).unwrap();
    boot(&pool, "44444444");
    assert_eq!(pool.allocated("f"), ["10.0.0.2"]);
    assert_eq!(pool.leases().len(), 1);
}

#[test]
fn a_requested_address_of_an_earlier_boot_is_allocated() {
    let _host = Host::new();
    let mut pool = of_five();
    pool.ipam["stickyBy"] = "pod".into();
    let pod = "K8S_POD_NAMESPACE=n;K8S_POD_NAME=p";
    let first = pool::addresses(&pool.call("ADD", "a").args(pod).run());
    pool.add("b").expect_success();
    pool.call("ADD", "c").args("IP=10.0.0.3").run().expect_error(101);
    boot(&pool, "55555555");
    let by_request = pool.call("ADD", "c").args("IP=10.0.0.3").run();
    assert_eq!(pool::addresses(&by_request), ["10.0.0.3"]);
    assert_eq!(pool::addresses(&pool.call("ADD", "d").args(pod).run()), first);
    pool.call("ADD", "e").args("IP=10.0.0.3").run().expect_error(101);
}
