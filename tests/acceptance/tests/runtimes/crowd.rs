//! Many containers that come and go at once, each by the whole chain.

use std::collections::BTreeSet;
use std::thread;

use cni_runtime::{Attachment, NetworkList};
use serde_json::json;

use crate::node::{Node, Pod, attachment, expect};
use crate::traces;

const CROWD: usize = 50;

/// The chain that containerd's users have, with everything that leaves something behind.
fn chain() -> NetworkList {
    let bridge = json!({
        "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": "10.85.0.0/16"}], [{"subnet": "fd85::/64"}]],
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
        },
    });
    let list = json!({"cniVersion": "1.0.0", "name": "crowd", "plugins": [
        bridge,
        {"type": "portmap", "capabilities": {"portMappings": true}},
        {"type": "firewall", "ingressPolicy": "same-bridge"},
        {"type": "bandwidth", "capabilities": {"bandwidth": true}},
        {"type": "tuning", "mtu": 1400, "sysctl": {"net.core.somaxconn": "500"}},
    ]});
    NetworkList::new(list).unwrap()
}

fn with_ports(attachment: Attachment, number: usize) -> Attachment {
    let (tcp, udp) = (8000 + number, 5000 + number);
    let ports = json!([
        {"hostPort": tcp, "containerPort": 80, "protocol": "tcp"},
        {"hostPort": udp, "containerPort": 53, "protocol": "udp"},
    ]);
    let rates = json!({
        "ingressRate": 80_000_000, "ingressBurst": 4_294_967_295_u64,
        "egressRate": 80_000_000, "egressBurst": 4_294_967_295_u64,
    });
    attachment.capabilities([("portMappings", ports), ("bandwidth", rates)])
}

/// Does it for all numbers at once.
fn at_once<T: Send>(numbers: std::ops::Range<usize>, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let act = &act;
    thread::scope(|scope| {
        let acting: Vec<_> = numbers.map(|number| scope.spawn(move || act(number))).collect();
        acting.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// Fails if a rule of iptables, of which any number can be alike, is there twice.
#[track_caller]
fn assert_no_rule_twice(node: &Node) {
    for command in ["iptables-save", "ip6tables-save"] {
        let text = node.run(command);
        let mut seen = BTreeSet::new();
        for line in text.lines().filter(|line| line.starts_with("-A ")) {
            assert!(seen.insert(line), "twice: {line}\n{text}");
        }
    }
    // nft prints a rule of its tables with its own chain before it.
    let text = node.run("nft list ruleset");
    let mut chain = BTreeSet::new();
    for line in text.lines() {
        match line.trim() {
            line if line.ends_with('{') => chain.clear(),
            "" | "}" => {}
            line if line.starts_with("elements") => {}
            line => assert!(chain.insert(line.to_owned()), "twice: {line}\n{text}"),
        }
    }
}

#[test]
fn fifty_come_and_go_at_once_by_the_whole_chain() {
    let (node, list) = (Node::new(), chain());
    let containers: Vec<_> =
        (0..2 * CROWD).map(|number| node.host.container(&format!("pod{number}"))).collect();
    let attachments: Vec<Attachment> = containers
        .iter()
        .enumerate()
        .map(|(number, container)| with_ports(attachment(container), number))
        .collect();
    let runtime = &node.runtime;
    let add = |number: usize| expect(runtime.add(&list, &attachments[number]));
    let del = |number: usize| expect(runtime.del(&list, &attachments[number]));
    // What stays by design.
    add(0);
    del(0);
    let before = traces::of_attachments(&node.host, runtime);

    let results = at_once(0..CROWD, add);
    let given: BTreeSet<String> = results.iter().flat_map(crate::node::addresses).collect();
    assert_eq!(given.len(), 2 * CROWD, "{given:?}");
    assert_no_rule_twice(&node);
    at_once(0..CROWD, |number| expect(runtime.check(&list, &attachments[number])));

    // As many leave while others come.
    at_once(0..2 * CROWD, |number| match number < CROWD {
        true => del(number),
        false => drop(add(number)),
    });
    assert_no_rule_twice(&node);
    at_once(CROWD..2 * CROWD, |number| expect(runtime.check(&list, &attachments[number])));
    let rules = node.run("nft list ruleset");
    for (number, attachment) in attachments.iter().enumerate() {
        // Two ports of both IP versions.
        let name = format!("\"crowd/{}/eth0\" : ", attachment.container_id);
        let ports = rules.matches(&name).count();
        assert!((number < CROWD) == (ports == 0), "{}: {ports}\n{rules}", attachment.container_id);
    }

    at_once(CROWD..2 * CROWD, del);
    traces::assert_same(&before, &traces::of_attachments(&node.host, runtime));
    drop(Pod::start(&node, "after", runtime, &list));
}
