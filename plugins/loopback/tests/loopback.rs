//! `loopback` through its executable, on throw-away hosts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;

use serde_json::{Value, json};
use testsupport::{Call, Container, Host, feature, golden, not_run};

/// A call as containerd makes it.
fn call(command: &str, container: &Container) -> Call {
    let config = json!({"cniVersion": "0.3.1", "name": "cni-loopback", "type": "loopback"});
    let call = Call::new("loopback").command(command).container_id("c1");
    call.netns(container).ifname("lo").config(config)
}

fn config(version: &str) -> Value {
    json!({"cniVersion": version, "name": "net", "type": "loopback"})
}

fn is_up(container: &Container) -> bool {
    container.run(["ip", "-brief", "link", "show", "lo"]).contains("UP,LOWER_UP")
}

#[test]
fn add_brings_lo_up_and_reports_it_in_every_version() {
    if !feature::ipv6() {
        return not_run("loopback: this kernel has no IPv6");
    }
    let host = Host::new();
    for version in ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] {
        let container = host.container("blue");
        assert!(!is_up(&container));
        let answer = call("ADD", &container).config(config(version)).run();
        let file = format!("testdata/loopback/result/{version}/lo.json");
        golden::assert_matches(&file, &answer.expect_success().stdout());
        assert!(is_up(&container), "{version}");
        assert!(container.pings("127.0.0.1") && container.pings("::1"));
    }
}

#[test]
fn add_reports_only_what_lo_has() {
    let host = Host::new();
    let container = host.container("blue");
    container.run(["sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=1"]);
    container.run(["ip", "address", "add", "192.0.2.1/32", "dev", "lo"]);
    let result = call("ADD", &container).run().expect_success().json();
    let ips = json!([{"version": "4", "interface": 0, "address": "127.0.0.1/8"}]);
    assert_eq!(result["ips"], ips);
}

#[test]
fn add_and_del_may_come_again() {
    let host = Host::new();
    let container = host.container("blue");
    let first = call("ADD", &container).run().expect_success().stdout();
    assert_eq!(call("ADD", &container).run().expect_success().stdout(), first);
    for _ in 0..3 {
        call("DEL", &container).run().expect_silent_success();
        assert!(!is_up(&container));
    }
}

#[test]
fn neither_name_nor_arguments_nor_path_are_looked_at() {
    let host = Host::new();
    let container = host.container("blue");
    let odd = |command| {
        let call = call(command, &container).ifname("far/too:long for an interface");
        call.args("no pair;=;X=Y").env("CNI_PATH", "/nowhere:").config(config("1.1.0")).run()
    };
    let result = odd("ADD").expect_success().json();
    assert_eq!(result["interfaces"][0]["name"], "lo");
    odd("CHECK").expect_silent_success();
    odd("DEL").expect_silent_success();
    assert!(!is_up(&container));
}

#[test]
fn a_prev_result_is_passed_through_in_every_version() {
    let host = Host::new();
    for version in ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] {
        let container = host.container("blue");
        let text = golden::read(&format!("testdata/common/result/{version}/bridge.json"));
        let previous: Value = serde_json::from_str(&text).unwrap();
        let mut config = config(version);
        config["prevResult"] = previous.clone();
        let answer = call("ADD", &container).config(config).run();
        assert_eq!(answer.expect_success().json(), previous, "{version}");
        assert!(is_up(&container));
    }
}

#[test]
fn a_prev_result_that_cannot_be_read_is_refused_before_any_effect() {
    let host = Host::new();
    let container = host.container("blue");
    let mut config = config("1.0.0");
    config["prevResult"] = json!({"ips": [{"address": "x"}]});
    let message = call("ADD", &container).config(config).run().expect_error(7);
    assert_eq!(message, "prevResult.ips[0].address: not valid, got \"x\"");
    assert!(!is_up(&container));
}

#[test]
fn check_wants_lo_up() {
    let host = Host::new();
    let container = host.container("blue");
    let check = || call("CHECK", &container).config(config("1.0.0")).run();
    assert_eq!(check().expect_error(102), "loopback interface is down");
    call("ADD", &container).run().expect_success();
    check().expect_silent_success();
    container.run(["ip", "link", "set", "lo", "down"]);
    assert_eq!(check().expect_error(102), "loopback interface is down");
}

