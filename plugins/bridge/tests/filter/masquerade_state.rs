//! What is in the rule set after ADD, DEL, CHECK and GC of masquerading on nf_tables.

use causeway_bridge::filter::masquerade::{self, Backend};
use cni_common::nft::{Family, Field, Operation, Presence, Rule, Statement, Table};
use cni_common::packet_filter::owner::Living;
use cni_common::sys::nft::Nft;
use testsupport::{Host, golden};

use crate::world::{Owner, networks, ruleset, run, with_valid};

const TWO: [&str; 2] = ["10.88.0.5/16", "fd88::5/64"];

fn add(owner: &Owner, addresses: &[&str]) {
    masquerade::ensure(Backend::Nftables, &owner.subject(), &networks(addresses)).unwrap();
}

fn del(owner: &Owner, known: &[&str]) {
    masquerade::remove(&owner.subject(), &networks(known)).unwrap();
}

#[test]
fn the_table_reads_like_documentation() {
    let host = Host::new();
    add(&Owner::new("podman", "3b1c0ffee5", "veth0123456789a"), &TWO);
    add(&Owner::new("podman", "77aa", "veth0123456789b"), &["10.88.0.6/16"]);
    let text = run(&host, "nft list table inet causeway");
    golden::assert_matches("testdata/bridge/filter/masquerade.listing", &text);
}

/// The golden plan, read by `nft` itself, makes the same table as ours over netlink.
#[test]
fn nft_reads_the_plan_as_the_kernel_got_it() {
    let host = Host::new();
    let addresses = ["10.88.0.5/16", "10.88.0.6/16", "2001:4860:4860::5/64"];
    add(&Owner::new("podman", "3b1c0ffee5", "veth0123456789a"), &addresses);
    let ours = ruleset(&host);
    run(&host, "nft flush ruleset");
    let plan = golden::path("testdata/bridge/filter/masquerade.nft");
    host.run(["nft", "-f", plan.to_str().unwrap()]);
    assert_eq!(ruleset(&host), ours);
}

#[test]
fn a_saved_rule_set_can_be_restored() {
    let host = Host::new();
    let long = Owner::new(&"n".repeat(100), &"c".repeat(200), "veth0123456789a");
    add(&long, &TWO);
    let before = ruleset(&host);
    let file = host.temp_dir().join("rules.nft");
    std::fs::write(&file, format!("flush ruleset\n{before}")).unwrap();
    host.run(["nft", "-f", file.to_str().unwrap()]);
    assert_eq!(ruleset(&host), before);
    del(&long, &[]);
    assert_eq!(ruleset(&host), "");
}

#[test]
fn adding_twice_changes_nothing() {
    let host = Host::new();
    add(&Owner::of(5), &TWO);
    let once = ruleset(&host);
    add(&Owner::of(5), &TWO);
    assert_eq!(ruleset(&host), once);
}

#[test]
fn a_second_add_with_other_addresses_forgets_the_first_ones() {
    let host = Host::new();
    add(&Owner::of(5), &["10.88.0.5/16", "10.89.0.5/16"]);
    add(&Owner::of(5), &["10.88.0.7/16"]);
    let text = ruleset(&host);
    assert!(text.contains("10.88.0.7"), "{text}");
    assert!(!text.contains("10.88.0.5") && !text.contains("10.89.0.5"), "{text}");
}

#[test]
fn del_leaves_nothing_in_any_state() {
    for known in [&TWO[..], &TWO[..1], &["10.99.0.1/8"], &[]] {
        let host = Host::new();
        add(&Owner::of(5), &TWO);
        del(&Owner::of(5), known);
        assert_eq!(ruleset(&host), "", "known {known:?}");
        del(&Owner::of(5), known);
        assert_eq!(ruleset(&host), "", "a second time, known {known:?}");
    }
}

#[test]
fn del_is_content_after_parts_were_taken_away_by_hand() {
    for line in [
        "nft flush ruleset",
        "nft flush chain inet causeway masq/net/10.88.0.0/16",
        "nft delete chain inet causeway masq/net/10.88.0.0/16",
        "nft flush set inet causeway masq/net/10.88.0.0/16",
        "nft flush map inet causeway masq/attachments",
        "nft delete element inet causeway masq/net/10.88.0.0/16 { 10.88.0.5 }",
    ] {
        let host = Host::new();
        add(&Owner::of(5), &TWO);
        run(&host, line);
        del(&Owner::of(5), &TWO);
        assert_eq!(ruleset(&host).replace("table inet causeway {\n}\n", ""), "", "{line}");
    }
}

