//! Attributes: set by ADD, compared by CHECK, kept, and set back by DEL.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::attachment::{Attachment, KEPT, OWNER, every_attribute};

#[test]
fn del_gives_back_every_attribute_that_add_set() {
    let tuned = Attachment::new();
    let before = (tuned.container.state(), tuned.link());
    tuned.call("ADD", every_attribute()).run().expect_success();
    assert_eq!(tuned.link(), every_attribute());
    let kept = "{\n \"mac\": \"02:00:00:00:00:01\",\n \"promisc\": false,\n \"mtu\": 1500,\n \"allmulti\": false,\n \"txQLen\": 1000\n}";
    assert_eq!(tuned.kept(), kept);
    assert_eq!(fs::metadata(KEPT).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_link(OWNER).unwrap(), tuned.container.path());
    tuned.call("CHECK", every_attribute()).run().expect_silent_success();
    tuned.call("DEL", every_attribute()).run().expect_silent_success();
    assert_eq!(tuned.link(), before.1);
    tuned.nothing_is_kept();
    tuned.call("DEL", every_attribute()).run().expect_silent_success();
}

#[test]
fn what_is_not_configured_is_not_touched() {
    let tuned = Attachment::new();
    let set = "ip link set eth0 promisc on allmulticast on txqueuelen 9";
    tuned.container.run(set.split(' ').collect::<Vec<_>>());
    let keys = json!({"mtu": 1400, "allmulti": false});
    tuned.call("ADD", keys.clone()).run().expect_success();
    assert_eq!(tuned.kept(), "{\n \"mtu\": 1500,\n \"allmulti\": true\n}");
    let mut expected = json!({"mac": "02:00:00:00:00:01", "txQLen": 9, "promisc": true});
    expected["mtu"] = 1400.into();
    expected["allmulti"] = false.into();
    assert_eq!(tuned.link(), expected);
    // A capture is no fault of the configuration.
    tuned.call("CHECK", keys.clone()).run().expect_silent_success();
    tuned.call("DEL", keys).run().expect_silent_success();
    assert_eq!((&tuned.link()["mtu"], &tuned.link()["allmulti"]), (&json!(1500), &json!(true)));
}

#[test]
fn a_second_add_keeps_the_first_values_and_replaces_what_the_first_set() {
    let tuned = Attachment::new();
    tuned.call("ADD", json!({"mtu": 1400})).run().expect_success();
    tuned.call("ADD", json!({"mtu": 1300, "txQLen": 5})).run().expect_success();
    assert_eq!((&tuned.link()["mtu"], &tuned.link()["txQLen"]), (&json!(1300), &json!(5)));
    assert_eq!(tuned.kept(), "{\n \"mtu\": 1500,\n \"txQLen\": 1000\n}");
    tuned.call("DEL", json!({})).run().expect_silent_success();
    assert_eq!((&tuned.link()["mtu"], &tuned.link()["txQLen"]), (&json!(1500), &json!(1000)));
    tuned.nothing_is_kept();
}

/// A list may have several entries of `tuning`: they share one file.
#[test]
fn two_of_one_chain_are_both_set_back() {
    let tuned = Attachment::new();
    let before = tuned.link();
    tuned.call("ADD", json!({"mac": "02:00:00:00:00:0a"})).run().expect_success();
    tuned.call("ADD", json!({"mtu": 1400})).run().expect_success();
    assert_eq!(tuned.link()["mac"], "02:00:00:00:00:0a");
    tuned.call("DEL", json!({"mtu": 1400})).run().expect_silent_success();
    tuned.call("DEL", json!({"mac": "02:00:00:00:00:0a"})).run().expect_silent_success();
    assert_eq!(tuned.link(), before);
    tuned.nothing_is_kept();
}

