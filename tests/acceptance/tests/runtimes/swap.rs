//! Containers attached by one suite, detached by the other, while both serve one bridge and one pool.

use std::collections::BTreeSet;
use std::fs;

use cni_runtime::{NetworkList, Runtime};
use serde_json::json;

use crate::node::{Node, Pod, attachment, expect, list};
use crate::traces;

/// Every plugin, every address family and everything the reference leaves in the packet filter.
fn chain(backend: Backend) -> NetworkList {
    let mut object = list("containerd.conflist").to_json();
    let plugins = object["plugins"].as_array_mut().unwrap();
    plugins.push(json!({"type": "firewall"}));
    plugins.push(json!({"type": "bandwidth", "capabilities": {"bandwidth": true}}));
    plugins.push(json!({"type": "tuning", "mtu": 1400, "promisc": true}));
    if let Backend::Iptables = backend {
        // The distribution's reference knows no other, and does not know these keys.
        plugins[0]["ipMasqBackend"] = json!("iptables");
        plugins[1]["backend"] = json!("iptables");
        plugins[2]["backend"] = json!("iptables");
    }
    NetworkList::new(object).unwrap()
}

/// The same in the version that has GC.
fn with_gc(list: &NetworkList) -> NetworkList {
    let mut object = list.to_json();
    object["cniVersion"] = "1.1.0".into();
    NetworkList::new(object).unwrap()
}

/// A pod with a port of the host of its own, and limits.
#[track_caller]
fn start(node: &Node, name: &str, runtime: &Runtime, list: &NetworkList) -> Pod {
    let container = node.host.container(name);
    let port = 8000 + name.bytes().map(u32::from).sum::<u32>();
    let mapping = json!({"HostPort": port, "ContainerPort": 80, "Protocol": "tcp", "HostIP": ""});
    let limits = json!({
        "IngressRate": 80_000_000, "IngressBurst": 8_000_000,
        "EgressRate": 80_000_000, "EgressBurst": 8_000_000,
    });
    let attachment = attachment(&container)
        .capabilities([("portMappings", json!([mapping])), ("bandwidth", limits)]);
    Pod::attach(container, attachment, runtime, list)
}

/// With what this suite masquerades; the distribution's reference always does so with iptables.
#[derive(Clone, Copy)]
enum Backend {
    Nftables,
    Iptables,
}

/// What both suites together leave by design is made before anything is compared.
fn warmed_up(node: &Node, runtimes: &[&Runtime], list: &NetworkList) -> String {
    for (number, runtime) in runtimes.iter().enumerate() {
        let pod = start(node, &format!("first{number}"), runtime, list);
        expect(runtime.del(list, &pod.attachment));
    }
    traces::of_attachments(&node.host, &node.runtime)
}

#[test]
fn what_the_reference_attached_is_checked_and_detached_by_ours() {
    for backend in [Backend::Nftables, Backend::Iptables] {
        let (node, list) = (Node::new(), chain(backend));
        let (ours, reference) = (&node.runtime, &node.reference());
        let before = warmed_up(&node, &[reference, ours], &list);
        let [plain, mut late, mut gone] =
            ["plain", "late", "gone"].map(|name| start(&node, name, reference, &list));
        // Nothing but its result leads to what the reference's firewall made.
        let without_firewall = list.without("firewall");
        let mut forgotten = start(&node, "forgotten", reference, &without_firewall);
        for pod in [&plain, &late, &gone] {
            expect(ours.check(&list, &pod.attachment));
        }
        expect(ours.check(&without_firewall, &forgotten.attachment));
        plain.assert_reaches(&late);
        expect(ours.del(&list, &plain.attachment));
        plain.assert_is_detached();
        // nerdctl: without the namespace, which goes only then, and the reference's pair with it.
        expect(ours.del(&list, &late.attachment.clone().without_netns()));
        late.container.vanish();
        gone.container.vanish();
        expect(ours.del(&list, &gone.attachment.clone().without_netns()));
        forgotten.container.vanish();
        fs::remove_file(ours.cache().file(list.name(), &forgotten.attachment)).unwrap();
        expect(ours.del(&without_firewall, &forgotten.attachment.clone().without_netns()));
        traces::assert_same(&before, &traces::without_pairs(&node.host, ours));
    }
}