/// As a DEL leaves it that is killed between the elements and the chain that they leave unused.
#[test]
fn the_next_del_takes_what_a_killed_one_left_unused() {
    let host = Host::new();
    add(&Owner::of(5), &TWO);
    for set in [
        "map inet causeway masq/attachments",
        "set inet causeway masq/net/10.88.0.0/16",
        "set inet causeway masq/net/fd88--/64",
    ] {
        run(&host, &format!("nft flush {set}"));
    }
    del(&Owner::of(5), &[]);
    assert_eq!(ruleset(&host), "");
}

#[test]
fn del_does_not_touch_who_got_the_address_since() {
    let host = Host::new();
    let (old, new) = (Owner::of(5), Owner::of(6));
    add(&old, &TWO);
    add(&new, &TWO);
    let text = ruleset(&host);
    assert!(text.contains("net/c6/eth0"), "{text}");
    for known in [&TWO[..], &[]] {
        del(&old, known);
        let text = ruleset(&host);
        assert!(text.contains("10.88.0.5 comment \"net/c6/eth0\""), "{text}");
        assert!(!text.contains("net/c5/eth0"), "{text}");
    }
    del(&new, &TWO);
    assert_eq!(ruleset(&host), "");
}

#[test]
fn a_networks_chain_goes_with_its_last_attachment_only() {
    let host = Host::new();
    let other = Owner::new("other", "c5", "veth5");
    add(&other, &["10.88.0.9/16"]);
    let before = ruleset(&host);
    add(&Owner::of(5), &["10.88.0.5/16"]);
    add(&Owner::of(6), &["10.88.0.6/16"]);
    del(&Owner::of(5), &["10.88.0.5/16"]);
    assert!(ruleset(&host).contains("chain masq/net/10.88.0.0/16"));
    del(&Owner::of(6), &["10.88.0.6/16"]);
    assert_eq!(ruleset(&host), before);
}

#[test]
fn gc_takes_what_is_stale_and_nothing_of_other_networks() {
    let host = Host::new();
    let (live, stale) = (Owner::of(5), Owner::of(6));
    let other = Owner::new("net2", "c6", "veth6");
    add(&live, &TWO);
    add(&other, &["10.88.0.9/16"]);
    let before = ruleset(&host);
    add(&stale, &["10.88.0.6/16", "10.90.0.6/24"]);
    assert_ne!(ruleset(&host), before);
    with_valid(&["c5"], |valid| {
        masquerade::gc(
            &live.attachment.network,
            (&Living::of(&live.attachment.network, valid), Some(valid)),
        )
    })
    .unwrap();
    assert_eq!(ruleset(&host), before);
    with_valid(&[], |valid| {
        masquerade::gc(
            &live.attachment.network,
            (&Living::of(&live.attachment.network, valid), Some(valid)),
        )
    })
    .unwrap();
    with_valid(&[], |valid| {
        masquerade::gc(
            &other.attachment.network,
            (&Living::of(&other.attachment.network, valid), Some(valid)),
        )
    })
    .unwrap();
    assert_eq!(ruleset(&host), "");
}

#[test]
fn gc_of_more_than_one_transaction_takes_them_all() {
    let host = Host::new();
    for number in 0..700u16 {
        let [high, low] = number.to_be_bytes();
        let owner = Owner::new("net", &format!("c{number}"), &format!("veth{number}"));
        add(&owner, &[&format!("10.88.{high}.{low}/16")]);
    }
    let network = "net".parse().unwrap();
    with_valid(&["c7"], |valid| {
        masquerade::gc(&network, (&Living::of(&network, valid), Some(valid)))
    })
    .unwrap();
    assert_eq!(ruleset(&host).matches("net/c").count(), 2);
    with_valid(&[], |valid| masquerade::gc(&network, (&Living::of(&network, valid), Some(valid))))
        .unwrap();
    assert_eq!(ruleset(&host), "");
}

