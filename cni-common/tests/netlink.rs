//! Listening to the kernel, on a throw-away host.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use cni_common::sys::Netlink;
use cni_common::sys::netlink::Group;
use cni_common::types::net::DuplicateDetection;
use testsupport::{Host, feature, not_run};

#[test]
fn what_the_kernel_changes_by_itself_is_heard() {
    if !feature::ipv6() {
        return not_run("duplicate address detection: this kernel has no IPv6");
    }
    let host = Host::new();
    host.run(["ip", "link", "add", "left", "type", "veth", "peer", "name", "right"]);
    host.run(["ip", "link", "set", "right", "up"]);
    host.run(["ip", "link", "set", "left", "up"]);
    let mut notifications = Netlink::open().unwrap();
    notifications.subscribe(&[Group::Ipv6Address]).unwrap();
    let mut netlink = Netlink::open().unwrap();
    let index = netlink.find_link("left").unwrap().unwrap().index;
    let address = "fd00::1/64".parse().unwrap();
    netlink.add_address(index, address, DuplicateDetection::AsSet).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut is_tentative = || {
        let addresses = netlink.list_addresses(index).unwrap();
        addresses.iter().any(|found| found.address == address && found.is_tentative)
    };
    assert!(is_tentative());
    while is_tentative() {
        assert!(notifications.notifications(deadline).unwrap().is_some(), "nothing was heard");
    }
}
