//! Damaged folders and rules: every command ends, says what is the matter, and shows and keeps what is sound.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testsupport::{REFERENCE_DIR, not_run};

use crate::node::{Node, attachment, lease, pods};
use crate::scene::Scene;

/// What looks, and changes nothing.
const LOOKING: [&[&str]; 7] = [
    &["ls"],
    &["pool"],
    &["check"],
    &["metrics"],
    &["gc", "--dry-run"],
    &["repair", "--dry-run"],
    &["plan", "pods"],
];

fn fifo(path: impl AsRef<Path>) {
    nix::unistd::mkfifo(path.as_ref(), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
}

fn looped(path: impl AsRef<Path>) {
    symlink(path.as_ref(), path.as_ref()).unwrap();
}

/// Names, kinds, lengths and link targets of everything below a folder.
fn state(folder: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let about = fs::symlink_metadata(entry.path()).unwrap();
            lines.push(format!("{:?} {:?} {}", entry.path(), about.file_type(), about.len()));
            if about.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    lines.sort();
    lines.join("\n")
}

/// Runs everything that only looks, each within a moment; nothing is changed by it, and the containers that are
/// sound are shown as such. Returns what `check` said.
#[track_caller]
fn looked_at(scene: &Scene, what: &str) -> Value {
    let before = state("/var/lib/cni") + &scene.node.host.run(["nft", "list", "ruleset"]);
    for words in LOOKING {
        let begin = Instant::now();
        let finished = scene.node.tool(words);
        assert!(
            begin.elapsed() < Duration::from_secs(10),
            "{what}: {words:?} took {:?}",
            begin.elapsed()
        );
        assert!(matches!(finished.status, Some(0 | 4 | 8 | 12)), "{what}: {finished}");
    }
    let after = state("/var/lib/cni") + &scene.node.host.run(["nft", "list", "ruleset"]);
    assert_eq!(before, after, "{what}: something was changed");
    let listing = scene.node.tool(&["ls", "pods", "--json"]);
    let listing: Value = serde_json::from_slice(&listing.stdout).unwrap();
    for name in ["web", "other"] {
        let mut listed = listing["networks"][0]["attachments"].as_array().unwrap().iter();
        let is_alive = |one: &Value| one["container"] == name && one["state"] == "alive";
        assert!(listed.any(is_alive), "{what}: {listing:#}");
    }
    let finished = scene.node.tool(&["check", "--json"]);
    serde_json::from_slice(&finished.stdout).unwrap()
}

#[test]
fn a_pool_folder_with_what_is_no_address_file_is_looked_at_all_the_same() {
    let scene = Scene::new();
    let pool = PathBuf::from("/var/lib/cni/networks/pods");
    fs::create_dir(pool.join("10.85.0.20")).unwrap();
    fs::create_dir(pool.join("folder")).unwrap();
    fifo(pool.join("10.85.0.21"));
    fifo(pool.join("fifo"));
    looped(pool.join("10.85.0.22"));
    looped(pool.join("loop"));
    symlink("/nowhere", pool.join("10.85.0.23")).unwrap();
    fs::write(pool.join("10.85.0.24"), "").unwrap();
    fs::write(pool.join("10.85.0.25"), [0xff; 100]).unwrap();
    fs::write(pool.join("10.85.0.26"), vec![b'x'; 1 << 20]).unwrap();
    fs::write(pool.join("10.85.0.999"), "c\r\neth0").unwrap();
    fs::write(pool.join("ten"), "c\r\neth0").unwrap();
    fs::write(pool.join("last_reserved_ip.0"), [0xff; 100]).unwrap();
    fs::write(pool.join("last_reserved_ip.77"), "x").unwrap();
    looked_at(&scene, "a pool folder");
    scene.node.tool(&["gc"]);
    scene.node.tool(&["repair"]);
    for kept in ["10.85.0.2", "10.85.0.3", "10.85.0.20", "folder", "fifo", "loop", "ten"] {
        assert!(fs::symlink_metadata(pool.join(kept)).is_ok(), "{kept}");
    }
    scene.has_traffic();
}

/// Has the kernel fail each read of a file, as a bad disk does: what is at address 0 of a process can't be read.
fn unreadable(scene: &Scene, path: &Path) {
    fs::write(path, "").unwrap();
    let memory = format!("/proc/{}/mem", std::process::id());
    scene.node.host.run(["mount", "--bind", &memory, path.to_str().unwrap()]);
}

#[test]
fn what_of_a_pool_can_not_be_read_is_named_by_every_command_and_keeps_it_from_nothing_else() {
    let scene = Scene::new();
    let pool = PathBuf::from("/var/lib/cni/networks/pods");
    let (mut gone, _) = scene.node.attach("pods", "gone");
    fs::create_dir(pool.join("10.85.0.20")).unwrap();
    symlink("/nowhere", pool.join("10.85.0.21")).unwrap();
    fs::write(pool.join("10.85.0.22"), vec![b'x'; 10 << 20]).unwrap();
    // An operator's note is none of them.
    fs::write(pool.join("10.85.0.23"), "keep it free").unwrap();
    let mut faults = vec![
        ("10.85.0.20", "it is a folder"),
        ("10.85.0.21", "it is a symbolic link"),
        ("10.85.0.22", "it is 10485760 bytes long"),
    ];
    let names_all = |scene: &Scene, faults: &[(&str, &str)], statuses: [i32; 6]| {
        for (words, status) in
            [&["ls"][..], &["pool"], &["check"], &["metrics"], &["gc"], &["repair"]]
                .into_iter()
                .zip(statuses)
        {
            let finished = scene.node.tool(words);
            let said = String::from_utf8_lossy(&[&*finished.stdout, &*finished.stderr].concat())
                .into_owned();
            for (name, fault) in faults {
                let path = format!("{}: ", pool.join(name).display());
                let is_named = |line: &str| line.contains(&path) && line.contains(fault);
                assert!(said.lines().any(is_named), "{words:?}: {path}: {said}");
            }
            assert!(!said.contains("10.85.0.23: "), "{words:?}: {said}");
            assert_eq!(finished.status, Some(status), "{finished}");
        }
    };
    names_all(&scene, &faults, [8, 8, 12, 8, 8, 8]);
    looked_at(&scene, "a pool");
    // What is dead is released all the same, and what is missing put back.
    gone.vanish();
    scene.run("ip address flush dev cni0");
    let is_dead = |_| scene.node.tool(&["gc", "--dry-run"]).status == Some(12);
    assert!((0..200).any(is_dead));
    scene.node.text(&["gc"], 9);
    scene.node.text(&["repair"], 9);
    assert!(!lease("pods", "10.85.0.4").exists());
    scene.has_traffic();
    // A file that the disk does not give, and it is that of a container which lives.
    unreadable(&scene, &pool.join("10.85.0.2"));
    faults.push(("10.85.0.2", "(EIO)"));
    names_all(&scene, &faults, [8, 8, 12, 8, 8, 8]);
    scene.has_traffic();
    scene.run("umount /var/lib/cni/networks/pods/10.85.0.2");
}

#[test]
fn a_folder_of_pools_with_what_is_no_pool_is_looked_at_all_the_same() {
    let scene = Scene::new();
    let pools = PathBuf::from("/var/lib/cni/networks");
    fs::write(pools.join("file"), "x").unwrap();
    fifo(pools.join("fifo"));
    looped(pools.join("loop"));
    symlink("/nowhere", pools.join("dangling")).unwrap();
    fs::create_dir(pools.join("name with spaces")).unwrap();
    fs::create_dir(pools.join("-")).unwrap();
    fs::create_dir(pools.join("empty")).unwrap();
    fs::write(pools.join("-/10.9.0.1"), "c\r\neth0").unwrap();
    looked_at(&scene, "a folder of pools");
    scene.has_traffic();
}

#[test]
fn a_damaged_cache_is_passed_over() {
    let scene = Scene::new();
    let results = PathBuf::from("/var/lib/cni/results");
    fs::write(results.join("pods-a-eth0"), "").unwrap();
    fs::write(results.join("pods-b-eth0"), "{").unwrap();
    fs::write(results.join("pods-c-eth0"), "[1, 2]").unwrap();
    fs::write(results.join("pods-d-eth0"), "{\"kind\": \"cniCacheV1\", \"result\": 7}").unwrap();
    fs::write(results.join("pods-e-eth0"), [0xff; 1000]).unwrap();
    fs::create_dir(results.join("pods-f-eth0")).unwrap();
    fifo(results.join("pods-g-eth0"));
    looped(results.join("pods-h-eth0"));
    looked_at(&scene, "a cache");
    scene.is_sound();
    // That of a container that lives: its ports are not looked after any more, and it is shown without its pod.
    fs::write(results.join("pods-web-eth0"), "{\"kind\":").unwrap();
    looked_at(&scene, "a cache entry");
    scene.is_sound();
    fs::remove_dir_all(&results).unwrap();
    fs::write(&results, "no folder").unwrap();
    looked_at(&scene, "no cache");
    scene.has_traffic();
}

#[test]
fn a_folder_of_lists_with_what_is_no_list_is_looked_at_all_the_same() {
    let scene = Scene::new();
    let lists = scene.node.conf_dir();
    fifo(lists.join("60-fifo.conflist"));
    looped(lists.join("61-loop.conflist"));
    fs::create_dir(lists.join("62-folder.conflist")).unwrap();
    fs::write(lists.join("63-empty.conflist"), "").unwrap();
    fs::write(lists.join("64-bytes.conflist"), [0xff; 1000]).unwrap();
    let found = looked_at(&scene, "a folder of lists");
    let found = found["findings"].as_array().unwrap();
    assert!(found.iter().all(|one| one["kind"] == "unusable-list"), "{found:#?}");
    for name in ["60-fifo", "61-loop", "62-folder", "63-empty", "64-bytes"] {
        let is_named = |one: &&Value| one["subject"].as_str().unwrap().contains(name);
        assert!(found.iter().any(|one| is_named(&one)), "{name}: {found:#?}");
    }
}

#[test]
fn while_the_pool_is_locked_all_that_only_looks_goes_on_and_the_rest_says_who_has_it() {
    let scene = Scene::new();
    fs::write(lease("pods", "10.85.0.30"), "").unwrap();
    let folder = fs::File::open("/var/lib/cni/networks/pods/lock")
        .or_else(|_| fs::File::open("/var/lib/cni/networks/pods"));
    let held = folder.unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    looked_at(&scene, "a locked pool");
    let begin = Instant::now();
    let finished = scene.node.tool(&["gc"]);
    assert!(begin.elapsed() < Duration::from_secs(45), "{finished}");
    assert_eq!(finished.status, Some(4), "{finished}");
    let said = finished.to_string();
    let holder = format!("process {}", std::process::id());
    assert!(said.contains("/var/lib/cni/networks/pods") && said.contains(&holder), "{said}");
    drop(held);
    let done = scene.node.json(&["gc"], 1);
    assert_eq!(done["released"].as_array().unwrap().len(), 1, "{done:#}");
    scene.is_sound();
}

#[test]
fn damaged_and_foreign_rules_are_looked_at_all_the_same() {
    let scene = Scene::new();
    for line in [
        "nft add chain inet causeway theirs",
        "nft add rule inet causeway theirs tcp dport 9 counter",
        "nft add set inet causeway odd { type inet_service ; }",
        "nft add element inet causeway odd { 1 , 2 }",
        "nft add set inet causeway masq/pods/not-a-network { type ipv4_addr ; }",
        "nft add set inet causeway masq/other/10.9.0.0/16 { type ipv4_addr ; comment \"x\" ; }",
        "nft add element inet causeway masq/other/10.9.0.0/16 { 10.9.0.2 }",
        "nft add element inet causeway masq/pods/10.85.0.0/16 { 10.85.9.9 comment \"no/such\" }",
        "nft add element inet causeway masq/pods/10.85.0.0/16 { 10.85.9.8 comment \"pods/web/eth0\" }",
        "nft add table ip causeway",
        "nft add chain ip causeway masq",
        "nft add table bridge other",
    ] {
        scene.run(line);
    }
    looked_at(&scene, "foreign rules");
    scene.node.tool(&["gc"]);
    scene.node.tool(&["repair"]);
    let rules = scene.node.host.run(["nft", "list", "ruleset"]);
    for kept in ["tcp dport 9", "set odd", "10.9.0.2", "10.85.9.9", "table ip causeway"] {
        assert!(rules.contains(kept), "{kept}: {rules}");
    }
    scene.has_traffic();
}

#[test]
fn two_networks_that_share_a_bridge_are_no_fault() {
    let mut first = pods();
    first["plugins"][0]["ipam"]["rangeEnd"] = json!("10.85.127.254");
    let scene = Scene::of(first);
    let mut second = pods();
    second["name"] = json!("more");
    second["plugins"][0]["ipam"]["rangeStart"] = json!("10.85.128.2");
    fs::write(scene.node.conf_dir().join("20-more.conflist"), second.to_string()).unwrap();
    let (one, _) = scene.node.attach("more", "one");
    let (two, _) = scene.node.attach("more", "two");
    let flows = || {
        scene.is_sound();
        assert!(one.pings("10.85.0.1") && two.pings("10.85.0.2") && two.pings("10.85.128.2"));
        assert!(one.pings(&testsupport::Outside::ADDRESS.to_string()));
        assert_eq!(scene.node.text(&["gc"], 0), "nothing is dead\n");
        assert_eq!(scene.node.text(&["repair"], 0), "nothing is missing\n");
    };
    flows();
    scene.run("nft flush ruleset");
    scene.run("ip address flush dev cni0");
    scene.finds(&[
        "attachment-without-rules",
        "bridge-without-address",
        "route-localnet-without-guard",
    ]);
    scene.node.text(&["repair"], 1);
    flows();
}

#[test]
fn attachments_of_the_reference_are_no_fault_and_nothing_of_them_is_taken() {
    if !Path::new(REFERENCE_DIR).join("portmap").is_file() {
        return not_run("the reference plugins are not installed");
    }
    let mut network = pods();
    network["cniVersion"] = json!("1.0.0");
    let keys = network["plugins"][0].as_object_mut().unwrap();
    keys.remove("ipMasqBackend");
    keys.remove("macspoofchk");
    network["plugins"].as_array_mut().unwrap().push(json!({"type": "firewall"}));
    let mut node = Node::new(&[network]);
    node.runtime = cni_runtime::Runtime::new([REFERENCE_DIR], "/var/lib/cni");
    let outside = node.host.outside();
    let theirs = node.host.container("theirs");
    let ports = json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]);
    node.add("pods", &attachment(&theirs).capabilities([("portMappings", ports)]));
    // Which the reference leaves open, and no command of this tool is to alter what it made.
    let found = node.json(&["check"], 4)["findings"].as_array().unwrap().clone();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["kind"], "route-localnet-without-guard");
    node.host.run(["sh", "-c", found[0]["mend"].as_str().unwrap()]);
    let state = || {
        node.host.run(["iptables-save"])
            + &node.host.run(["ip", "-oneline", "-4", "address"])
            + &state("/var/lib/cni")
    };
    let state =
        || state().lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    // With either suite's executables in place.
    for folder in [REFERENCE_DIR.into(), testsupport::bin_dir()] {
        let before = state();
        for (words, said) in [
            (&["check"][..], "nothing is wrong\n"),
            (&["gc"], "nothing is dead\n"),
            (&["gc", "--dry-run"], "nothing is dead\n"),
            (&["repair"], "nothing is missing\n"),
            (&["repair", "--dry-run"], "nothing is missing\n"),
        ] {
            assert_eq!(
                node.text_of(&folder, words, 0),
                said,
                "{words:?} with {}",
                folder.display()
            );
        }
        assert_eq!(state(), before, "{}", folder.display());
    }
    assert_eq!(node.shown("pods", "theirs")["causeway"], false);
    let server = theirs.inside(|| std::net::TcpListener::bind("0.0.0.0:80").unwrap());
    let address = std::net::SocketAddr::from((testsupport::Outside::HOST, 8080));
    assert!(outside.inside(|| std::net::TcpStream::connect(address)).is_ok());
    let local = std::net::SocketAddr::from(([127, 0, 0, 1], 8080));
    assert!(std::net::TcpStream::connect(local).is_ok(), "the host itself goes on");
    drop(server);
}