#[test]
fn check_names_what_is_missing_or_altered() {
    const CHAIN: &str = "masq/net/10.88.0.0/16";
    for (line, fault) in [
        ("nft flush ruleset", "table inet causeway: missing"),
        (
            "nft delete chain inet causeway masq/net/10.88.0.0/16",
            "chain inet causeway masq/net/10.88.0.0/16: missing",
        ),
        (
            "nft flush chain inet causeway masq/net/10.88.0.0/16",
            "the rule \"ip saddr @masq/net/10.88.0.0/16 ip daddr != 10.88.0.0/16 ip daddr != 224.0.0.0/4 masquerade\" is missing or altered",
        ),
        ("nft insert rule inet causeway masq/net/10.88.0.0/16 accept", "is not ours"),
        (
            "nft delete element inet causeway masq/net/10.88.0.0/16 { 10.88.0.5 }",
            "element 10.88.0.5 of set inet causeway masq/net/10.88.0.0/16: missing",
        ),
        (
            "nft flush map inet causeway masq/attachments",
            "element \"veth00000000005\" of set inet causeway masq/attachments: missing",
        ),
    ] {
        let host = Host::new();
        let (owner, addresses) = (Owner::of(5), networks(&TWO));
        add(&owner, &TWO);
        masquerade::check(Backend::Nftables, &owner.subject(), &addresses).unwrap();
        run(&host, line);
        let error = masquerade::check(Backend::Nftables, &owner.subject(), &addresses).unwrap_err();
        assert!(error.to_string().contains(fault), "{line}: {error}");
        add(&Owner::of(6), &["10.88.0.6/16", "fd88::6/64"]);
        let text = ruleset(&host);
        assert!(text.contains(&format!("chain {CHAIN} {{")), "put back by the next ADD: {text}");
        assert!(!text.contains("accept\n\t}"), "{text}");
    }
}

#[test]
fn check_sees_a_rule_that_does_something_else() {
    let _host = Host::new();
    let (owner, addresses) = (Owner::of(5), networks(&TWO));
    let table = Table { family: Family::Inet, name: "causeway" };
    let name = "masq/net/10.88.0.0/16".to_owned();
    // In our own encoding: only a value differs.
    for (subnet, multicast) in [("10.77.0.0/16", "224.0.0.0/4"), ("10.88.0.0/16", "224.0.0.0/3")] {
        add(&owner, &TWO);
        masquerade::check(Backend::Nftables, &owner.subject(), &addresses).unwrap();
        let outside = |net: &str| Statement::Outside(Field::Ip4Destination, net.parse().unwrap());
        let statements = vec![
            Statement::Lookup(vec![Field::Ip4Source], Presence::In, name.clone()),
            outside(subnet),
            outside(multicast),
            Statement::Masquerade,
        ];
        let rule = Rule { statements, comment: String::new() };
        let operations = [
            Operation::FlushChain(table, name.clone()),
            Operation::AddRule(table, name.clone(), rule),
        ];
        Nft::open().unwrap().commit(&operations, None).unwrap();
        let error = masquerade::check(Backend::Nftables, &owner.subject(), &addresses).unwrap_err();
        assert!(error.to_string().contains("is missing or altered"), "{error}");
    }
}

#[test]
fn a_chain_with_another_hook_is_reported_and_made_anew() {
    let host = Host::new();
    let (owner, addresses) = (Owner::of(5), networks(&TWO));
    add(&owner, &TWO);
    let before = ruleset(&host);
    let file = host.temp_dir().join("altered.nft");
    let altered = before.replace("priority srcnat;", "priority 50;");
    std::fs::write(&file, format!("flush ruleset\n{altered}")).unwrap();
    host.run(["nft", "-f", file.to_str().unwrap()]);
    let error = masquerade::check(Backend::Nftables, &owner.subject(), &addresses).unwrap_err();
    assert!(error.to_string().contains("its hook is not \"type nat hook postrouting"), "{error}");
    add(&owner, &TWO);
    assert_eq!(ruleset(&host), before);
}

#[test]
fn check_says_whose_the_address_is() {
    let _host = Host::new();
    add(&Owner::of(5), &TWO);
    add(&Owner::of(6), &TWO);
    let error = masquerade::check(Backend::Nftables, &Owner::of(5).subject(), &networks(&TWO));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("belongs to \"net/c6/eth0\", not to \"net/c5/eth0\""), "{error}");
}
