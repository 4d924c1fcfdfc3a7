//! What a throw-away host promises to the tests that stand on it.

use std::fs;
use std::path::Path;

use testsupport::{Call, Host, Outside, write_program};

#[test]
fn a_host_is_not_the_machine_and_has_only_lo() {
    let host = Host::new();
    let own = fs::read_link("/proc/thread-self/ns/net").unwrap();
    assert_ne!(own, fs::read_link("/proc/self/ns/net").unwrap());
    let links = host.run(["ip", "-brief", "link"]);
    assert_eq!(links.lines().count(), 1, "{links}");
    assert!(links.contains("lo") && links.contains("UP"), "{links}");
    assert_eq!(fs::read_dir("/var/lib/cni").unwrap().count(), 0);
    assert_eq!(fs::read_dir(host.temp_dir()).unwrap().count(), 0);
}

#[test]
fn containers_of_all_three_kinds_have_namespaces_of_their_own() {
    let host = Host::new();
    let mut containers = [
        host.container("blue"),
        host.container_at(host.temp_dir().join("somewhere")),
        host.container_of_process("pod"),
    ];
    let mut seen = vec![host.run(["readlink", "/proc/self/ns/net"])];
    for container in &containers {
        let own = container.run(["readlink", "/proc/self/ns/net"]);
        assert!(!seen.contains(&own), "{}", container.name());
        seen.push(own);
    }
    assert_eq!(host.run(["ip", "netns", "list"]).trim(), "blue");
    host.run(["ip", "netns", "exec", "blue", "true"]);
    let paths = containers.each_ref().map(|container| container.path().to_owned());
    for container in &mut containers {
        container.vanish();
    }
    assert!(paths.iter().all(|path| !path.exists()));
}

#[test]
fn dropped_containers_leave_nothing() {
    let host = Host::new();
    let before = (host.state(), mounts());
    let process = {
        let blue = host.container("blue");
        let pod = host.container_of_process("pod");
        let outside = host.outside();
        assert!(outside.pings(&Outside::HOST.to_string()));
        assert!(outside.pings(&Outside::HOST_6.to_string()));
        assert!(!blue.pings(&Outside::HOST.to_string()));
        pod.path().to_owned()
    };
    assert!(!process.exists());
    assert_eq!(mounts(), before.1);
    // The kernel takes the link away a moment after the namespace.
    host.finish(["ip", "link", "delete", "uplink0"]);
    assert_eq!(host.state(), before.0);
}

#[test]
fn the_neighbour_outside_has_its_addresses_when_it_is_there() {
    for _ in 0..5 {
        let host = Host::new();
        let outside = host.outside();
        let words = ["ip", "-6", "-oneline", "address", "show", "tentative"];
        assert_eq!(host.run(words) + &outside.run(words), "", "still probed for");
        let groups = host.run(["cat", "/proc/self/net/igmp6"]);
        assert!(groups.contains("ff0200000000000000000001ff000001"), "nobody listens: {groups}");
        assert!(outside.pings(&Outside::HOST_6.to_string()));
    }
}

fn mounts() -> String {
    fs::read_to_string("/proc/thread-self/mounts").unwrap_or_default()
}

#[test]
fn what_a_host_writes_to_etc_is_its_own() {
    {
        let host = Host::new();
        let _blue = host.container("blue");
        fs::create_dir_all("/etc/netns/blue").unwrap();
        fs::write("/etc/netns/blue/resolv.conf", "nameserver 192.0.2.53\n").unwrap();
        let seen = host.run(["ip", "netns", "exec", "blue", "cat", "/etc/resolv.conf"]);
        assert_eq!(seen, "nameserver 192.0.2.53\n");
        assert_ne!(host.run(["cat", "/etc/resolv.conf"]), seen);
        assert!(fs::read_to_string("/etc/passwd").unwrap().contains("root:"));
    }
    assert!(
        !std::thread::spawn(|| Path::new("/proc/1/root/etc/netns/blue").exists()).join().unwrap()
    );
}

#[test]
fn a_background_process_ends_with_its_guard() {
    let host = Host::new();
    let sleeper = host.background(["sleep", "100"]);
    let entry = format!("/proc/{}", sleeper.id());
    assert!(Path::new(&entry).exists());
    drop(sleeper);
    assert!(!Path::new(&entry).exists());
}

#[test]
fn a_call_sees_only_what_it_was_given() {
    let call = Call::of("/usr/bin/env").command("ADD").args("K=V").env("CNI_ARGS", "K=W");
    let seen = call.run().expect_success().stdout();
    let mut names: Vec<_> = seen.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["CNI_ARGS", "CNI_COMMAND", "CNI_PATH", "PATH"]);
    assert!(seen.contains("CNI_ARGS=K=W\n"));
}

#[test]
#[should_panic(expected = "did not end within")]
fn a_call_that_hangs_is_killed() {
    let host = Host::new();
    let script = host.temp_dir().join("hang");
    write_program(&script, "#!/bin/sh\nexec sleep 50\n");
    Call::of(script).limit(std::time::Duration::from_millis(200)).run();
}

#[test]
#[should_panic(expected = "no-such-device")]
fn a_failing_command_fails_the_test_with_its_output() {
    Host::new().run(["ip", "link", "show", "no-such-device"]);
}

#[test]
fn the_host_of_one_test_is_not_that_of_another() {
    let host = Host::new();
    host.run(["ip", "link", "add", "here", "type", "bridge"]);
    let elsewhere = std::thread::spawn(|| {
        let other = Host::new();
        (other.finish(["ip", "link", "show", "here"]).status, other.run(["ls", "/run/netns"]))
    });
    let _blue = host.container("blue");
    assert_eq!(elsewhere.join().unwrap(), (Some(1), String::new()));
}

#[test]
fn a_feature_is_there_or_not_for_every_test_alike() {
    for probe in [
        testsupport::feature::vlan_filtering,
        testsupport::feature::ipv6,
        testsupport::feature::nftables_masquerade,
        testsupport::feature::nftables_bridge,
        testsupport::feature::iptables_masquerade,
    ] {
        let on_the_machine = probe();
        let _host = Host::new();
        assert_eq!(probe(), on_the_machine);
    }
}
