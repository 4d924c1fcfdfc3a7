//! Sysctls: how they are named, which are allowed, and what is compared.

use std::fs;

use serde_json::{Value, json};

use crate::attachment::Attachment;

#[test]
fn sysctls_are_the_containers_and_stay_after_del() {
    let tuned = Attachment::new();
    let keys = json!({"sysctl": {
        "net.core.somaxconn": "1000",
        "net.ipv4.conf.IFNAME.arp_notify": "1",
        "net/ipv4/conf/eth0/arp_ignore": "2",
        "net.ipv4.ip_local_port_range": "20000 30000",
        "net.ipv4.route.flush": "1",
        "net.ipv4.conf.eth0.arp_filter": "",
    }});
    tuned.call("ADD", keys.clone()).run().expect_success();
    assert_eq!(tuned.sysctl("net.core.somaxconn"), "1000");
    assert_eq!(tuned.sysctl("net.ipv4.conf.eth0.arp_notify"), "1");
    assert_eq!(tuned.sysctl("net.ipv4.conf.eth0.arp_ignore"), "2");
    assert_eq!(tuned.sysctl("net.ipv4.ip_local_port_range"), "20000\t30000");
    assert_ne!(tuned.host.run(["sysctl", "-n", "net.core.somaxconn"]).trim(), "1000");
    tuned.call("CHECK", keys.clone()).run().expect_silent_success();
    tuned.container.run(["sysctl", "-q", "-w", "net.core.somaxconn=999"]);
    assert_eq!(
        tuned.call("CHECK", keys.clone()).run().expect_error(102),
        "Error: Tuning configured value of /proc/sys/net/core/somaxconn is 1000, current value is 999"
    );
    tuned.call("DEL", keys).run().expect_silent_success();
    assert_eq!(tuned.sysctl("net.ipv4.conf.eth0.arp_ignore"), "2");
}

#[test]
fn an_interface_with_dots_in_its_name_is_named_by_a_path() {
    let tuned = Attachment::new();
    // Older kernels rename no interface that is up.
    for line in ["ip link set eth0 down", "ip link set eth0 name eth0.5"] {
        tuned.container.run(line.split(' ').collect::<Vec<_>>());
    }
    let keys = json!({"sysctl": {
        "net.ipv4.conf.IFNAME.arp_notify": "1", "net/ipv4/conf/eth0.5/arp_ignore": "2",
    }});
    tuned.call("ADD", keys.clone()).ifname("eth0.5").run().expect_success();
    let value =
        |name| tuned.container.run(["cat", &format!("/proc/sys/net/ipv4/conf/eth0.5/{name}")]);
    assert_eq!((value("arp_notify").trim(), value("arp_ignore").trim()), ("1", "2"));
    tuned.call("CHECK", keys).ifname("eth0.5").run().expect_silent_success();
}

#[test]
fn faults_of_names_are_told_before_anything_is_written() {
    let tuned = Attachment::new();
    let first = tuned.sysctl("net.core.somaxconn");
    let message = |other: &str, value: Value, code| {
        let keys = json!({"sysctl": {"net.core.somaxconn": "1000", other: value}, "mtu": 1400});
        tuned.call("ADD", keys).run().expect_error(code)
    };
    assert_eq!(
        message("kernel.pid_max", json!("1"), 7),
        "invalid net sysctl key: \"kernel/pid_max\""
    );
    assert_eq!(
        message("net/../kernel/pid_max", json!("1"), 7),
        "invalid net sysctl key: \"net/../kernel/pid_max\""
    );
    assert_eq!(
        message("net/core/somaxconn", json!("1"), 7),
        "duplicated sysctl keys are not allowed"
    );
    assert!(message("net.ipv4.x", json!(1), 6).starts_with("sysctl.net.ipv4.x: must be a string"));
    assert_eq!(tuned.sysctl("net.core.somaxconn"), first);
    assert_eq!(tuned.link()["mtu"], 1500);
}

#[test]
fn a_sysctl_that_can_not_be_written_is_named_and_those_before_are_set_back() {
    let tuned = Attachment::new();
    let first = tuned.sysctl("net.core.somaxconn");
    let add = |key: &str, value: &str, code| {
        let keys = json!({"sysctl": {"net.core.somaxconn": "1000", key: value}, "mtu": 1400});
        tuned.call("ADD", keys).run().expect_error(code)
    };
    assert_eq!(
        add("net.nope", "1", 2),
        "sysctl \"net.nope\": open /proc/sys/net/nope: no such file or directory"
    );
    let message = add("net.ipv4.ip_local_port_range", "none", 100);
    assert!(
        message.starts_with("sysctl \"net.ipv4.ip_local_port_range\": write \"none\" to"),
        "{message}"
    );
    assert_eq!(tuned.sysctl("net.core.somaxconn"), first);
    assert_eq!(tuned.link()["mtu"], 1500);
    assert!(!std::path::Path::new("/run/cni").exists());
}

#[test]
fn the_administrators_list_says_which_are_allowed_to_add_alone() {
    let tuned = Attachment::new();
    // Where the machine has one, the host's leads there.
    fs::remove_file("/etc/cni").ok();
    fs::create_dir_all("/etc/cni/tuning").unwrap();
    let allow = |text: &str| fs::write("/etc/cni/tuning/allowlist.conf", text).unwrap();
    let keys = json!({"sysctl": {"net.ipv4.conf.IFNAME.arp_notify": "1"}, "mtu": 1400});
    let add = || tuned.call("ADD", keys.clone()).run();
    allow("^net\\.core\\.\n\n  conf\\.IFNAME\\..*_notify$  \n");
    add().expect_success();
    allow("^net\\.core\\.\nfile\n");
    let text = "Sysctl net.ipv4.conf.IFNAME.arp_notify is not allowed. Only the following sysctls are allowed: [^net\\.core\\. file]";
    assert_eq!(add().expect_error(7), text);
    tuned.call("CHECK", keys.clone()).run().expect_silent_success();
    tuned.call("DEL", keys.clone()).run().expect_silent_success();
    allow("(");
    assert!(add().expect_error(7).contains("not a regular expression: \"(\""));
    // Nothing to be allowed, nothing to be read.
    tuned.call("ADD", json!({})).run().expect_success();
    assert_eq!(tuned.link()["mtu"], 1500);
}

#[test]
fn arguments_alone_may_bring_sysctls() {
    let tuned = Attachment::new();
    let keys = json!({"args": {"cni": {"sysctl": {"net.core.somaxconn": "1001"}, "mtu": 1300}}});
    tuned.call("ADD", keys).run().expect_success();
    assert_eq!(tuned.sysctl("net.core.somaxconn"), "1001");
    assert_eq!(tuned.link()["mtu"], 1300);
}