#[test]
fn del_removes_what_is_kept_when_namespace_or_interface_are_gone() {
    for empty in [true, false] {
        let mut tuned = Attachment::new();
        tuned.call("ADD", every_attribute()).run().expect_success();
        assert!(Path::new(KEPT).exists());
        tuned.container.vanish();
        let call = tuned.call("DEL", every_attribute());
        let call = if empty { call.netns_path("") } else { call };
        call.run().expect_silent_success();
        tuned.nothing_is_kept();
    }
    let tuned = Attachment::new();
    tuned.call("ADD", every_attribute()).run().expect_success();
    tuned.container.run(["ip", "link", "delete", "eth0"]);
    tuned.call("DEL", every_attribute()).run().expect_silent_success();
    tuned.nothing_is_kept();
}

#[test]
fn del_succeeds_whatever_is_wrong_with_its_input() {
    let tuned = Attachment::new();
    for keys in [
        json!({"mtu": "x", "sysctl": 7, "mac": "no mac", "args": 7, "runtimeConfig": []}),
        json!({"prevResult": {"ips": 7}, "sysctl": {"kernel.pid_max": "1"}}),
        json!({"prevResult": null, "dataDir": null}),
    ] {
        tuned.call("ADD", every_attribute()).run().expect_success();
        tuned.call("DEL", keys).args("FOO=1;no pair").run().expect_silent_success();
        assert_eq!(tuned.link()["mtu"], 1500);
        tuned.nothing_is_kept();
    }
}

#[test]
fn a_file_that_can_not_be_understood_is_removed() {
    let tuned = Attachment::new();
    for text in ["", "{", "[1]", "{\"mtu\": 1}", "\u{0}", &"x".repeat(9999)] {
        tuned.call("ADD", json!({"mtu": 1400})).run().expect_success();
        fs::write(KEPT, text).unwrap();
        tuned.call("DEL", json!({})).run().expect_silent_success();
        assert_eq!(tuned.link()["mtu"], 1400, "{text:?}");
        tuned.nothing_is_kept();
        tuned.container.run(["ip", "link", "set", "eth0", "mtu", "1500"]);
    }
    // What can be restored is, beside what can't.
    tuned.call("ADD", json!({"mtu": 1400, "txQLen": 5})).run().expect_success();
    fs::write(KEPT, "{\"mtu\": 7, \"txQLen\": 1000}").unwrap();
    tuned.call("DEL", json!({})).run().expect_silent_success();
    assert_eq!((&tuned.link()["mtu"], &tuned.link()["txQLen"]), (&json!(1400), &json!(1000)));
}

#[test]
fn check_tells_of_each_attribute_in_the_words_of_the_reference() {
    let tuned = Attachment::new();
    tuned.call("ADD", every_attribute()).run().expect_success();
    let check = |keys: Value| tuned.call("CHECK", keys).run().expect_error(102);
    let with = |key: &str, value: Value| {
        let mut keys = every_attribute();
        keys[key] = value;
        keys
    };
    tuned.call("CHECK", with("mac", json!("02-00-00-00-00-0A"))).run().expect_silent_success();
    assert_eq!(
        check(with("mac", json!("02:00:00:00:00:0b"))),
        "Error: Tuning configured Ethernet of eth0 is 02:00:00:00:00:0b, current value is 02:00:00:00:00:0a"
    );
    assert_eq!(
        check(with("mtu", json!(1300))),
        "Error: Tuning configured MTU of eth0 is 1300, current value is 1400"
    );
    assert_eq!(
        check(with("allmulti", json!(false))),
        "Error: Tuning configured all-multicast mode of eth0 is false, current value is true"
    );
    assert_eq!(
        check(with("txQLen", json!(8))),
        "Error: Tuning configured Transmit Queue Length of eth0 is 8, current value is 7"
    );
    tuned.container.run(["ip", "link", "set", "eth0", "promisc", "off"]);
    assert_eq!(
        check(every_attribute()),
        "Error: Tuning link eth0 configured promisc is true, current value is 0"
    );
    tuned.container.run(["ip", "link", "delete", "eth0"]);
    assert_eq!(check(every_attribute()), "Cannot find container link eth0");
}
