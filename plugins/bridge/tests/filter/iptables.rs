//! Masquerading on iptables: packets, rules, and what becomes of them without the programs.

use causeway_bridge::filter::masquerade::{self, Backend};
use cni_common::packet_filter::owner::Living;
use testsupport::{Host, golden};

use crate::world::{Owner, World, address, address6, networks, ruleset, run, seen, with_valid};

const TWO: [&str; 2] = ["10.88.0.5/16", "fd88::5/64"];
/// All programs of the packet filter lie there.
const HIDE: &str = "mount -t tmpfs none /usr/sbin";
const SHOW: &str = "umount /usr/sbin";

fn add(owner: &Owner, addresses: &[&str]) {
    masquerade::ensure(Backend::Iptables, &owner.subject(), &networks(addresses)).unwrap();
}

fn del(owner: &Owner, known: &[&str]) {
    masquerade::remove(&owner.subject(), &networks(known)).unwrap();
}

/// The rules of both protocols, without counters, dates and what is always there.
fn rules(host: &Host) -> String {
    let save = ["iptables-save -t nat", "ip6tables-save -t nat"].map(|line| run(host, line));
    let lines = save.iter().flat_map(|text| text.lines());
    lines
        .filter(|line| line.starts_with("-A") || line.starts_with(":CNI"))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn outside_sees_the_hosts_address_until_del() {
    let world = World::new();
    let (one, two) = (world.container(5), world.container(6));
    masquerade::ensure(
        Backend::Iptables,
        &Owner::of(5).subject(),
        &networks(&[&address(5), &address6(5)]),
    )
    .unwrap();
    assert_eq!(seen(&one, &world.outside, "203.0.113.2"), "203.0.113.1");
    assert_eq!(seen(&one, &world.outside, "2001:db8:ffff::2"), "2001:db8:ffff::1");
    assert_eq!(seen(&two, &world.outside, "203.0.113.2"), "10.88.0.6");
    world.outside.run(["ip", "address", "add", "10.88.7.9/32", "dev", "lo"]);
    run(&world.host, "ip route add 10.88.7.9 via 203.0.113.2");
    one.run(["ip", "route", "add", "10.88.7.9", "via", "10.88.0.1"]);
    assert_eq!(seen(&one, &world.outside, "10.88.7.9"), "10.88.0.5");

    del(&Owner::of(5), &[]);
    assert_eq!(seen(&one, &world.outside, "203.0.113.2"), "10.88.0.5");
    assert_eq!(seen(&one, &world.outside, "2001:db8:ffff::2"), "fd88::5");
    assert_eq!(rules(&world.host), "");
}

#[test]
fn the_rules_are_the_references() {
    let host = Host::new();
    add(&Owner::new("net", "c1", "veth1"), &["10.88.0.2/16", "fd88::2/64"]);
    golden::assert_matches("testdata/bridge/filter/masquerade.iptables-save", &rules(&host));
}

#[test]
fn adding_twice_changes_nothing() {
    let host = Host::new();
    add(&Owner::of(5), &TWO);
    let once = rules(&host);
    add(&Owner::of(5), &TWO);
    assert_eq!(rules(&host), once);
}

#[test]
fn del_leaves_nothing_of_the_attachment_and_all_of_others() {
    let host = Host::new();
    add(&Owner::of(6), &["10.88.0.6/16", "fd88::6/64"]);
    let before = rules(&host);
    for known in [&TWO[..], &[]] {
        add(&Owner::of(5), &TWO);
        assert_ne!(rules(&host), before);
        del(&Owner::of(5), known);
        assert_eq!(rules(&host), before, "known {known:?}");
        del(&Owner::of(5), known);
        assert_eq!(rules(&host), before, "a second time, known {known:?}");
    }
}

#[test]
fn del_does_not_touch_who_got_the_address_since() {
    let host = Host::new();
    add(&Owner::of(5), &TWO);
    add(&Owner::of(6), &TWO);
    del(&Owner::of(5), &TWO);
    let text = rules(&host);
    assert_eq!(text.matches("\\\"c6\\\"").count(), 6, "{text}");
    assert!(!text.contains("\\\"c5\\\""), "{text}");
}

#[test]
fn two_interfaces_of_a_container_share_a_chain_but_not_their_rules() {
    let host = Host::new();
    let mut second = Owner::of(5);
    second.attachment.ifname = "eth1".parse().unwrap();
    add(&Owner::of(5), &["10.88.0.5/16"]);
    let before = rules(&host);
    add(&second, &["10.88.0.55/16"]);
    del(&second, &["10.88.0.55/16"]);
    assert_eq!(rules(&host), before);
    del(&Owner::of(5), &["10.88.0.5/16"]);
    assert_eq!(rules(&host), "");
}

#[test]
fn missing_programs_fail_add_clearly_and_del_not_at_all() {
    let host = Host::new();
    let (owner, other) = (Owner::of(5), Owner::of(6));
    add(&owner, &TWO);
    run(&host, HIDE);
    let error = masquerade::ensure(Backend::Iptables, &other.subject(), &networks(&TWO));
    let message = error.unwrap_err().to_string();
    del(&owner, &[]);
    run(&host, SHOW);
    assert!(message.contains("program \"iptables-restore\" is not installed"), "{message}");
    assert_eq!(rules(&host), "");
}

#[test]
fn a_missing_ip6tables_takes_the_ipv4_rules_with_it() {
    let host = Host::new();
    let fake = host.temp_dir().join("sbin");
    std::fs::create_dir(&fake).unwrap();
    for program in ["iptables-restore", "iptables-save"] {
        let target = std::fs::canonicalize(format!("/usr/sbin/{program}")).unwrap();
        let copy = fake.join(target.file_name().unwrap());
        std::fs::copy(&target, copy).ok();
        std::os::unix::fs::symlink(target.file_name().unwrap(), fake.join(program)).unwrap();
    }
    host.run(["mount", "--bind", fake.to_str().unwrap(), "/usr/sbin"]);
    let error = masquerade::ensure(Backend::Iptables, &Owner::of(5).subject(), &networks(&TWO));
    run(&host, SHOW);
    let message = error.unwrap_err().to_string();
    assert!(message.contains("program \"ip6tables-restore\" is not installed"), "{message}");
    assert_eq!(rules(&host), "");
}

#[test]
fn del_takes_the_rules_of_the_other_backend_too() {
    let host = Host::new();
    let owner = Owner::of(5);
    add(&owner, &TWO);
    masquerade::ensure(Backend::Nftables, &owner.subject(), &networks(&TWO)).unwrap();
    del(&owner, &[]);
    assert!(!ruleset(&host).contains("c5"));
    assert_eq!(rules(&host), "");
}

#[test]
fn check_names_the_missing_rule() {
    let host = Host::new();
    let (owner, addresses) = (Owner::of(5), networks(&TWO));
    add(&owner, &TWO);
    for backend in [Backend::Iptables, Backend::Automatic] {
        masquerade::check(backend, &owner.subject(), &addresses).unwrap();
    }
    run(&host, "ip6tables -t nat -F POSTROUTING");
    let error = masquerade::check(Backend::Iptables, &owner.subject(), &addresses).unwrap_err();
    let fault = "ip6tables table nat: the rule \"-A POSTROUTING -s fd88::5/128 -m comment";
    assert!(error.to_string().contains(fault), "{error}");
}

#[test]
fn gc_takes_what_is_stale_and_nothing_of_other_networks() {
    let host = Host::new();
    let other = Owner::new("net2", "c6", "veth6");
    add(&Owner::of(5), &TWO);
    add(&other, &["10.88.0.9/16"]);
    let before = rules(&host);
    add(&Owner::of(6), &["10.88.0.6/16", "fd88::6/64"]);
    add(&Owner::of(7), &["10.88.0.7/16"]);
    run(&host, "iptables -t nat -F POSTROUTING");
    add(&Owner::of(5), &TWO);
    add(&other, &["10.88.0.9/16"]);
    let network = "net".parse().unwrap();
    with_valid(&["c5"], |valid| {
        masquerade::gc(&network, (&Living::of(&network, valid), Some(valid)))
    })
    .unwrap();
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&rules(&host)), sorted(&before));
}