#[test]
fn namespaces_of_every_kind_are_taken() {
    let host = Host::new();
    for container in [
        host.container("blue"),
        host.container_at(host.temp_dir().join("anywhere")),
        host.container_of_process("pod"),
    ] {
        let result = call("ADD", &container).run().expect_success().json();
        assert_eq!(result["interfaces"][0]["sandbox"], container.path().to_str().unwrap());
        assert!(is_up(&container));
        call("DEL", &container).run().expect_silent_success();
        assert!(!is_up(&container));
    }
}

#[test]
fn del_succeeds_when_the_namespace_is_gone() {
    let host = Host::new();
    let mut named = host.container("blue");
    let mut process = host.container_of_process("pod");
    named.vanish();
    process.vanish();
    let plain = host.temp_dir().join("plain");
    fs::write(&plain, "").unwrap();
    let del = |path: &std::path::Path| call("DEL", &named).netns_path(path).run();
    for path in [named.path(), process.path(), "".as_ref(), &plain, &plain.join("below")] {
        del(path).expect_silent_success();
    }
}

#[test]
fn add_and_check_name_the_namespace_they_cannot_open() {
    let host = Host::new();
    let container = host.container("blue");
    let plain = host.temp_dir().join("plain");
    fs::write(&plain, "").unwrap();
    for path in [&plain, &host.temp_dir().join("missing"), host.temp_dir()] {
        for command in ["ADD", "CHECK"] {
            let call = call(command, &container).netns_path(path).config(config("1.0.0"));
            let message = call.run().expect_error(8);
            assert!(message.contains(path.to_str().unwrap()), "{message}");
        }
    }
}

#[test]
fn the_plugins_own_namespace_is_refused_unless_overridden() {
    let host = Host::new();
    let container = host.container("blue");
    host.run(["ip", "link", "set", "lo", "down"]);
    let own = |command| call(command, &container).netns_path("/proc/self/ns/net");
    for command in ["ADD", "DEL"] {
        let message = own(command).run().expect_error(8);
        let text = "plugin's netns and netns from CNI_NETNS should not be the same";
        assert_eq!(message, text);
    }
    let is_up = || host.run(["ip", "-brief", "link"]).contains("LOWER_UP");
    assert!(!is_up());
    for word in ["1", "true", "TRUE"] {
        own("ADD").env("CNI_NETNS_OVERRIDE", word).run().expect_success();
        assert!(is_up());
        own("DEL").env("CNI_NETNS_OVERRIDE", word).run().expect_silent_success();
        assert!(!is_up());
    }
    own("ADD").env("CNI_NETNS_OVERRIDE", "0").run().expect_error(8);
}

#[test]
fn an_add_that_nobody_hears_leaves_lo_as_it_was() {
    let host = Host::new();
    for was_up in [false, true] {
        let container = host.container("blue");
        if was_up {
            container.run(["ip", "link", "set", "lo", "up"]);
        }
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let config = host.temp_dir().join("config");
        fs::write(&config, r#"{"cniVersion":"1.0.0","name":"net"}"#).unwrap();
        let mut process = call("ADD", &container).process();
        process.stdin(fs::File::open(&config).unwrap()).stdout(full);
        assert_eq!(process.status().unwrap().code(), Some(1));
        assert_eq!(is_up(&container), was_up);
    }
}

#[test]
fn gc_and_status_have_nothing_to_object_to() {
    let host = Host::new();
    let container = host.container("blue");
    call("ADD", &container).run().expect_success();
    let mut config = config("1.1.0");
    config["cni.dev/valid-attachments"] = json!([]);
    call("GC", &container).config(&config).run().expect_silent_success();
    call("STATUS", &container).config(&config).run().expect_silent_success();
    assert!(is_up(&container));
}

#[test]
fn sixteen_at_once_on_one_namespace_agree() {
    let host = Host::new();
    let container = host.container("blue");
    let adds = || call("ADD", &container).run().expect_success().stdout();
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..16).map(|_| scope.spawn(adds)).collect();
        let mut results: Vec<_> = running.into_iter().map(|add| add.join().unwrap()).collect();
        results.dedup();
        assert_eq!(results.len(), 1, "{results:#?}");
    });
    assert!(is_up(&container));
}

#[test]
fn a_bare_call_names_the_plugin() {
    let answer = Call::new("loopback").run();
    answer.expect_silent_success();
    let version = env!("CARGO_PKG_VERSION");
    assert!(answer.stderr().starts_with(&format!("CNI loopback plugin v{version}\n")), "{answer}");
}
