//! Who reaches a mapped port, and as whom the container sees them.

use serde_json::json;
use testsupport::not_run;

use crate::server::{serve, tcp, tcp_never, udp};
use crate::world::{HOST, HOST_6, OUTSIDE, OUTSIDE_6, World, both};

#[test]
fn the_outside_reaches_the_container_and_is_seen_as_itself_until_del() {
    World::for_each_backend(|world| {
        let pod = world.pod("c1", 1);
        serve(&pod.container, 80);
        let mappings = both(8080, 80);
        let (at, at6) = (format!("{HOST}:8080"), format!("{HOST_6}:8080"));
        assert_eq!(tcp_never(Some(&world.outside), &at), "nothing");
        pod.map(&mappings);
        pod.run("CHECK", &mappings).expect_silent_success();
        assert_eq!(tcp(Some(&world.outside), &at), format!("c1 {OUTSIDE}"));
        assert_eq!(udp(Some(&world.outside), &at), format!("c1 {OUTSIDE}"));
        assert_eq!(tcp(Some(&world.outside), &at6), format!("c1 {OUTSIDE_6}"));
        assert_eq!(udp(Some(&world.outside), &at6), format!("c1 {OUTSIDE_6}"));
        pod.unmap(&mappings);
        for at in [&at, &at6] {
            assert_eq!(tcp_never(Some(&world.outside), at), "nothing");
        }
    });
}

#[test]
fn the_host_reaches_the_container_by_every_address_of_its_own_and_over_127_0_0_1() {
    World::for_each_backend(|world| {
        let pod = world.pod("c1", 1);
        serve(&pod.container, 80);
        pod.map(&both(8080, 80));
        // Who comes from the container's own subnet, or from 127.0.0.1, gets the bridge's address.
        for (at, seen) in [
            (HOST, HOST),
            (HOST_6, HOST_6),
            ("10.1.0.1", "10.1.0.1"),
            ("[fd00:1::1]", "[fd00:1::1]"),
            ("127.0.0.1", "10.1.0.1"),
            ("127.1.2.3", "10.1.0.1"),
        ] {
            let seen = format!("c1 {}", seen.trim_matches(['[', ']']));
            assert_eq!(tcp(None, &format!("{at}:8080")), seen, "tcp to {at}");
            assert_eq!(udp(None, &format!("{at}:8080")), seen, "udp to {at}");
        }
    });
}

#[test]
fn the_container_itself_and_its_neighbours_reach_the_port() {
    World::for_each_backend(|world| {
        let (pod, neighbour, other) = (world.pod("c1", 1), world.pod("c2", 1), world.pod("c3", 2));
        serve(&pod.container, 80);
        pod.map(&both(8080, 80));
        for switch in ["0", "1"] {
            // Whether frames between two ports of a bridge pass the rules of IP, too.
            let set = format!("net.bridge.bridge-nf-call-iptables={switch}");
            let set = world.host.finish(["sysctl", "-q", "-w", &set]);
            if set.status != Some(0) && switch == "1" {
                return not_run("the kernel has no bridge-nf-call-iptables");
            }
            for (from, ip, ip6) in [
                (&pod, "10.1.0.1".to_owned(), "fd00:1::1".to_owned()),
                (&neighbour, "10.1.0.1".to_owned(), "fd00:1::1".to_owned()),
                // `bridge` masquerades what leaves for another subnet.
                (&other, "10.1.0.1".to_owned(), "fd00:1::1".to_owned()),
            ] {
                for (at, seen) in [(HOST, &ip), ("10.1.0.1", &ip), (HOST_6, &ip6)] {
                    let whole = format!("{at}:8080");
                    let seen = format!("c1 {seen}");
                    let case = format!("{} to {at}, bridge-nf {switch}", from.name);
                    assert_eq!(tcp(Some(&from.container), &whole), seen, "tcp of {case}");
                    assert_eq!(udp(Some(&from.container), &whole), seen, "udp of {case}");
                }
            }
        }
    });
}