#[test]
fn rules_in_the_old_tables_are_taken_away_too() {
    let host = Host::new();
    let save = || run(&host, "iptables-legacy-save -t nat");
    if host.finish(["iptables-legacy", "-t", "nat", "-S"]).status != Some(0) {
        return testsupport::not_run("old tables: this kernel or machine has no iptables-legacy");
    }
    let before = save();
    let input = golden::read("testdata/bridge/filter/masquerade.iptables");
    let input = input.split_inclusive("COMMIT\n").next().unwrap();
    let file = host.temp_dir().join("rules");
    std::fs::write(&file, input).unwrap();
    let restore = format!("iptables-legacy-restore --noflush {}", file.display());
    let lines = |text: String| -> Vec<String> {
        text.lines()
            .filter(|l| l.starts_with("-A") || l.starts_with(":CNI"))
            .map(str::to_owned)
            .collect()
    };
    let owner = Owner::new("net", "c1", "veth1");
    for known in [&["10.88.0.2/16", "10.89.0.2/16"][..], &[]] {
        run(&host, &restore);
        assert_ne!(lines(save()), lines(before.clone()));
        del(&owner, known);
        assert_eq!(lines(save()), lines(before.clone()), "known {known:?}");
    }
    run(&host, &restore);
    let network = "net".parse().unwrap();
    with_valid(&["c1"], |valid| {
        masquerade::gc(&network, (&Living::of(&network, valid), Some(valid)))
    })
    .unwrap();
    assert_ne!(lines(save()), lines(before.clone()));
    with_valid(&["c2"], |valid| {
        masquerade::gc(&network, (&Living::of(&network, valid), Some(valid)))
    })
    .unwrap();
    assert_eq!(lines(save()), lines(before));
}
