//! What is to be done for a configuration, out of what is there: no kernel is asked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use causeway_bandwidth::config::{Config, Limit, Subnets};
use causeway_bandwidth::operation::Operation;
use causeway_bandwidth::plan::{Device, FoundDevice, Observed, plan};
use cni_common::Code;
use cni_common::types::net::Link;
use cni_common::types::parse_cidr;
use cni_common::types::traffic::{
    Classifier, FoundFilter, Qdisc, ROOT_HANDLE, Selector, ShownBucket, Verdict,
};
use testsupport::golden;

/// 8 Mbit/s with 100 kB at once.
const LIMIT: Limit = Limit { rate: 1_000_000, burst: 100_000 };
const SHOWN: ShownBucket = ShownBucket { rate: 1_000_000, limit: 125_000, buffer: 1_562_500 };

fn config() -> Config {
    Config { ingress: Some(LIMIT), egress: Some(LIMIT), latency: 25, subnets: Subnets::All }
}

fn subnets() -> Vec<ipnetwork::IpNetwork> {
    ["10.0.0.0/8", "192.0.2.0/24", "fd00::/8"].map(|text| parse_cidr(text).unwrap()).into()
}

fn link(index: u32, name: &str, kind: &str) -> Link {
    let (name, kind) = (name.to_owned(), kind.to_owned());
    Link { index, name, kind, mtu: 1500, is_up: true, ..Link::default() }
}

/// Nothing but the pair.
fn nothing() -> Observed {
    let device = |name: &str| Device {
        name: name.to_owned(),
        alias: "net/c1/eth0 at veth0".to_owned(),
        found: None,
    };
    Observed {
        host: link(2, "veth0", "veth"),
        root: None,
        classifier: None,
        received: Vec::new(),
        sent: Vec::new(),
        egress: device("bwp623e1c388032"),
        ingress: device("bwi6e5fcbeeefc7"),
    }
}

fn bucket(shown: ShownBucket) -> Qdisc {
    Qdisc { kind: "tbf".to_owned(), handle: ROOT_HANDLE, bucket: Some(shown) }
}

fn found(device: &Device, index: u32) -> Device {
    let link = Link { alias: device.alias.clone(), ..link(index, &device.name, "ifb") };
    let root = Some(bucket(SHOWN));
    Device { found: Some(FoundDevice { link, root }), ..device.clone() }
}

fn filter(priority: u16, verdict: Verdict) -> FoundFilter {
    FoundFilter {
        priority,
        protocol: 3,
        kind: "u32".to_owned(),
        handle: 0x8000_0800,
        selector: Some(Selector::All),
        verdict: Some(verdict),
    }
}

/// What ADD makes of [`config`].
fn finished() -> Observed {
    let nothing = nothing();
    Observed {
        root: Some(bucket(SHOWN)),
        classifier: Some(Classifier::Clsact),
        received: vec![filter(49_406, Verdict::Redirect(3))],
        egress: found(&nothing.egress, 3),
        ..nothing
    }
}

/// What the reference makes of it.
fn of_reference() -> Observed {
    let mut observed = finished();
    observed.classifier = Some(Classifier::Ingress);
    observed.received[0].priority = 1;
    observed.egress.found.as_mut().unwrap().link.alias.clear();
    observed
}

fn printed(operations: &[Operation]) -> String {
    operations.iter().map(|operation| format!("{operation}\n")).collect()
}

#[track_caller]
fn assert_planned(name: &str, config: &Config, observed: &Observed) {
    let text = printed(&plan(config, observed).unwrap());
    golden::assert_matches(&format!("testdata/bandwidth/plan/{name}.txt"), &text);
}

#[test]
fn a_first_add() {
    assert_planned("both-directions", &config(), &nothing());
    assert_planned("ingress-alone", &Config { egress: None, ..config() }, &nothing());
    assert_planned("egress-alone", &Config { ingress: None, ..config() }, &nothing());
}

#[test]
fn of_some_subnets_alone() {
    let unshaped = Config { subnets: Subnets::Except(subnets()), ..config() };
    assert_planned("unshaped-subnets", &unshaped, &nothing());
    let shaped = Config { subnets: Subnets::Only(subnets()), ..config() };
    assert_planned("shaped-subnets", &shaped, &nothing());
}

#[test]
fn beside_filters_of_others() {
    let mut observed = nothing();
    observed.classifier = Some(Classifier::Clsact);
    observed.received = vec![filter(1, Verdict::Pass), filter(49_152, Verdict::Redirect(9))];
    assert_planned("shared-clsact", &config(), &observed);
    // A device that is gone is nobody's.
    observed.received.push(filter(1, Verdict::Redirect(0)));
    assert_planned("a-device-that-is-gone", &config(), &observed);
}

#[test]
fn what_is_there_is_not_made_again() {
    assert_eq!(printed(&plan(&config(), &finished()).unwrap()), "");
    let left = printed(&plan(&config(), &of_reference()).unwrap());
    assert_eq!(left, "ip link set bwp623e1c388032 alias \"net/c1/eth0 at veth0\"\n");
}

#[test]
fn what_differs_is_changed_last() {
    let slower = Config { latency: 100, ..config() };
    assert_planned("another-latency", &slower, &finished());
    let unshaped = Config { subnets: Subnets::Except(subnets()), ..config() };
    assert_planned("subnets-instead-of-all", &unshaped, &finished());
    assert_planned("subnets-instead-of-the-references", &unshaped, &of_reference());
    assert_planned("egress-no-more", &Config { egress: None, ..config() }, &finished());
    let mut down = finished();
    let device = down.egress.found.as_mut().unwrap();
    device.link.is_up = false;
    device.root = None;
    down.received.clear();
    assert_planned("a-broken-device", &config(), &down);
}

#[test]
fn what_is_somebody_elses_is_an_error() {
    let mut observed = nothing();
    observed.root = Some(Qdisc { kind: "htb".to_owned(), handle: 0x8001_0000, bucket: None });
    let error = plan(&config(), &observed).unwrap_err();
    assert!(error.is(Code::Conflict), "{error}");
    assert_eq!(error.message(), "\"veth0\" has a queueing discipline already: htb 8001:");
    let egress = Config { ingress: None, ..config() };
    assert!(plan(&egress, &observed).is_ok(), "it is in nobody's way");
    // A bucket with another handle is an administrator's.
    observed.root = Some(Qdisc { handle: 0x8001_0000, ..bucket(SHOWN) });
    assert!(plan(&config(), &observed).unwrap_err().is(Code::Conflict));
    let mut observed = nothing();
    observed.classifier = Some(Classifier::Ingress);
    observed.received = vec![filter(7, Verdict::Pass)];
    assert!(plan(&config(), &observed).is_ok());
    let unshaped = Config { subnets: Subnets::Except(subnets()), ..config() };
    let error = plan(&unshaped, &observed).unwrap_err();
    assert!(error.is(Code::Conflict), "{error}");
    assert!(error.message().contains("ingress"), "{error}");
}
