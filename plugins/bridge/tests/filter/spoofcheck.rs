//! What leaves a guarded port, and what of any other.

use causeway_bridge::filter::spoofcheck;
use cni_common::packet_filter::owner::Living;
use cni_common::types::Mac;
use testsupport::{Container, golden};

use crate::world::{Owner, World, arrives, mac, port, ruleset, run, seen, with_valid};

/// Has the container say that 10.88.0.5 is at `sender`, with an honest frame source: it announces its
/// address as the kernel does, and a rule of its own changes the sender that the ARP message names.
fn announce(container: &Container, sender: &str) {
    container.run(["sysctl", "-q", "-w", "net.ipv4.conf.eth0.arp_notify=1"]);
    for rule in [
        "add table arp liar",
        "flush table arp liar",
        "add chain arp liar out { type filter hook output priority 0 ; }",
        &format!("add rule arp liar out arp saddr ether set {sender}"),
    ] {
        container.run(["nft", rule]);
    }
    take_address(container, &mac(5));
}

fn guard(number: u8) {
    let mac: Mac = mac(number).parse().unwrap();
    spoofcheck::ensure(&Owner::of(number).subject(), mac).unwrap();
}

fn take_address(container: &Container, mac: &str) {
    container.run(["ip", "link", "set", "eth0", "address", mac]);
}

#[test]
fn foreign_frames_are_dropped_at_the_guarded_port_only() {
    let world = World::new();
    let (guarded, free, other) = (world.container(5), world.container(6), world.container(7));
    guard(5);
    assert_eq!(seen(&guarded, &other, "10.88.0.7"), "10.88.0.5");
    assert_eq!(seen(&guarded, &other, "fd88::7"), "fd88::5");
    assert_eq!(seen(&guarded, &world.outside, "203.0.113.2"), "10.88.0.5");

    take_address(&guarded, "02:00:00:00:00:99");
    take_address(&free, "02:00:00:00:00:98");
    assert!(!arrives(&guarded, &other, "10.88.0.7"));
    assert!(!arrives(&guarded, &other, "fd88::7"));
    assert!(!arrives(&guarded, &world.outside, "203.0.113.2"));
    assert_eq!(seen(&free, &other, "10.88.0.7"), "10.88.0.6");

    spoofcheck::remove(&Owner::of(5).subject(), None).unwrap();
    assert_eq!(seen(&guarded, &other, "10.88.0.7"), "10.88.0.5");
    assert_eq!(ruleset(&world.host), "");
}

#[test]
fn another_containers_address_is_foreign_too() {
    let world = World::new();
    let (guarded, victim) = (world.container(5), world.container(6));
    guard(5);
    guard(6);
    take_address(&guarded, &mac(6));
    assert!(!arrives(&guarded, &world.outside, "203.0.113.2"));
    assert_eq!(seen(&victim, &world.outside, "203.0.113.2"), "10.88.0.6");
}

#[test]
fn arp_that_speaks_for_another_address_is_dropped() {
    let world = World::new();
    let (liar, victim) = (world.container(5), world.container(6));
    victim.run(["sysctl", "-q", "-w", "net.ipv4.neigh.eth0.locktime=0"]);
    let learnt = |sender: &str| {
        victim.run([
            "ip",
            "neigh",
            "replace",
            "10.88.0.5",
            "lladdr",
            &mac(5),
            "nud",
            "stale",
            "dev",
            "eth0",
        ]);
        announce(&liar, sender);
        // The control packet needs no ARP message, which the guard may drop.
        let entry = format!("ip neigh replace 10.88.0.6 lladdr {} nud permanent dev eth0", mac(6));
        liar.run(entry.split(' ').collect::<Vec<_>>());
        // Another packet by the same way: once it is there, the first was there or dropped.
        assert_eq!(seen(&liar, &victim, "10.88.0.6"), "10.88.0.5");
        victim.run(["ip", "neigh", "show", "10.88.0.5"])
    };
    let foreign = "02:00:00:00:00:99";
    assert!(learnt(foreign).contains(foreign), "control: it works without a guard");
    guard(5);
    assert!(learnt(foreign).contains(&mac(5)));
    assert!(learnt(&mac(5)).contains(&mac(5)));
}

