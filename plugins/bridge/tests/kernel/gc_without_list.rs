//! GC of a caller that does not say who lives: what is proved to be dead goes, and nothing else.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testsupport::{Call, Container};

use crate::node::{Node, config, host_end, with};

const POOL: &str = "/var/lib/cni/networks/net";
const ROUNDS: usize = 20;

fn keys() -> Value {
    let ipam = json!({"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}]]});
    config(json!({
        "cniVersion": "1.1.0", "isGateway": true, "ipMasq": true, "ipMasqBackend": "nftables",
        "macspoofchk": true, "ipam": ipam,
    }))
}

/// GC with a null list; every other time without the key.
fn collect(round: usize) {
    let config = match round % 2 {
        0 => with(&keys(), &json!({"cni.dev/valid-attachments": null})),
        _ => keys(),
    };
    Call::new("bridge").command("GC").config(config).run().expect_silent_success();
}

fn leases() -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(POOL) else { return BTreeSet::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("10.")).collect()
}

/// Whether the pool's files can say who allocated them: not on tmpfs before Linux 6.6. Without that
/// nothing proves that a lease is nobody's.
fn has_origins() -> bool {
    let probe = format!("{POOL}.probe");
    fs::write(&probe, "").unwrap();
    let set = rustix::fs::setxattr(&probe, "user.probe", b"1", rustix::fs::XattrFlags::empty());
    fs::remove_file(&probe).unwrap();
    set.is_ok()
}

fn addresses(result: &Value) -> BTreeSet<String> {
    let address = result["ips"][0]["address"].as_str().unwrap();
    BTreeSet::from([address.split('/').next().unwrap().to_owned()])
}

/// A random number below `limit`.
fn random(limit: u64) -> u64 {
    RandomState::new().build_hasher().finish() % limit
}

/// Starts a call and kills it within ten milliseconds.
fn run_killed(node: &Node, command: &str, container: &Container) {
    let path = node.host.temp_dir().join("config");
    fs::write(&path, keys().to_string()).unwrap();
    let mut process = node.call(command, container).process();
    process.stdin(File::open(path).unwrap()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = process.spawn().unwrap();
    std::thread::sleep(Duration::from_micros(random(10_000)));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Waits until the kernel has removed what was in namespaces that are gone.
fn await_ports(node: &Node, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let ports = || node.host.run(["ip", "-o", "link", "show", "type", "veth"]).lines().count();
    while ports() > count {
        assert!(Instant::now() < deadline, "namespaces do not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn nothing_of_pods_that_are_gone_is_left_after_kills_in_mid_call() {
    let node = Node::giving(&[]);
    let living = node.host.container("living");
    let result = node.add(&living, &keys());
    let has_origins = has_origins();
    let mut left = 0;
    for round in 0..ROUNDS {
        let pods: Vec<Container> =
            (0..3).map(|pod| node.host.container(&format!("pod{round}-{pod}"))).collect();
        node.add(&pods[2], &keys());
        run_killed(&node, "ADD", &pods[0]);
        run_killed(&node, "ADD", &pods[1]);
        run_killed(&node, "DEL", &pods[2]);
        // An IPAM plugin that outlives its caller finds that nobody reads its answer.
        std::thread::sleep(Duration::from_millis(100));
        drop(pods);
        await_ports(&node, 1);
        left += leases().len() - 1;
        collect(round);
        if has_origins {
            assert_eq!(leases(), addresses(&result), "round {round}");
        }
        let rules = node.host.run(["nft", "list", "ruleset"]);
        assert!(!rules.contains("/pod"), "round {round}: {rules}");
        assert!(rules.contains("/living/"));
    }
    assert!(left > 0, "no kill left anything: nothing was tested");
    assert!(node.has_link(&host_end(&result)));
    node.check(&living, &keys(), &result).expect_silent_success();
}

#[test]
fn what_lives_and_what_others_made_stays() {
    let node = Node::giving(&[]);
    let living = node.host.container("living");
    let result = node.add(&living, &keys());
    // Of the reference, of another plugin, and an operator's note.
    for (ip, text) in
        [("10.1.0.100", "other\r\neth0"), ("10.1.0.101", "old"), ("10.1.0.102", "do not use")]
    {
        fs::write(format!("{POOL}/{ip}"), text).unwrap();
    }
    fs::write(format!("{POOL}/10.1.0.103"), "").unwrap();
    collect(0);
    collect(1);
    let mut expected = addresses(&result);
    expected.extend(["10.1.0.100", "10.1.0.101", "10.1.0.102"].map(str::to_owned));
    assert_eq!(leases(), expected);
    node.check(&living, &keys(), &result).expect_silent_success();
}

#[test]
fn what_running_adds_make_stays() {
    let node = Node::giving(&[]);
    let containers: Vec<Container> =
        (0..8).map(|number| node.host.container(&format!("c{number}"))).collect();
    let results: Vec<Value> = std::thread::scope(|scope| {
        let add = |container| {
            let node = &node;
            scope.spawn(move || node.add(container, &keys()))
        };
        let adds: Vec<_> = containers.iter().map(add).collect();
        let mut round = 0;
        while !adds.iter().all(|add| add.is_finished()) {
            collect(round);
            round += 1;
        }
        adds.into_iter().map(|add| add.join().unwrap()).collect()
    });
    assert_eq!(leases().len(), containers.len());
    for (container, result) in containers.iter().zip(&results) {
        node.check(container, &keys(), result).expect_silent_success();
    }
}

#[test]
fn the_pair_of_a_killed_add_goes_and_a_finished_one_stays() {
    let node = Node::giving(&[]);
    let (blue, red) = (node.host.container("blue"), node.host.container("red"));
    let (unfinished, finished) = (node.add(&blue, &keys()), node.add(&red, &keys()));
    let link = host_end(&unfinished);
    node.host.run(["ip", "link", "set", &link, "alias", "net/blue/eth0 (being attached)"]);
    collect(0);
    assert!(!node.has_link(&link) && node.has_link(&host_end(&finished)));
    let mut expected = addresses(&finished);
    if !has_origins() {
        expected.extend(addresses(&unfinished));
    }
    assert_eq!(leases(), expected);
}
