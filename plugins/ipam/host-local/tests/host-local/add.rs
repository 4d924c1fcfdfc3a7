//! ADD, DEL, CHECK, GC, STATUS through the executable: what is allocated, what is on disk, what is said.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::pool::{self, Pool, addresses};

#[test]
fn an_add_writes_the_files_of_the_reference_to_the_byte() {
    let pool = Pool::small();
    assert_eq!(pool.allocated("c1"), ["10.0.0.2"]);
    assert_eq!(pool.names(), ["10.0.0.2", "last_reserved_ip.0", "lock"]);
    assert_eq!(fs::read(pool.file("10.0.0.2")).unwrap(), b"c1\r\neth0");
    assert_eq!(fs::read(pool.file("last_reserved_ip.0")).unwrap(), b"10.0.0.2");
    let mode = fs::metadata(pool.file("10.0.0.2")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    pool.del("c1").expect_silent_success();
    assert_eq!(pool.names(), ["last_reserved_ip.0", "lock"]);
}

#[test]
fn addresses_are_allocated_in_turn_and_wrap() {
    let mut pool = Pool::small();
    pool.ipam =
        json!({ "subnet": "10.0.0.0/24", "rangeStart": "10.0.0.10", "rangeEnd": "10.0.0.12" });
    assert_eq!(pool.allocated("a"), ["10.0.0.10"]);
    assert_eq!(pool.allocated("b"), ["10.0.0.11"]);
    pool.del("a").expect_silent_success();
    assert_eq!(pool.allocated("c"), ["10.0.0.12"]);
    assert_eq!(pool.allocated("d"), ["10.0.0.10"]);
    let answer = pool.add("e");
    assert_eq!(
        answer.expect_error(104),
        "failed to allocate for range 0: no IP addresses available in range set: 10.0.0.10-10.0.0.12"
    );
    assert!(answer.details().contains("3 held, 0 reclaimable, 0 free of 3"), "{answer}");
    assert!(answer.details().contains("head -v"), "{answer}");
}

#[test]
fn every_set_gives_one_address_or_none_does() {
    let pool = Pool::new(json!({
        "ranges": [
            [{ "subnet": "10.0.0.0/24" }],
            [{ "subnet": "fd00::/64" }],
            [{ "subnet": "10.9.0.0/24", "rangeStart": "10.9.0.7", "rangeEnd": "10.9.0.7" }],
        ],
        "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "fd01::/16", "gw": "fd00::9", "mtu": 1400 }],
    }));
    let answer = pool.add("c1");
    assert_eq!(addresses(&answer), ["10.0.0.2", "fd00::2", "10.9.0.7"]);
    let result = answer.json();
    assert_eq!(result["ips"][1], json!({ "address": "fd00::2/64", "gateway": "fd00::1" }));
    assert_eq!(
        result["routes"],
        json!([{ "dst": "0.0.0.0/0" }, { "dst": "fd01::/16", "gw": "fd00::9", "mtu": 1400 }])
    );
    assert_eq!(result.get("interfaces"), None);
    let before = pool.leases();
    assert!(pool.add("c2").expect_error(104).starts_with("failed to allocate for range 2: "));
    assert_eq!(pool.leases(), before);
    pool.del("c1").expect_silent_success();
    assert!(pool.leases().is_empty());
}

#[test]
fn a_second_add_of_the_same_attachment_is_refused() {
    let pool = Pool::small();
    pool.add("c1").expect_success();
    assert_eq!(
        pool.add("c1").expect_error(101),
        "failed to allocate for range 0: 10.0.0.2 has been allocated to c1, duplicate allocation is not allowed"
    );
    let other = addresses(&pool.call("ADD", "c1").ifname("eth1").run());
    assert_eq!(other, ["10.0.0.3"]);
    pool.del("c1").expect_silent_success();
    assert_eq!(pool.leases().into_keys().collect::<Vec<_>>(), ["10.0.0.3"]);
}

#[test]
fn requested_addresses_come_from_three_places_and_all_or_none_are_allocated() {
    let mut pool = Pool::new(json!({
        "ranges": [[{ "subnet": "10.0.0.0/24" }], [{ "subnet": "fd00::/64" }]],
    }));
    let ask = |pool: &Pool, ips: serde_json::Value, id: &str| {
        let mut config = pool.config();
        config["runtimeConfig"] = json!({ "ips": ips });
        pool.call("ADD", id).config(config).run()
    };
    let answer = ask(&pool, json!(["fd00::77/64", "10.0.0.77"]), "c1");
    assert_eq!(addresses(&answer), ["10.0.0.77", "fd00::77"]);
    let taken = ask(&pool, json!(["fd00::78", "10.0.0.77"]), "c2");
    assert_eq!(
        taken.expect_error(101),
        "failed to allocate for range 0: requested IP address 10.0.0.77 is not available in range set 10.0.0.1-10.0.0.254"
    );
    assert_eq!(taken.details(), "held by c1");
    let outside = ask(&pool, json!(["10.1.0.1", "10.0.0.99"]), "c2");
    assert_eq!(outside.expect_error(7), "failed to allocate all requested IPs: 10.1.0.1");
    let gateway = ask(&pool, json!(["10.0.0.1"]), "c2");
    assert_eq!(
        gateway.expect_error(7),
        "failed to allocate for range 0: requested ip 10.0.0.1 is subnet's gateway"
    );
    assert_eq!(pool.leases().len(), 2);
    let by_args = pool.call("ADD", "c3").args("IP=10.0.0.55/24;K8S_POD_NAME=x").run();
    assert_eq!(addresses(&by_args)[0], "10.0.0.55");
    let mut config = pool.config();
    config["args"] = json!({ "cni": { "ips": ["10.0.0.66"] } });
    assert_eq!(addresses(&pool.call("ADD", "c4").config(config).run())[0], "10.0.0.66");
    pool.ipam["ranges"] =
        json!([[{ "subnet": "10.0.0.0/24", "exclude": ["10.0.0.80-10.0.0.90"] }]]);
    let excluded = ask(&pool, json!(["10.0.0.85"]), "c5");
    assert!(excluded.expect_error(101).contains("10.0.0.85 is not available"));
}

#[test]
fn excluded_addresses_are_never_allocated() {
    let pool = Pool::new(json!({
        "exclude": ["10.0.0.2", "10.0.0.8/29"],
        "ranges": [[{ "subnet": "10.0.0.0/24", "exclude": ["10.0.0.4-10.0.0.6"], "rangeEnd": "10.0.0.17" }]],
    }));
    let allocated: Vec<String> = (0..4).flat_map(|n| pool.allocated(&format!("c{n}"))).collect();
    assert_eq!(allocated, ["10.0.0.3", "10.0.0.7", "10.0.0.16", "10.0.0.17"]);
    assert!(pool.add("c9").details().contains("4 held, 0 reclaimable, 0 free of 4"));
}

#[test]
fn a_del_needs_no_more_than_the_place_and_the_holder() {
    let pool = Pool::small();
    pool.add("c1").expect_success();
    let data_dir = pool.data_dir().to_str().unwrap();
    let config = json!({
        "cniVersion": "1.0.0", "name": pool::NETWORK,
        "ipam": { "dataDir": data_dir, "ranges": "nonsense", "subnet": 7, "cooldownSeconds": "x" },
        "prevResult": { "ips": "none" },
    });
    pool.call("DEL", "c1")
        .args("X=1=2")
        .netns_path("")
        .config(config)
        .run()
        .expect_silent_success();
    assert!(pool.leases().is_empty());
}

#[test]
fn a_del_of_nothing_is_done_and_makes_no_folder() {
    let pool = Pool::small();
    for _ in 0..3 {
        pool.del("c1").expect_silent_success();
    }
    assert!(!pool.folder().exists());
    pool.add("c1").expect_success();
    for _ in 0..3 {
        pool.del("c1").expect_silent_success();
    }
    pool.del("other").expect_silent_success();
}

#[test]
fn below_0_3_0_there_is_one_address_a_family() {
    let mut pool = Pool::new(json!({
        "ranges": [[{ "subnet": "10.0.0.0/24" }], [{ "subnet": "10.1.0.0/24" }]],
    }));
    pool.version = "0.2.0";
    for command in ["ADD", "DEL"] {
        assert_eq!(
            pool.call(command, "c1").run().expect_error(7),
            "CNI version 0.2.0 does not support more than 1 address per family"
        );
    }
    pool.ipam["ranges"] = json!([[{ "subnet": "10.0.0.0/24" }], [{ "subnet": "fd00::/64" }]]);
    let result = pool.add("c1").expect_success().json();
    assert_eq!(result["ip4"]["ip"], "10.0.0.2/24");
    assert_eq!(result["ip6"], json!({ "ip": "fd00::2/64", "gateway": "fd00::1" }));
    pool.del("c1").expect_silent_success();
}

#[test]
fn resolv_conf_becomes_the_results_dns() {
    let mut pool = Pool::small();
    let path = pool.data_dir().join("resolv.conf");
    fs::write(&path, "nameserver 192.0.2.1\nsearch a b\noptions ndots:1\n").unwrap();
    pool.ipam["resolvConf"] = path.to_str().unwrap().into();
    let dns = pool.add("c1").json()["dns"].clone();
    assert_eq!(
        dns,
        json!({ "nameservers": ["192.0.2.1"], "search": ["a", "b"], "options": ["ndots:1"] })
    );
    fs::remove_file(&path).unwrap();
    assert!(pool.add("c2").expect_error(5).contains("resolv.conf"));
    assert_eq!(pool.leases().len(), 1);
}

#[test]
fn check_finds_what_is_missing_and_says_who_has_it() {
    let pool = Pool::small();
    let result = pool.add("c1").json();
    let mut config = pool.config();
    config["prevResult"] = result;
    let check = pool.call("CHECK", "c1").config(&config);
    check.run().expect_silent_success();
    pool.call("CHECK", "c1").run().expect_silent_success();
    fs::write(pool.file("10.0.0.2"), "c2\r\neth0").unwrap();
    let error = check.run();
    assert_eq!(error.expect_error(102), "host-local: Failed to find address added by container c1");
    fs::remove_file(pool.file("10.0.0.2")).unwrap();
    pool.write("10.0.0.3", "c1\r\neth0");
    assert!(check.run().expect_error(102).contains("c1"));
    assert_eq!(check.run().details(), "10.0.0.2 is held by nobody");
}

#[test]
fn gc_frees_what_is_not_in_the_list() {
    let pool = Pool::new(json!({ "subnet": "10.0.0.0/29" }));
    for id in ["a", "b", "c"] {
        pool.add(id).expect_success();
    }
    pool.write("10.0.0.5", "old-style");
    pool.write("10.0.0.6", "not for you");
    pool.gc(&["a", "c"]).expect_silent_success();
    assert_eq!(pool.leases().into_keys().collect::<Vec<_>>(), ["10.0.0.2", "10.0.0.4", "10.0.0.6"]);
    pool.gc(&[]).expect_silent_success();
    assert_eq!(pool.leases().into_values().collect::<Vec<_>>(), ["not for you"]);
}

#[test]
fn an_answer_that_cannot_be_printed_releases_its_address_and_no_other() {
    use std::process::Stdio;
    let mut pool = Pool::small();
    // Of another range than the one that the configuration has now.
    pool.allocated("c1");
    pool.ipam = json!({ "subnet": "10.9.0.0/24" });
    let before = pool.leases();
    let config = pool.data_dir().join("config.json");
    fs::write(&config, pool.config().to_string()).unwrap();
    let mut process = pool.call("ADD", "c1").process();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    process.stdin(fs::File::open(config).unwrap()).stdout(full).stderr(Stdio::null());
    assert_eq!(process.status().unwrap().code(), Some(1));
    assert_eq!(pool.leases(), before);
}

#[test]
fn a_relative_data_dir_is_refused_by_add() {
    let mut pool = Pool::small();
    pool.ipam["dataDir"] = "some/where".into();
    assert!(pool.add("c1").expect_error(7).contains("ipam.dataDir: must be an absolute path"));
}