#[test]
fn the_table_reads_like_documentation() {
    let world = World::new();
    let owner = Owner::new("podman", "3b1c0ffee5", "veth0123456789a");
    spoofcheck::ensure(&owner.subject(), "02:00:00:00:00:01".parse().unwrap()).unwrap();
    let ours = run(&world.host, "nft list table bridge causeway");
    golden::assert_matches("testdata/bridge/filter/spoofcheck.listing", &ours);
    run(&world.host, "nft flush ruleset");
    let plan = golden::path("testdata/bridge/filter/spoofcheck.nft");
    world.host.run(["nft", "-f", plan.to_str().unwrap()]);
    assert_eq!(run(&world.host, "nft list table bridge causeway"), ours);
}

#[test]
fn a_second_add_with_another_address_forgets_the_first() {
    let world = World::new();
    guard(5);
    spoofcheck::ensure(&Owner::of(5).subject(), "02:00:00:00:00:77".parse().unwrap()).unwrap();
    let text = ruleset(&world.host);
    assert!(text.contains("02:00:00:00:00:77") && !text.contains(&mac(5)), "{text}");
}

#[test]
fn del_with_or_without_the_address_leaves_nothing() {
    let world = World::new();
    for known in [None, Some(mac(5).parse().unwrap()), Some("02:00:00:00:00:77".parse().unwrap())] {
        guard(5);
        guard(6);
        spoofcheck::remove(&Owner::of(5).subject(), known).unwrap();
        let text = ruleset(&world.host);
        assert!(!text.contains(&port(5)) && text.contains(&port(6)), "{text}");
        spoofcheck::remove(&Owner::of(6).subject(), known).unwrap();
        assert_eq!(ruleset(&world.host), "");
    }
}

#[test]
fn del_takes_the_sender_when_somebody_flushed_the_guarded_ports() {
    let world = World::new();
    for known in [None, Some("02:00:00:00:00:77".parse().unwrap())] {
        guard(5);
        guard(6);
        run(&world.host, "nft flush set bridge causeway guarded");
        spoofcheck::remove(&Owner::of(5).subject(), known).unwrap();
        let text = ruleset(&world.host);
        assert!(!text.contains(&mac(5)) && text.contains(&mac(6)), "{known:?}: {text}");
        spoofcheck::remove(&Owner::of(6).subject(), known).unwrap();
        assert_eq!(ruleset(&world.host), "");
    }
}

/// The reference's chains would have names that the kernel refuses even to look for.
#[test]
fn del_works_for_container_ids_of_any_length() {
    let world = World::new();
    for length in [233, 234, 242, 243, 1000] {
        let owner = Owner::new("net", &"c".repeat(length), "veth5");
        spoofcheck::ensure(&owner.subject(), mac(5).parse().unwrap()).unwrap();
        for known in [None, Some(mac(5).parse().unwrap())] {
            spoofcheck::remove(&owner.subject(), known).unwrap();
            assert_eq!(ruleset(&world.host), "", "{length}");
        }
    }
}

#[test]
fn gc_takes_what_is_stale_and_nothing_of_other_networks() {
    let world = World::new();
    guard(5);
    let other = Owner::new("net2", "c6", "vethx");
    spoofcheck::ensure(&other.subject(), mac(9).parse().unwrap()).unwrap();
    let before = ruleset(&world.host);
    guard(6);
    let network = Owner::of(5).attachment.network;
    with_valid(&["c5"], |valid| spoofcheck::gc(&network, &Living::of(&network, valid))).unwrap();
    assert_eq!(ruleset(&world.host), before);
}

#[test]
fn check_names_what_is_missing_or_altered() {
    for (line, fault) in [
        ("nft flush ruleset", "table bridge causeway: missing"),
        (
            "nft flush chain bridge causeway spoofcheck",
            "chain bridge causeway spoofcheck: the rule",
        ),
        ("nft flush set bridge causeway senders", "of set bridge causeway senders: missing"),
        ("nft flush set bridge causeway guarded", "of set bridge causeway guarded: missing"),
    ] {
        let world = World::new();
        let (owner, address) = (Owner::of(5), mac(5).parse().unwrap());
        guard(5);
        spoofcheck::check(&owner.subject(), address).unwrap();
        run(&world.host, line);
        let error = spoofcheck::check(&owner.subject(), address).unwrap_err().to_string();
        assert!(error.contains(fault), "{line}: {error}");
        guard(5);
        spoofcheck::check(&owner.subject(), address).unwrap();
    }
}
