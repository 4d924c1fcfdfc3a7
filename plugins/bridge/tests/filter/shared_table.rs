//! The tables belong to all plugins: what goes with the last element of one, and what stays.

use causeway_bridge::filter::masquerade::{self, Backend};
use causeway_bridge::filter::spoofcheck;
use cni_common::packet_filter::owner::Living;
use cni_common::sys::nft::Nft;
use testsupport::{Host, golden};

use crate::world::{Owner, mac, networks, ruleset, run, with_valid};

const TWO: [&str; 2] = ["10.88.0.5/16", "fd88::5/64"];
/// The rule set of an attachment as it was made when the map was called `attachments`.
const FORMER: &str = "testdata/bridge/filter/masquerade-former.nft";
/// The attachment in it, and its addresses.
const FORMER_OWNER: (&str, &str, &str) = ("podman", "3b1c0ffee5", "veth0123456789a");
const FORMER_ADDRESSES: [&str; 3] = ["10.88.0.5/16", "10.88.0.6/16", "2001:4860:4860::5/64"];

fn former(host: &Host) -> Owner {
    host.run(["nft", "-f", golden::path(FORMER).to_str().unwrap()]);
    Owner::new(FORMER_OWNER.0, FORMER_OWNER.1, FORMER_OWNER.2)
}

fn add(owner: &Owner, addresses: &[&str]) {
    masquerade::ensure(Backend::Nftables, &owner.subject(), &networks(addresses)).unwrap();
}

fn del(owner: &Owner, known: &[&str]) {
    masquerade::remove(&owner.subject(), &networks(known)).unwrap();
}

/// Puts `objects` into the table as another plugin's, and gives the rule set that then is there.
fn with_anothers(host: &Host, table: &str, objects: &str) -> String {
    let file = host.temp_dir().join("others.nft");
    std::fs::write(&file, format!("table {table} {{\n{objects}\n}}\n")).unwrap();
    host.run(["nft", "-f", file.to_str().unwrap()]);
    ruleset(host)
}

#[test]
fn a_chain_or_set_of_another_plugin_stays_when_the_last_guarded_port_goes() {
    for objects in [
        "chain firewall/forward { type filter hook forward priority 0; policy accept; }",
        "chain firewall/forward { }",
        "set firewall/ports { type ifname; }",
        "map firewall/ports { type ifname : mark; elements = { \"veth1\" : 0x1 } }",
    ] {
        let host = Host::new();
        let before = with_anothers(&host, "bridge causeway", objects);
        let mac = mac(5).parse().unwrap();
        spoofcheck::ensure(&Owner::of(5).subject(), mac).unwrap();
        assert_ne!(ruleset(&host), before);
        spoofcheck::remove(&Owner::of(5).subject(), Some(mac)).unwrap();
        assert_eq!(ruleset(&host), before);
        spoofcheck::remove(&Owner::of(5).subject(), None).unwrap();
        assert_eq!(ruleset(&host), before, "a second time");
        spoofcheck::ensure(&Owner::of(5).subject(), mac).unwrap();
        let network = Owner::of(5).attachment.network;
        with_valid(&[], |valid| spoofcheck::gc(&network, &Living::of(&network, valid))).unwrap();
        assert_eq!(ruleset(&host), before, "GC");
    }
}

#[test]
fn a_chain_or_set_of_another_plugin_stays_when_the_last_masqueraded_address_goes() {
    for objects in [
        "chain portmap/output { type nat hook output priority -100; policy accept; }",
        "set portmap/ports { type inet_service; elements = { 80 } }",
    ] {
        let host = Host::new();
        let before = with_anothers(&host, "inet causeway", objects);
        for known in [&TWO[..], &[]] {
            add(&Owner::of(5), &TWO);
            assert_ne!(ruleset(&host), before);
            del(&Owner::of(5), known);
            assert_eq!(ruleset(&host), before);
        }
    }
}

#[test]
fn a_table_that_nothing_is_left_in_goes_with_the_next_removal() {
    let host = Host::new();
    run(&host, "nft add table bridge causeway");
    run(&host, "nft add table inet causeway");
    spoofcheck::remove(&Owner::of(5).subject(), None).unwrap();
    del(&Owner::of(5), &[]);
    assert_eq!(ruleset(&host), "");
}

