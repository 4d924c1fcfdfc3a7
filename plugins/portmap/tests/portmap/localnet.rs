//! The host's 127.0.0.1: its own way out to containers, and nobody's way in (`docs/decisions/0040`).

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use cni_common::sys::attacher::LOCK_FILE;
use cni_common::sys::byte_lock::ByteLock;
use serde_json::{Value, json};
use testsupport::Call;

use crate::server::{NEVER, serve, tcp};
use crate::world::{Pod, World, both};

/// The lock that ADD and DEL take for `route_localnet`.
const LOCK: i64 = (1 << 44) + 1;
const GUARD: &str = "chain portmap/localnet";

/// A host with a service on 127.0.0.1 that a container tries to reach by its bridge.
struct Attacked {
    world: World,
    intruder: Pod,
    _service: TcpListener,
}

impl Attacked {
    fn new(keys: Value) -> Self {
        let world = World::with(keys);
        let intruder = world.pod("intruder", 1);
        let service = TcpListener::bind("127.0.0.1:9000").unwrap();
        // The way that the guard closes: 127.0.0.1 by the bridge.
        for line in [
            "ip route add 127.0.0.0/8 via 10.1.0.1 src 10.1.0.2 table 7",
            "ip rule add pref 1 to 127.0.0.0/8 lookup 7",
            "ip rule add pref 2 lookup local",
            "ip rule del pref 0",
            "sysctl -q -w net.ipv4.conf.eth0.route_localnet=1",
        ] {
            intruder.container.run(line.split(' ').collect::<Vec<_>>());
        }
        Self { world, intruder, _service: service }
    }

    /// Whether the container reaches the service.
    fn is_open(&self) -> bool {
        let connect = || TcpStream::connect_timeout(&"127.0.0.1:9000".parse().unwrap(), NEVER);
        self.intruder.container.inside(connect).is_ok()
    }

    /// Without the setting and without the guard, and only the setting would open it.
    #[track_caller]
    fn is_as_before(&self) {
        assert_eq!(setting(&self.world, "cni1"), "0");
        let rules = self.world.ruleset();
        assert!(!rules.contains("portmap/"), "{rules}");
        assert!(!self.is_open());
        set(&self.world, "cni1", "1");
        assert!(self.is_open(), "control: the setting alone opens it");
        set(&self.world, "cni1", "0");
    }
}

fn setting(world: &World, link: &str) -> String {
    world.run(&format!("sysctl -n net.ipv4.conf.{link}.route_localnet")).trim().to_owned()
}

fn set(world: &World, link: &str, value: &str) {
    world.run(&format!("sysctl -q -w net.ipv4.conf.{link}.route_localnet={value}"));
}

fn gc() {
    let config = json!({
        "cniVersion": "1.1.0", "name": "net", "type": "portmap", "cni.dev/valid-attachments": [],
    });
    Call::new("portmap").command("GC").config(config).run().expect_silent_success();
}

#[test]
fn a_container_reaches_no_service_on_the_hosts_127_0_0_1() {
    for backend in crate::world::BACKENDS {
        let it = Attacked::new(json!({"backend": backend}));
        it.intruder.map(&both(8080, 80));
        assert_eq!(setting(&it.world, "cni1"), "1");
        assert!(!it.is_open());
        it.world.run(match it.world.is_of_iptables() {
            true => "iptables -t raw -F PREROUTING",
            false => "nft delete chain inet causeway portmap/localnet",
        });
        assert!(it.is_open(), "control: without the guard it is open");
    }
}

#[test]
fn the_setting_goes_back_with_the_hosts_last_port_and_the_guard_with_it() {
    let it = Attacked::new(json!({}));
    let (two, other) = (it.world.pod("c2", 1), it.world.pod("c3", 2));
    serve(&two.container, 80);
    it.intruder.map(&both(8080, 80));
    two.map(&both(8081, 80));
    other.map(&both(8082, 80));
    it.intruder.unmap(&both(8080, 80));
    other.unmap(&both(8082, 80));
    // Another container still needs it.
    assert_eq!(setting(&it.world, "cni1"), "1");
    assert_eq!(tcp(None, "127.0.0.1:8081"), "c2 10.1.0.1");
    assert!(!it.is_open());
    two.unmap(&both(8081, 80));
    assert_eq!(setting(&it.world, "cni2"), "0");
    it.is_as_before();
}

#[test]
fn gc_of_the_last_port_closes_it_too() {
    let it = Attacked::new(json!({}));
    it.intruder.map(&both(8080, 80));
    gc();
    it.is_as_before();
}

#[test]
fn a_del_that_was_killed_behind_the_setting_is_finished_by_the_next_one() {
    let it = Attacked::new(json!({}));
    it.intruder.map(&both(8080, 80));
    set(&it.world, "cni1", "0");
    it.intruder.unmap(&both(8080, 80));
    it.is_as_before();
}

#[test]
fn a_setting_that_cant_be_set_back_keeps_its_guard_until_it_can() {
    let it = Attacked::new(json!({}));
    it.intruder.map(&both(8080, 80));
    let file = "/proc/sys/net/ipv4/conf/cni1/route_localnet";
    it.world.run(&format!("mount --bind {file} {file}"));
    it.world.run(&format!("mount -o remount,bind,ro {file}"));
    it.intruder.unmap(&both(8080, 80));
    assert_eq!(setting(&it.world, "cni1"), "1");
    assert!(it.world.ruleset().contains(GUARD));
    assert!(!it.world.ruleset().contains("portmap/ports"), "the ports are gone");
    assert!(!it.is_open());
    it.world.run(&format!("umount {file}"));
    gc();
    it.is_as_before();
}