#[test]
fn what_ours_attached_is_checked_and_detached_by_the_reference() {
    let (node, list) = (Node::new(), chain(Backend::Iptables));
    let (ours, reference) = (&node.runtime, &node.reference());
    let before = warmed_up(&node, &[reference, ours], &list);
    let [one, other] = ["one", "other"].map(|name| start(&node, name, ours, &list));
    one.assert_reaches(&other);
    for pod in [&one, &other] {
        // portmap 1.1.1 looks among the rules of IPv6 for those of IPv4, whatever made them.
        expect(reference.check(&list.without("portmap"), &pod.attachment));
        let mtu = pod.container.run(["ip", "link", "show", "eth0"]);
        assert!(mtu.contains("mtu 1400"), "{mtu}");
        expect(reference.del(&list, &pod.attachment));
        pod.assert_is_detached();
    }
    // The rules are gone; whose they were is recorded beside them, which the reference does not know of.
    let rules = node.run("iptables-save") + &node.run("ip6tables-save");
    for address in one.addresses.iter().chain(&other.addresses) {
        assert!(!rules.contains(&format!("{address}/")), "{address}: {rules}");
        assert!(!rules.contains(&format!("{address}:")), "{address}: {rules}");
    }
    if let Err(failures) = ours.gc(&with_gc(&list), &[]) {
        panic!("{failures:#?}");
    }
    traces::assert_same(&before, &traces::of_attachments(&node.host, ours));
}

#[test]
fn the_reference_leaves_our_nftables_elements_and_our_gc_takes_them() {
    let (node, list) = (Node::new(), chain(Backend::Nftables));
    let (ours, reference) = (&node.runtime, &node.reference());
    let before = warmed_up(&node, &[reference, ours], &list);
    let pod = start(&node, "pod", ours, &list);
    // Interface and address are gone before it misses a chain of its own in iptables; a runtime
    // that tries again finds nothing more to do.
    if let Err(failure) = reference.del(&list, &pod.attachment) {
        assert!(failure.object()["msg"].to_string().contains("POSTROUTING"), "{failure}");
    }
    pod.assert_is_detached();
    assert_eq!(traces::leases(&node.host), Vec::<String>::new());
    expect(reference.del(&list, &pod.attachment));
    let after = traces::of_attachments(&node.host, ours);
    let left = after.lines().filter(|line| line.contains("containerd-net/pod/eth0"));
    assert!(left.count() > 0, "all of this test is for naught");

    if let Err(failures) = ours.gc(&with_gc(&list), &[]) {
        panic!("{failures:#?}");
    }
    traces::assert_same(&before, &traces::of_attachments(&node.host, ours));
}

#[test]
fn both_serve_one_bridge_and_one_pool_at_the_same_time() {
    let node = Node::new();
    // What is made of links and addresses; programs of iptables disturb each other beyond that.
    let list = chain(Backend::Iptables).without("portmap").without("firewall");
    let (ours, reference) = (&node.runtime, &node.reference());
    let before = warmed_up(&node, &[reference, ours], &list);
    let containers: Vec<_> =
        (0..6).map(|number| node.host.container(&format!("pod{number}"))).collect();
    let suite = |number: usize| if number.is_multiple_of(2) { ours } else { reference };
    let list = &list;
    let pods: Vec<Pod> = std::thread::scope(|scope| {
        let start = |(number, container)| {
            let runtime = suite(number);
            let attachment = attachment(&container);
            scope.spawn(move || Pod::attach(container, attachment, runtime, list))
        };
        let starting: Vec<_> = containers.into_iter().enumerate().map(start).collect();
        starting.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let given: BTreeSet<&String> = pods.iter().flat_map(|pod| &pod.addresses).collect();
    assert_eq!(given.len(), 12, "{given:?}");
    for (number, pod) in pods.iter().enumerate() {
        pod.assert_reaches(&pods[(number + 1) % pods.len()]);
        pod.assert_reaches_outside();
    }
    // Each is detached by the suite that did not attach it.
    std::thread::scope(|scope| {
        for (number, pod) in pods.iter().enumerate() {
            let runtime = suite(number + 1);
            scope.spawn(move || expect(runtime.del(list, &pod.attachment)));
        }
    });
    traces::assert_same(&before, &traces::of_attachments(&node.host, ours));
}
