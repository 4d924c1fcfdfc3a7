//! Many at once, on a machine where nothing of ours is there yet.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use causeway_bridge::filter::masquerade::{self, Backend};
use causeway_bridge::filter::spoofcheck;
use cni_common::nft::{Family, Operation, Table};
use cni_common::sys::nft::Nft;
use testsupport::Host;

use crate::world::{Owner, address, address6, mac, networks, ruleset};

/// Does something for fifty attachments, all starting together.
fn fifty(act: impl Fn(u8) + Sync) {
    let barrier = Barrier::new(50);
    std::thread::scope(|scope| {
        for number in 1..=50 {
            let (act, barrier) = (&act, &barrier);
            scope.spawn(move || {
                barrier.wait();
                act(number);
            });
        }
    });
}

#[test]
fn fifty_adds_and_dels_at_once_on_a_fresh_table() {
    let host = Host::new();
    for round in 0..3 {
        let addresses = |number| networks(&[&address(number), &address6(number)]);
        fifty(|number| {
            let owner = Owner::of(number);
            masquerade::ensure(Backend::Nftables, &owner.subject(), &addresses(number)).unwrap();
            spoofcheck::ensure(&owner.subject(), mac(number).parse().unwrap()).unwrap();
        });
        let text = ruleset(&host);
        assert_eq!(text.matches("\"net/c").count(), 250, "{text}");
        fifty(|number| {
            let known = if number % 2 == 0 { addresses(number) } else { Vec::new() };
            masquerade::remove(&Owner::of(number).subject(), &known).unwrap();
            spoofcheck::remove(&Owner::of(number).subject(), None).unwrap();
        });
        assert_eq!(ruleset(&host), "", "round {round}");
    }
}

#[test]
fn adds_and_dels_among_each_other_leave_nothing() {
    let host = Host::new();
    fifty(|number| {
        let (owner, addresses) = (Owner::of(number), networks(&[&address(number)]));
        for _ in 0..10 {
            masquerade::ensure(Backend::Nftables, &owner.subject(), &addresses).unwrap();
            masquerade::check(Backend::Nftables, &owner.subject(), &addresses).unwrap();
            masquerade::remove(&owner.subject(), &[]).unwrap();
        }
    });
    assert_eq!(ruleset(&host), "");
}

#[test]
fn fifty_adds_and_dels_at_once_by_iptables() {
    let host = Host::new();
    let addresses = |number| networks(&[&address(number), &address6(number)]);
    fifty(|number| {
        let owner = Owner::of(number);
        masquerade::ensure(Backend::Iptables, &owner.subject(), &addresses(number)).unwrap();
    });
    let text =
        host.run(["iptables-save", "-t", "nat"]) + &host.run(["ip6tables-save", "-t", "nat"]);
    assert_eq!(text.matches("-A POSTROUTING ").count(), 100, "{text}");
    assert_eq!(text.matches(" -j MASQUERADE").count(), 100, "{text}");
    fifty(|number| {
        let known = if number % 2 == 0 { addresses(number) } else { Vec::new() };
        masquerade::remove(&Owner::of(number).subject(), &known).unwrap();
    });
    let text =
        host.run(["iptables-save", "-t", "nat"]) + &host.run(["ip6tables-save", "-t", "nat"]);
    assert!(!text.contains("CNI-"), "{text}");
}

/// A rule set so large that listing it takes many messages, under changes that never stop.
#[test]
fn del_without_addresses_works_while_others_keep_changing_the_rule_set() {
    let host = Host::new();
    let owner = |number: u16| Owner::new("net", &format!("c{number}"), &format!("veth{number}"));
    for number in 0..900u16 {
        let [high, low] = number.to_be_bytes();
        let addresses = networks(&[&format!("10.88.{high}.{low}/16")]);
        masquerade::ensure(Backend::Nftables, &owner(number).subject(), &addresses).unwrap();
    }
    let removed = |number| masquerade::remove(&owner(number).subject(), &[]);
    // Several changes come into each look, however slow the machine is.
    let begun = Instant::now();
    removed(899).unwrap();
    let pause = (begun.elapsed() / 4).max(Duration::from_millis(2));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let other = Owner::new("other", "busy", "vethbusy");
            while !done.load(Ordering::Relaxed) {
                spoofcheck::ensure(&other.subject(), mac(1).parse().unwrap()).unwrap();
                spoofcheck::remove(&other.subject(), None).unwrap();
                std::thread::sleep(pause);
            }
        });
        let outcome: Result<Vec<()>, _> = (0..4).map(removed).collect();
        done.store(true, Ordering::Relaxed);
        outcome.unwrap();
    });
    assert_eq!(ruleset(&host).matches("\"net/c").count(), 2 * 895);
}

#[test]
fn a_change_that_was_overtaken_is_planned_again() {
    let _host = Host::new();
    let table = |name| Table { family: Family::Inet, name };
    let mut plans = 0;
    let plan = |_: &mut Nft| {
        plans += 1;
        if plans == 1 {
            let other = Operation::AddTable(table("other"), String::new());
            Nft::open()?.commit(&[other], None)?;
        }
        Ok(vec![Operation::AddTable(table("ours"), String::new())])
    };
    Nft::open().unwrap().change(plan).unwrap();
    assert_eq!(plans, 2);
}
