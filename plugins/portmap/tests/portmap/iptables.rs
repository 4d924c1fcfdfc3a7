//! Backend `iptables`: the reference's chains and rules, and what becomes of them.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use testsupport::{Call, REFERENCE_DIR, not_run};

use crate::server::{serve, tcp, tcp_never};
use crate::world::{HOST, HOST_6, OUTSIDE, Pod, World, both};

pub(crate) fn world() -> World {
    World::with(json!({"backend": "iptables"}))
}

/// A call of the distribution's `portmap`, of release 1.1.1.
pub(crate) fn reference(
    command: &str,
    pod: &Pod,
    mappings: &Value,
    keys: &Value,
) -> testsupport::Answer {
    let mut config = pod.config(mappings, keys.clone());
    config["cniVersion"] = "1.0.0".into();
    config["prevResult"]["cniVersion"] = "1.0.0".into();
    // Its CHECK looks in the tables of both IP versions for the rules of each address.
    if command == "CHECK" {
        config["prevResult"]["ips"].as_array_mut().unwrap().truncate(1);
    }
    let call = Call::of(format!("{REFERENCE_DIR}/portmap")).command(command);
    let call = call.container_id(&pod.name).ifname("eth0").netns(&pod.container).config(config);
    if command != "CHECK" {
        return call.run();
    }
    let folder = std::path::Path::new("/run/iptables-only");
    fs::create_dir_all(folder).unwrap();
    symlink("/usr/sbin/iptables", folder.join("iptables")).ok();
    call.env("PATH", folder).run()
}

/// One mapping of TCP.
fn one(host_port: u16) -> Value {
    json!([{"hostPort": host_port, "containerPort": 80, "protocol": "tcp"}])
}

/// Of every kind.
fn many() -> Value {
    let mut mappings = json!([
        {"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": HOST},
        {"hostPort": 5353, "containerPort": 53, "protocol": "udp", "hostIP": "0.0.0.0"},
        {"hostPort": 8081, "containerPort": 81, "protocol": "tcp", "hostIP": "2001:db8:ffff::1"},
        {"hostPort": 9, "containerPort": 9, "protocol": "sctp"},
    ]);
    let more = (9000..9020).flat_map(|port| one(port).as_array().unwrap().clone());
    mappings.as_array_mut().unwrap().extend(more);
    mappings
}