#[test]
fn what_was_set_before_stays_so_and_is_guarded() {
    let it = Attacked::new(json!({}));
    set(&it.world, "cni1", "1");
    assert!(it.is_open(), "control");
    it.intruder.map(&both(8080, 80));
    it.intruder.map(&both(8080, 80));
    it.intruder.unmap(&both(8080, 80));
    assert_eq!(setting(&it.world, "cni1"), "1");
    assert!(it.world.ruleset().contains(GUARD));
    assert!(!it.is_open());
    // Who set it takes it back.
    set(&it.world, "cni1", "0");
    gc();
    it.is_as_before();
}

#[test]
fn a_bridge_that_was_deleted_meanwhile_is_closed() {
    let it = Attacked::new(json!({}));
    it.intruder.map(&both(8080, 80));
    it.world.run("ip link delete cni1");
    it.intruder.unmap(&both(8080, 80));
    assert!(!it.world.ruleset().contains("portmap/"));
    // One of the same name knows nothing of it.
    it.world.run("ip link add cni1 type bridge");
    assert_eq!(setting(&it.world, "cni1"), "0");
}

#[test]
fn ports_of_the_reference_on_the_host_keep_the_setting_and_the_guard() {
    let it = Attacked::new(json!({}));
    it.intruder.map(&both(8080, 80));
    for line in [
        "nft add table ip cni_hostport",
        "nft add chain ip cni_hostport hostports",
        "nft add rule ip cni_hostport hostports tcp dport 9090 dnat to 10.1.0.9:80",
    ] {
        it.world.run(line);
    }
    it.intruder.unmap(&both(8080, 80));
    assert_eq!(setting(&it.world, "cni1"), "1");
    assert!(it.world.ruleset().contains(GUARD));
    assert!(!it.is_open());
    it.world.run("nft delete table ip cni_hostport");
    gc();
    it.is_as_before();
}

#[test]
fn with_iptables_guard_and_setting_stay_whichever_backend_was_first() {
    let it = Attacked::new(json!({}));
    let two = it.world.pod("c2", 1);
    serve(&two.container, 80);
    it.intruder.map(&both(8080, 80));
    let config = two.config(&both(8081, 80), json!({"backend": "iptables"}));
    two.call("ADD", &config).run().expect_success();
    it.intruder.unmap(&both(8080, 80));
    assert_eq!(tcp(None, "127.0.0.1:8081"), "c2 10.1.0.1");
    assert!(!it.is_open());
    two.call("DEL", &config).run().expect_silent_success();
    assert_eq!(setting(&it.world, "cni1"), "1");
    assert!(!it.world.ruleset().contains("portmap/"));
    assert!(!it.is_open());
}

#[test]
fn an_add_waits_while_the_setting_is_about_to_go() {
    let it = Attacked::new(json!({}));
    let two = it.world.pod("c2", 1);
    serve(&two.container, 80);
    it.intruder.map(&both(8080, 80));
    let held = ByteLock::acquire(Path::new(LOCK_FILE), LOCK, Duration::from_secs(1)).unwrap();
    std::thread::scope(|scope| {
        let del = scope.spawn(|| it.intruder.run("DEL", &both(8080, 80)));
        let add = scope.spawn(|| two.run("ADD", &both(8081, 80)));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!del.is_finished() || !add.is_finished(), "both ended without the lock");
        drop(held);
        del.join().unwrap().expect_silent_success();
        add.join().unwrap().expect_success();
    });
    assert_eq!(setting(&it.world, "cni1"), "1");
    assert_eq!(tcp(None, "127.0.0.1:8081"), "c2 10.1.0.1");
    assert!(!it.is_open());
    two.unmap(&both(8081, 80));
    it.is_as_before();
}

/// Whichever is first: with a port there are setting and guard, and without neither.
#[test]
fn adds_and_dels_at_the_same_time_leave_it_as_one_after_the_other() {
    let world = World::new();
    let (one, two) = (world.pod("c1", 1), world.pod("c2", 1));
    one.map(&both(8080, 80));
    for round in 0..40 {
        let (leaves, comes) = if round % 2 == 0 { (&one, &two) } else { (&two, &one) };
        std::thread::scope(|scope| {
            let del = scope.spawn(|| leaves.unmap(&both(8080, 80)));
            // Of ports of its own: the other's may be held.
            let add = scope.spawn(|| comes.map(&both(8081, 80)));
            del.join().unwrap();
            add.join().unwrap();
        });
        assert_eq!(setting(&world, "cni1"), "1", "round {round}");
        let rules = world.ruleset();
        let is_noted = rules.contains(r#""cni1" comment "route_localnet is set back"#);
        assert!(rules.contains(GUARD) && is_noted, "round {round}: {rules}");
        comes.map(&both(8080, 80));
    }
    one.unmap(&json!([]));
    two.unmap(&json!([]));
    assert_eq!(setting(&world, "cni1"), "0");
    assert!(!world.ruleset().contains("portmap/"));
}

#[test]
fn without_a_place_for_the_lock_the_guard_stays() {
    let it = Attacked::new(json!({}));
    it.intruder.map(&both(8080, 80));
    fs::remove_file(LOCK_FILE).unwrap();
    fs::create_dir(LOCK_FILE).unwrap();
    it.intruder.unmap(&both(8080, 80));
    assert_eq!(setting(&it.world, "cni1"), "1");
    assert!(it.world.ruleset().contains(GUARD));
    assert!(!it.is_open());
    fs::remove_dir(LOCK_FILE).unwrap();
    gc();
    it.is_as_before();
}
