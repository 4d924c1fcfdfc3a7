//! GC removes what is kept for attachments of its network that are not in the list.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::attachment::{Attachment, KEPT};

#[test]
fn only_stale_ones_of_the_network_are_removed() {
    let tuned = Attachment::new();
    let mtu = json!({"mtu": 1400});
    tuned.call("ADD", mtu.clone()).run().expect_success();
    tuned.call("ADD", mtu.clone()).container_id("c_2").run().expect_success();
    let mut other = tuned.config(mtu);
    other["name"] = "other".into();
    tuned.call("ADD", json!({})).container_id("c3").config(other).run().expect_success();
    // The reference's: whose it is nobody can tell.
    fs::write("/run/cni/tuning/c4_eth0.json", "{}").unwrap();
    let kept = || {
        ["c1", "c_2", "c3", "c4"]
            .map(|id| Path::new(&format!("/run/cni/tuning/{id}_eth0.json")).exists())
    };
    let gc = |valid| {
        let mut config = tuned.config(json!({"cni.dev/valid-attachments": valid}));
        config["cniVersion"] = "1.1.0".into();
        tuned.call("GC", json!({})).config(config).run().expect_silent_success();
    };
    gc(json!([{"containerID": "c1", "ifname": "eth0"}, {"containerID": "c_2", "ifname": "eth0"}]));
    assert_eq!(kept(), [true; 4]);
    gc(json!([{"containerID": "c1", "ifname": "eth0"}, {"containerID": "c_2", "ifname": "eth1"}]));
    assert_eq!(kept(), [true, false, true, true]);
    gc(json!([]));
    assert_eq!(kept(), [false, false, true, true]);
    assert!(!Path::new(KEPT).exists());
    gc(json!([]));
}

#[test]
fn without_a_list_a_namespace_that_is_gone_is_the_proof() {
    let mut tuned = Attachment::new();
    tuned.call("ADD", json!({"mtu": 1400})).run().expect_success();
    let gc = |tuned: &Attachment, keys| {
        let mut config = tuned.config(keys);
        config["cniVersion"] = "1.1.0".into();
        tuned.call("GC", json!({})).config(config).run().expect_silent_success();
    };
    gc(&tuned, json!({}));
    gc(&tuned, json!({"cni.dev/valid-attachments": null}));
    assert!(Path::new(KEPT).exists());
    let path = tuned.container.path().to_owned();
    tuned.container.vanish();
    // What is left where its mount was.
    fs::write(&path, "").unwrap();
    gc(&tuned, json!({}));
    tuned.nothing_is_kept();
}