#[test]
fn a_host_ip_is_the_only_address_with_the_port_and_goes_before_all_addresses() {
    World::for_each_backend(|world| {
        let (one, two) = (world.pod("c1", 1), world.pod("c2", 1));
        serve(&one.container, 80);
        serve(&two.container, 80);
        one.map(&json!([
            {"HostPort": 8080, "ContainerPort": 80, "Protocol": "TCP", "HostIP": HOST},
            {"HostPort": 8081, "ContainerPort": 80, "Protocol": "tcp", "HostIP": "127.0.0.1"},
            {"HostPort": 8082, "ContainerPort": 80, "Protocol": "tcp", "HostIP": "0.0.0.0"},
            {"HostPort": 8083, "ContainerPort": 80, "Protocol": "tcp", "HostIP": "::"},
        ]));
        assert_eq!(tcp(Some(&world.outside), &format!("{HOST}:8080")), format!("c1 {OUTSIDE}"));
        assert_eq!(tcp_never(Some(&world.outside), &format!("{HOST_6}:8080")), "nothing");
        assert_eq!(tcp_never(None, "127.0.0.1:8080"), "nothing");
        assert_eq!(tcp(None, "127.0.0.1:8081"), "c1 10.1.0.1");
        assert_eq!(tcp_never(Some(&world.outside), &format!("{HOST}:8081")), "nothing");
        assert_eq!(tcp(Some(&world.outside), &format!("{HOST}:8082")), format!("c1 {OUTSIDE}"));
        assert_eq!(tcp_never(Some(&world.outside), &format!("{HOST_6}:8082")), "nothing");
        assert_eq!(tcp_never(Some(&world.outside), &format!("{HOST}:8083")), "nothing");
        assert_eq!(tcp(Some(&world.outside), &format!("{HOST_6}:8083")), format!("c1 {OUTSIDE_6}"));
        two.map(&both(8080, 80));
        assert_eq!(tcp(Some(&world.outside), &format!("{HOST}:8080")), format!("c1 {OUTSIDE}"));
        assert_eq!(tcp(None, "127.0.0.1:8080"), "c2 10.1.0.1");
    });
}

#[test]
fn what_is_sent_to_others_through_the_host_is_not_redirected() {
    World::for_each_backend(|world| {
        let (pod, client) = (world.pod("c1", 1), world.pod("c2", 1));
        serve(&pod.container, 80);
        serve(&world.outside, 8080);
        pod.map(&both(8080, 80));
        let at = format!("{OUTSIDE}:8080");
        assert_eq!(tcp(Some(&client.container), &at), format!("outside {HOST}"));
        assert_eq!(udp(Some(&client.container), &at), format!("outside {HOST}"));
    });
}

#[test]
fn without_snat_the_neighbours_address_stays_and_127_0_0_1_is_closed() {
    World::for_each_backend(|world| {
        let pod = world.pod("c1", 1);
        serve(&pod.container, 80);
        let config = pod.config(&both(8080, 80), json!({"snat": false}));
        pod.call("ADD", &config).run().expect_success();
        pod.call("CHECK", &config).run().expect_silent_success();
        assert_eq!(tcp(Some(&world.outside), &format!("{HOST}:8080")), format!("c1 {OUTSIDE}"));
        assert_eq!(tcp_never(None, "127.0.0.1:8080"), "nothing");
        assert_eq!(world.run("sysctl -n net.ipv4.conf.cni1.route_localnet").trim(), "0");
        pod.call("DEL", &config).run().expect_silent_success();
        assert!(!world.ruleset().contains("portmap/"));
    });
}

#[test]
fn with_masq_all_everybody_gets_the_hosts_address() {
    World::for_each_backend(|world| {
        let (pod, other) = (world.pod("c1", 1), world.pod("c3", 2));
        serve(&pod.container, 80);
        let config = pod.config(&both(8080, 80), json!({"masqAll": true}));
        pod.call("ADD", &config).run().expect_success();
        pod.call("CHECK", &config).run().expect_silent_success();
        for from in [Some(&*world.outside), Some(&other.container), Some(&pod.container), None] {
            for (at, seen) in [(HOST, "c1 10.1.0.1"), (HOST_6, "c1 fd00:1::1")] {
                let seen_now = tcp(from, &format!("{at}:8080"));
                assert_eq!(seen_now, seen, "from {:?}", from.map(testsupport::Container::name));
            }
        }
        assert_eq!(tcp(None, "127.0.0.1:8080"), "c1 10.1.0.1");
    });
}

#[test]
fn both_unspecified_addresses_are_the_same_as_none() {
    World::for_each_backend(|world| {
        let pod = world.pod("c1", 1);
        serve(&pod.container, 80);
        let one = |host: &str| json!({"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": host});
        let pair = json!([one("0.0.0.0"), one("::")]);
        pod.map(&pair);
        pod.run("CHECK", &pair).expect_silent_success();
        assert_eq!(tcp(Some(&world.outside), &format!("{HOST}:8080")), format!("c1 {OUTSIDE}"));
        assert_eq!(tcp(Some(&world.outside), &format!("{HOST_6}:8080")), format!("c1 {OUTSIDE_6}"));
        assert_eq!(tcp(None, "127.0.0.1:8080"), "c1 10.1.0.1");
        // Whoever reads the list sees the same port once for each IP version.
        pod.map(&json!([one("")]));
        pod.run("CHECK", &pair).expect_silent_success();
        pod.unmap(&pair);
        let rules = world.ruleset();
        assert!(!rules.contains("portmap/") && !rules.contains("CNI-DN-"), "{rules}");
    });
}