/// A set that stands in a rule is an object of the table until its chain goes.
#[test]
fn a_set_within_a_rule_that_was_put_into_our_chain_keeps_no_table() {
    let host = Host::new();
    add(&Owner::of(5), &TWO);
    host.run([
        "nft",
        "insert rule inet causeway masq/net/10.88.0.0/16 ip daddr { 1.1.1.1, 8.8.8.8 } accept",
    ]);
    del(&Owner::of(5), &TWO);
    assert_eq!(ruleset(&host), "");
}

#[test]
fn the_last_attachments_elements_chain_and_table_go_in_one_transaction() {
    let _host = Host::new();
    let generation = || {
        let text = format!("{:?}", Nft::open().unwrap().generation().unwrap());
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.parse::<u32>().unwrap()
    };
    for known in [&TWO[..], &[]] {
        add(&Owner::of(5), &TWO);
        let before = generation();
        del(&Owner::of(5), known);
        assert_eq!(generation() - before, 1, "known {known:?}");
    }
    spoofcheck::ensure(&Owner::of(5).subject(), mac(5).parse().unwrap()).unwrap();
    let before = generation();
    spoofcheck::remove(&Owner::of(5).subject(), None).unwrap();
    assert_eq!(generation() - before, 1);
}

#[test]
fn more_addresses_than_one_answer_of_the_kernel_holds_go_with_their_table() {
    let host = Host::new();
    let addresses: Vec<String> = (1..=200).map(|number| format!("10.88.0.{number}/16")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    for known in [&addresses[..], &[]] {
        add(&Owner::of(5), &addresses);
        del(&Owner::of(5), known);
        assert_eq!(ruleset(&host), "");
    }
}

#[test]
fn attachments_of_the_former_layout_are_found_and_removed() {
    for known in [&FORMER_ADDRESSES[..], &FORMER_ADDRESSES[..1], &[]] {
        let host = Host::new();
        let owner = former(&host);
        del(&owner, known);
        assert_eq!(ruleset(&host), "", "known {known:?}");
    }
    let host = Host::new();
    let owner = former(&host);
    with_valid(&[], |valid| {
        masquerade::gc(
            &owner.attachment.network,
            (&Living::of(&owner.attachment.network, valid), Some(valid)),
        )
    })
    .unwrap();
    assert_eq!(ruleset(&host), "", "GC");
}

#[test]
fn attachments_of_the_former_layout_pass_check() {
    let host = Host::new();
    let owner = former(&host);
    // `nft` writes rules in other words than ours; an ADD writes them anew.
    let newer = Owner::new("podman", "77aa", "veth0123456789b");
    add(&newer, &["10.88.0.7/16", "2001:4860:4860::7/64"]);
    del(&newer, &[]);
    let addresses = networks(&FORMER_ADDRESSES);
    masquerade::check(Backend::Nftables, &owner.subject(), &addresses).unwrap();
    with_valid(&[FORMER_OWNER.1], |valid| {
        masquerade::gc(
            &owner.attachment.network,
            (&Living::of(&owner.attachment.network, valid), Some(valid)),
        )
        .unwrap();
    });
    masquerade::check(Backend::Nftables, &owner.subject(), &addresses).unwrap();
}

#[test]
fn an_add_after_one_of_the_former_layout_replaces_what_that_made() {
    let host = Host::new();
    let owner = former(&host);
    add(&owner, &FORMER_ADDRESSES[..1]);
    let text = ruleset(&host);
    assert!(!text.contains("10.88.0.6") && !text.contains("4860::5"), "{text}");
    masquerade::check(Backend::Nftables, &owner.subject(), &networks(&FORMER_ADDRESSES[..1]))
        .unwrap();
    del(&owner, &[]);
    assert_eq!(ruleset(&host), "");
}

#[test]
fn attachments_of_both_layouts_live_beside_each_other() {
    let host = Host::new();
    let owner = former(&host);
    let before = ruleset(&host);
    let newer = Owner::new("podman", "77aa", "veth0123456789b");
    add(&newer, &["10.88.0.7/16"]);
    del(&owner, &[]);
    let text = ruleset(&host);
    assert!(text.contains("10.88.0.7") && !text.contains(FORMER_OWNER.1), "{text}");
    del(&newer, &[]);
    assert_eq!(ruleset(&host), "");
    former(&host);
    add(&newer, &["10.88.0.7/16"]);
    del(&newer, &[]);
    assert_eq!(ruleset(&host), before);
}
