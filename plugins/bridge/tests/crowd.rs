//! Many containers at once, with the suite's own `host-local`: as a node that restarts sees it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};
use testsupport::{Call, Container, Host, feature, not_run};

const CONTAINERS: usize = 200;
/// Calls that run at the same time.
const AT_ONCE: usize = 16;

fn config() -> Value {
    let ranges = json!([[{"subnet": "10.88.0.0/16"}], [{"subnet": "fd00:88::/64"}]]);
    json!({
        "cniVersion": "1.0.0", "name": "pods", "type": "bridge", "bridge": "cni0",
        "isDefaultGateway": true, "ipMasq": true, "ipMasqBackend": "nftables",
        "ipam": {"type": "host-local", "ranges": ranges},
    })
}

fn call(command: &str, container: &Container, config: &Value) -> Call {
    let call = Call::new("bridge").command(command).container_id(container.name());
    call.netns(container).ifname("eth0").config(config)
}

/// What `work` returns for each item, sixteen of them at a time.
fn at_once<T: Sync, R: Send>(items: &[T], work: impl Fn(usize, &T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return done };
            done.push((index, work(index, item)));
        }
    };
    let mut all = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, result)| result).collect()
}

fn addresses(result: &Value) -> Vec<String> {
    let ips = result["ips"].as_array().unwrap();
    ips.iter().map(|ip| ip["address"].as_str().unwrap().to_owned()).collect()
}

/// Ports, rules and leases: what two hundred attachments show on the host.
fn counts(host: &Host) -> [usize; 3] {
    let lines = |words: &[&str], holding: &str| {
        host.run(words).lines().filter(|line| line.contains(holding)).count()
    };
    [
        lines(&["ip", "-oneline", "link", "show", "master", "cni0"], "veth"),
        lines(&["nft", "list", "ruleset"], "\"pods/c"),
        lines(&["find", "/var/lib/cni/networks/pods", "-type", "f"], "8"),
    ]
}

#[test]
fn two_hundred_come_and_go_sixteen_at_a_time() {
    if !feature::nftables_masquerade() {
        return not_run("two hundred containers: this kernel has no masquerading by nf_tables");
    }
    let host = Host::new();
    let names: Vec<String> = (0..CONTAINERS).map(|index| format!("c{index}")).collect();
    let containers = at_once(&names, |_, name| host.container(name));
    let results = at_once(&containers, |_, container| {
        call("ADD", container, &config()).run().expect_success().json()
    });

    let given: Vec<String> = results.iter().flat_map(addresses).collect();
    let different: BTreeSet<&String> = given.iter().collect();
    assert_eq!((given.len(), different.len()), (2 * CONTAINERS, 2 * CONTAINERS));
    let [ports, rules, leases] = counts(&host);
    assert_eq!([ports, leases], [CONTAINERS, 2 * CONTAINERS]);
    assert!(rules > 0, "no rule names a container");
    assert!(containers[0].pings("10.88.0.1") && containers[CONTAINERS - 1].pings("fd00:88::1"));

    at_once(&containers, |index, container| {
        let mut config = config();
        config["prevResult"] = results[index].clone();
        call("CHECK", container, &config).run().expect_silent_success();
        call("DEL", container, &config).run().expect_silent_success();
    });
    assert_eq!(counts(&host), [0; 3]);
    let left = at_once(&containers, |_, container| container.run(["ip", "-brief", "link"]));
    assert!(left.iter().all(|links| links.lines().count() == 1), "{left:?}");
}