/// The rules without the one that names the attachment.
fn without_owner(rules: &str) -> String {
    let is_owner = |line: &&str| line.contains("--comment \"veth");
    rules.lines().filter(|line| !is_owner(line)).map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_rules_and_their_order_are_the_references() {
    for keys in [
        json!({}),
        json!({"snat": false}),
        json!({"markMasqBit": 5}),
        json!({"conditionsV4": ["!", "-s", "192.168.0.0/16", "-m", "mark", "--mark", "0x7"]}),
    ] {
        let made = [true, false].map(|is_reference| {
            let world = world();
            world.run("iptables -t nat -A POSTROUTING -s 10.9.0.0/16 -j MASQUERADE");
            for (name, mappings) in [("c1", many()), ("c2", one(7000))] {
                let pod = world.pod(name, 1);
                match is_reference {
                    true => reference("ADD", &pod, &mappings, &keys),
                    false => pod.call("ADD", &pod.config(&mappings, keys.clone())).run(),
                }
                .expect_success();
            }
            without_owner(&world.iptables())
        });
        let [theirs, ours] = made.each_ref().map(|rules| rules.lines().collect::<Vec<_>>());
        let differs = theirs.iter().zip(&ours).find(|(theirs, ours)| theirs != ours);
        assert_eq!((differs, theirs.len()), (None, ours.len()), "{keys}");
    }
}

#[test]
fn either_suite_checks_and_removes_what_the_other_made() {
    for keys in [json!({}), json!({"snat": false}), json!({"conditionsV4": ["-i", "lo"]})] {
        for is_ours in [true, false] {
            let world = world();
            let (pod, other) = (world.pod("c1", 1), world.pod("c2", 1));
            let run = |is_ours: bool, command: &str, pod: &Pod, mappings: &Value| match is_ours {
                true => pod.call(command, &pod.config(mappings, keys.clone())).run(),
                false => reference(command, pod, mappings, &keys),
            };
            run(is_ours, "ADD", &other, &one(9090)).expect_success();
            let others = world.iptables();
            run(is_ours, "ADD", &pod, &both(8080, 80)).expect_success();
            run(!is_ours, "CHECK", &pod, &both(8080, 80)).expect_silent_success();
            run(is_ours, "CHECK", &pod, &both(8080, 80)).expect_silent_success();
            run(!is_ours, "DEL", &pod, &both(8080, 80)).expect_silent_success();
            assert_eq!(world.iptables(), others, "{keys}, ours {is_ours}");
            run(true, "CHECK", &pod, &both(8080, 80)).expect_error(102);
            run(true, "CHECK", &other, &one(9090)).expect_silent_success();
        }
    }
}

#[test]
fn a_second_add_replaces_what_the_first_one_made() {
    let world = world();
    let mut pod = world.pod("c1", 1);
    pod.map(&both(8080, 80));
    let first = world.ruleset();
    pod.map(&both(8080, 80));
    assert_eq!(world.ruleset(), first, "the same again");
    pod.result["ips"][0]["address"] = "10.1.0.77/24".into();
    let config = pod.config(&both(8081, 81), json!({"markMasqBit": 7}));
    pod.call("ADD", &config).run().expect_success();
    pod.call("CHECK", &config).run().expect_silent_success();
    let rules = world.iptables();
    for former in ["8080", "10.1.0.2:", "0x2000"] {
        assert!(!rules.contains(former), "{former} in {rules}");
    }
    // The mark is one for all containers.
    let other = world.pod("c2", 1);
    other.map(&both(9090, 80));
    pod.call("CHECK", &config).run().expect_silent_success();
    assert!(!world.iptables().contains("0x80/0x80"), "{}", world.iptables());
    // No ports any more.
    pod.map(&json!([]));
    assert!(!world.iptables().contains("8081"), "{}", world.iptables());
    other.run("CHECK", &both(9090, 80)).expect_silent_success();
}

#[test]
fn each_backend_replaces_what_the_other_made() {
    let world = World::new();
    let pod = world.pod("c1", 1);
    serve(&pod.container, 80);
    let config = |backend: &str| pod.config(&both(8080, 80), json!({"backend": backend}));
    let reach = || tcp(Some(&world.outside), &format!("{HOST}:8080"));
    for backend in ["iptables", "nftables", "iptables"] {
        pod.call("ADD", &config(backend)).run().expect_success();
        pod.call("CHECK", &config(backend)).run().expect_silent_success();
        let (rules, is_of_iptables) = (world.ruleset(), backend == "iptables");
        assert_eq!(rules.contains("portmap/"), !is_of_iptables, "{rules}");
        assert_eq!(rules.contains("CNI-DN-"), is_of_iptables, "{rules}");
        assert_eq!(reach(), format!("c1 {OUTSIDE}"));
    }
    pod.call("CHECK", &config("nftables")).run().expect_silent_success();
}

#[test]
fn del_needs_no_program_and_no_prev_result_and_add_says_which_is_missing() {
    let world = world();
    let (pod, other) = (world.pod("c1", 1), world.pod("c2", 1));
    other.map(&both(9090, 80));
    let others = world.iptables();
    for keys in [json!({}), json!({"prevResult": null, "runtimeConfig": null, "backend": null})] {
        pod.map(&both(8080, 80));
        world.run("mount -t tmpfs none /usr/sbin");
        pod.call("DEL", &pod.config(&both(8080, 80), keys)).run().expect_silent_success();
        let message = pod.run("ADD", &both(8080, 80)).expect_error(5);
        world.run("umount /usr/sbin");
        assert!(message.contains("program \"iptables-save\" is not installed"), "{message}");
        assert_eq!(world.iptables(), others);
    }
    let mut status = pod.config(&json!([]), json!({}));
    status["prevResult"] = Value::Null;
    let status = Call::new("portmap").command("STATUS").config(status);
    status.run().expect_silent_success();
    world.run("mount -t tmpfs none /usr/sbin");
    let message = status.run().expect_error(50);
    world.run("umount /usr/sbin");
    assert_eq!(message, "program \"iptables-restore\" is not installed");
}

#[test]
fn an_external_chain_marks_what_is_masqueraded() {
    let world = world();
    let pod = world.pod("c1", 1);
    serve(&pod.container, 80);
    for program in ["iptables", "ip6tables"] {
        for line in [
            "-N KUBE-MARK-MASQ",
            "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
            "-I POSTROUTING 1 -m mark --mark 0x4000/0x4000 -j MASQUERADE",
        ] {
            world.run(&format!("{program} -t nat {line}"));
        }
    }
    let config = pod.config(&both(8080, 80), json!({"externalSetMarkChain": "KUBE-MARK-MASQ"}));
    pod.call("ADD", &config).run().expect_success();
    pod.call("CHECK", &config).run().expect_silent_success();
    assert_eq!(tcp(Some(&world.outside), &format!("{HOST}:8080")), format!("c1 {OUTSIDE}"));
    assert_eq!(tcp(Some(&pod.container), &format!("{HOST}:8080")), "c1 10.1.0.1");
    assert_eq!(tcp(Some(&pod.container), &format!("{HOST_6}:8080")), "c1 fd00:1::1");
    assert_eq!(tcp(None, "127.0.0.1:8080"), "c1 10.1.0.1");
    let rules = world.iptables();
    assert!(!rules.contains("SETMARK") && !rules.contains("CNI-HOSTPORT-MASQ"), "{rules}");
    pod.call("DEL", &config).run().expect_silent_success();
    assert!(!world.iptables().contains("CNI-DN-"));
}

#[test]
fn conditions_are_of_their_own_container_only() {
    let world = world();
    let (pod, other) = (world.pod("c1", 1), world.pod("c2", 1));
    serve(&pod.container, 80);
    serve(&other.container, 80);
    let keys = json!({
        "conditionsV4": ["!", "-s", OUTSIDE, "-m", "comment", "--comment", "a \"word\" of\\many"],
        "conditionsV6": ["-s", "2001:db8:ffff::/64"],
        // The words say which backend it is.
        "backend": null,
    });
    let config = pod.config(&both(8080, 80), keys);
    pod.call("ADD", &config).run().expect_success();
    other.map(&both(9090, 80));
    pod.call("CHECK", &config).run().expect_silent_success();
    let at = |host: &str, port| format!("{host}:{port}");
    assert_eq!(tcp_never(Some(&world.outside), &at(HOST, 8080)), "nothing");
    assert_eq!(tcp(None, &at(HOST, 8080)), format!("c1 {HOST}"));
    let outside6 = crate::world::OUTSIDE_6;
    assert_eq!(tcp(Some(&world.outside), &at(HOST_6, 8080)), format!("c1 {outside6}"));
    assert_eq!(tcp(Some(&world.outside), &at(HOST, 9090)), format!("c2 {OUTSIDE}"));
    assert_eq!(tcp(Some(&world.outside), &at(HOST_6, 9090)), format!("c2 {outside6}"));
    // Who is told apart by conditions may have the same port.
    let mut same = both(9090, 80);
    same.as_array_mut().unwrap().extend(both(8080, 80).as_array().unwrap().clone());
    other.map(&same);
    assert_eq!(tcp(Some(&world.outside), &at(HOST, 8080)), format!("c2 {OUTSIDE}"));
    assert_eq!(tcp(None, &at(HOST, 8080)), format!("c1 {HOST}"));
    let changed = pod.config(&both(8080, 80), json!({"conditionsV4": ["-s", OUTSIDE]}));
    pod.call("CHECK", &changed).run().expect_error(102);
    pod.call("DEL", &config).run().expect_silent_success();
    other.run("CHECK", &same).expect_silent_success();
}

#[test]
fn check_names_what_is_missing_and_add_puts_it_back() {
    let world = world();
    let pod = world.pod("c1", 1);
    let mappings = both(8080, 80);
    pod.map(&mappings);
    let rules = world.iptables();
    let chain = rules.lines().find_map(|line| line.strip_prefix(":CNI-DN-")).unwrap();
    let chain = format!("CNI-DN-{}", chain.split(' ').next().unwrap());
    for (broken, named) in [
        ("iptables -t nat -F PREROUTING".to_owned(), "-A PREROUTING"),
        ("ip6tables -t nat -F OUTPUT".to_owned(), "-A OUTPUT"),
        ("iptables -t nat -F POSTROUTING".to_owned(), "-A POSTROUTING"),
        ("iptables -t nat -F CNI-HOSTPORT-DNAT".to_owned(), "--dports 8080"),
        ("iptables -t nat -F CNI-HOSTPORT-SETMARK".to_owned(), "CNI-HOSTPORT-SETMARK"),
        ("iptables -t nat -F CNI-HOSTPORT-MASQ".to_owned(), "CNI-HOSTPORT-MASQ"),
        ("iptables -t raw -F".to_owned(), "-d 127.0.0.0/8 ! -i lo"),
        (format!("ip6tables -t nat -D {chain} 1"), "-s fd00:1::/64 -p tcp"),
        (format!("ip6tables -t nat -I {chain} -p tcp --dport 1 -j RETURN"), "other rules"),
    ] {
        world.run(&broken);
        let message = pod.run("CHECK", &mappings).expect_error(102);
        assert!(message.contains(named), "{broken}: {message}");
        pod.map(&mappings);
        pod.run("CHECK", &mappings).expect_silent_success();
    }
    world.run("iptables -t nat -F");
    world.run(&format!("iptables -t nat -X {chain}"));
    let message = pod.run("CHECK", &mappings).expect_error(102);
    let text = format!("could not check ipv4 dnat: chain {chain} not found in iptables table nat");
    assert!(message.contains(&text), "{message}");
}

/// Where the programs of iptables work on the old kind of tables.
#[test]
fn it_works_on_the_old_kind_of_tables() {
    let world = world();
    let host = &world.host;
    if host.finish(["iptables-legacy", "-t", "nat", "-S"]).status != Some(0)
        || host.finish(["ip6tables-legacy", "-t", "nat", "-S"]).status != Some(0)
    {
        return not_run("old tables: this kernel or machine has no iptables-legacy");
    }
    let pod = world.pod("c1", 1);
    serve(&pod.container, 80);
    let legacy = host.temp_dir().join("sbin");
    fs::create_dir(&legacy).unwrap();
    for program in ["iptables", "ip6tables"] {
        for suffix in ["-save", "-restore"] {
            let target = format!("/usr/sbin/{program}-legacy{suffix}");
            symlink(target, legacy.join(format!("{program}{suffix}"))).unwrap();
        }
    }
    let path = format!("{}:{}", legacy.display(), std::env::var("PATH").unwrap());
    let run = |command: &str, mappings: &Value| {
        let call = pod.call(command, &pod.config(mappings, json!({})));
        call.env("PATH", &path).run()
    };
    run("ADD", &both(8080, 80)).expect_success();
    run("ADD", &both(8080, 80)).expect_success();
    run("CHECK", &both(8080, 80)).expect_silent_success();
    assert!(!world.ruleset().contains("CNI-DN-"), "{}", world.ruleset());
    assert_eq!(tcp(Some(&world.outside), &format!("{HOST}:8080")), format!("c1 {OUTSIDE}"));
    assert_eq!(tcp(None, "127.0.0.1:8080"), "c1 10.1.0.1");
    assert_eq!(tcp(Some(&pod.container), &format!("{HOST_6}:8080")), "c1 fd00:1::1");
    run("DEL", &json!([])).expect_silent_success();
    for program in ["iptables", "ip6tables"] {
        let save = world.run(&format!("{program}-legacy-save -t nat"));
        assert!(!save.contains("CNI-DN-"), "{save}");
    }
    run("CHECK", &both(8080, 80)).expect_error(102);
}
