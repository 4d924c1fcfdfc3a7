//! `firewall` beside others that drop what is forwarded: firewalld and dockerd of the distribution,
//! iptables' policy, Nomad's rules. Packets say whether they pass.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod reload;

use std::fs;
use std::path::Path;

use cni_runtime::{Attachment, NetworkList, Runtime};
use e2e::docker::Dockerd;
use e2e::firewalld::Firewalld;
use e2e::peer::{self, PORT, Place};
use e2e::{Node, checkout};
use serde_json::{Value, json};
use testsupport::{Container, Outside, REFERENCE_DIR, bin_dir};

/// The port of the node that leads to [`PORT`] of the container `web`.
const PUBLISHED: u16 = 8080;

fn runtime(node: &Node) -> Runtime {
    Runtime::new([bin_dir(), REFERENCE_DIR.into()], node.temp_dir().join("cache"))
}

/// The reference's plugins, the distribution's.
fn reference(node: &Node) -> Runtime {
    Runtime::new([REFERENCE_DIR], node.temp_dir().join("cache"))
}

/// A network of both protocols, with these keys of `firewall`.
fn network(firewall: &Value) -> NetworkList {
    let mut firewall = firewall.clone();
    firewall["type"] = json!("firewall");
    let list = json!({
        "cniVersion": "1.0.0", "name": "pods",
        "plugins": [
            { "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
              "hairpinMode": true,
              "ipam": { "type": "host-local",
                        "ranges": [[{ "subnet": "10.85.0.0/16" }], [{ "subnet": "fd85::/64" }]],
                        "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }] } },
            { "type": "portmap", "capabilities": { "portMappings": true } },
            firewall,
        ],
    });
    NetworkList::new(list).unwrap()
}

/// A container that was attached.
struct Pod {
    container: Container,
    attachment: Attachment,
    addresses: Vec<String>,
}

/// Attaches a container; port [`PUBLISHED`] of the node is that of `web`.
fn attach(node: &Node, network: &NetworkList, name: &str) -> Pod {
    let container = node.container(name);
    let mut attachment = Attachment::new(name, container.path().to_str().unwrap());
    if name == "web" {
        let port =
            json!({ "hostPort": PUBLISHED, "containerPort": number(PORT), "protocol": "tcp" });
        attachment = attachment.capabilities([("portMappings", json!([port]))]);
    }
    let result = runtime(node).add(network, &attachment);
    let result = result.unwrap_or_else(|error| panic!("{error}\n{}", rules(node)));
    let ips = result["ips"].as_array().unwrap();
    let address =
        |ip: &Value| ip["address"].as_str().unwrap().split('/').next().unwrap().to_owned();
    Pod { addresses: ips.iter().map(address).collect(), container, attachment }
}

fn number(text: &str) -> u16 {
    text.parse().unwrap()
}

fn rules(node: &Node) -> String {
    node.run(["nft", "list", "ruleset"])
}

/// Whether a connection from there to the address is answered.
fn reaches(node: &Node, from: Option<&Container>, address: &str, port: &str) -> bool {
    let program = peer::program();
    // One that is dropped is waited for no longer than this.
    let words = ["timeout", "2", program.to_str().unwrap(), "ask", address, port];
    let finished = match from {
        Some(container) => container.finish(words),
        None => node.finish(words),
    };
    finished.status == Some(0)
}

/// The addresses of the neighbour, and those of the node there, that the container has a use for.
fn outside(pod: &Pod) -> impl Iterator<Item = (String, String)> {
    let both = [
        (Outside::ADDRESS.to_string(), Outside::HOST.to_string()),
        (Outside::ADDRESS_6.to_string(), Outside::HOST_6.to_string()),
    ];
    both.into_iter().take(pod.addresses.len())
}

/// Asserts that without `firewall` nothing gets out: who drops does it.
fn assert_dropped_without(node: &Node, network: &NetworkList) {
    let pod = attach(node, &network.without("firewall"), "closed");
    let _outside = Place::Beside(node.outside()).answer(node);
    for (neighbour, _node) in outside(&pod) {
        assert!(!reaches(node, Some(&pod.container), &neighbour, PORT), "{neighbour} is reached");
    }
    runtime(node).del(&network.without("firewall"), &pod.attachment).unwrap();
}

/// Asserts that containers are let out, are reached by the published port, and reach each other; and
/// that iptables' programs, where there are any, still read and restore their tables.
fn assert_open(node: &Node, [web, client]: [&Pod; 2]) {
    let _outside = Place::Beside(node.outside()).answer(node);
    let _web = Place::Beside(&web.container).answer(node);
    let ask = |from, address: &str, port: &str| {
        let is_reached = reaches(node, from, address, port);
        assert!(is_reached, "{from:?} does not reach {address} {port}\n{}", rules(node));
    };
    let published = PUBLISHED.to_string();
    for (neighbour, host) in outside(web) {
        ask(Some(&web.container), &neighbour, PORT);
        ask(Some(&client.container), &neighbour, PORT);
        ask(Some(&**node.outside()), &host, &published);
        ask(Some(&client.container), &host, &published);
        ask(None, &host, &published);
    }
    for address in &web.addresses {
        ask(Some(&client.container), address, PORT);
        ask(None, address, PORT);
    }
}

/// What iptables' programs show of the table `filter`, which loads again as it is.
fn assert_readable(node: &Node) {
    for program in ["iptables", "ip6tables"] {
        let saved = node.finish([format!("{program}-save")]);
        let said = String::from_utf8_lossy(&saved.stderr).into_owned();
        assert!(!said.contains("incompatible"), "{program}: {said}");
        let text = saved.success();
        let path = node.temp_dir().join("saved");
        fs::write(&path, &text).unwrap();
        node.run([&format!("{program}-restore"), path.to_str().unwrap()]);
        let again = node.run([format!("{program}-save")]);
        let rules = |text: &str| -> Vec<String> {
            text.lines().filter(|line| line.starts_with("-A")).map(str::to_owned).collect()
        };
        assert_eq!(rules(&text), rules(&again));
    }
}

/// Detaches both containers, by the runtime's second DEL, which has no result, too.
fn detach(node: &Node, network: &NetworkList, pods: [&Pod; 2]) {
    for pod in pods {
        runtime(node).check(network, &pod.attachment).unwrap();
        runtime(node).del(network, &pod.attachment).unwrap();
        runtime(node).del(network, &pod.attachment.clone().without_netns()).unwrap();
    }
    let rules = rules(node);
    assert!(!rules.contains("causeway") && !rules.contains("10.85.0."), "{rules}");
}

/// All of it in one set-up.
fn assert_works(node: &Node, network: &NetworkList) {
    assert_dropped_without(node, network);
    let pods = ["web", "client"].map(|name| attach(node, network, name));
    let [web, client] = &pods;
    assert_open(node, [web, client]);
    assert_readable(node);
    assert_open(node, [web, client]);
    detach(node, network, [web, client]);
}

#[test]
fn firewalld_lets_containers_through_until_del_without_backend_and_with_its_own() {
    let node = Node::new();
    let firewalld = Firewalld::start(&node, &[]);
    for keys in [json!({}), json!({ "backend": "firewalld" })] {
        let network = network(&keys);
        assert_dropped_without(&node, &network);
        let pods = ["web", "client"].map(|name| attach(&node, &network, name));
        let [web, client] = &pods;
        assert_eq!(firewalld.sources("trusted").len(), 4);
        assert_open(&node, [web, client]);
        detach(&node, &network, [web, client]);
        assert_eq!(firewalld.sources("trusted"), Vec::<String>::new());
    }
}

#[test]
fn another_zone_is_used_and_one_that_is_not_there_or_has_lost_the_address_is_an_error() {
    let node = Node::new();
    let firewalld = Firewalld::start(&node, &[]);
    let work = network(&json!({ "firewalldZone": "work" }));
    let web = attach(&node, &work, "web");
    let mut sources = web.addresses.clone();
    sources.sort();
    let sources: Vec<_> =
        sources.iter().zip([32, 128]).map(|(ip, length)| format!("{ip}/{length}")).collect();
    assert_eq!(firewalld.sources("work"), sources);
    // DEL with another zone in the configuration takes the address out of the one it is in.
    runtime(&node).del(&network(&json!({})), &web.attachment).unwrap();
    assert_eq!(firewalld.sources("work"), Vec::<String>::new());

    let add = |keys: Value, name: &str| {
        let container = node.container(name);
        let attachment = Attachment::new(name, container.path().to_str().unwrap());
        let error = runtime(&node).add(&network(&keys), &attachment).unwrap_err().object();
        runtime(&node).del(&network(&keys), &attachment).unwrap();
        (error["code"].clone(), error["msg"].as_str().unwrap().to_owned())
    };
    let (code, message) = add(json!({ "firewalldZone": "nowhere" }), "lost");
    assert_eq!(code, 7);
    assert!(message.contains("firewalldZone: firewalld has no zone \"nowhere\""), "{message}");
    // Somebody else has bound the next container's IPv6 address.
    for number in 2..9 {
        firewalld.run(&["--zone=drop", &format!("--add-source=fd85::{number}/128")]);
    }
    let (code, message) = add(json!({}), "bound");
    assert_eq!(code, 101);
    assert!(message.contains("/128 to trusted zone: firewalld: ZONE_CONFLICT"), "{message}");
    assert_eq!(firewalld.sources("trusted"), Vec::<String>::new());
    assert_eq!(firewalld.sources("drop").len(), 7);
    for number in 2..9 {
        firewalld.run(&["--zone=drop", &format!("--remove-source=fd85::{number}/128")]);
    }
    assert!(!rules(&node).contains("causeway"), "{}", rules(&node));
}

#[test]
fn a_firewalld_that_can_not_be_asked_is_named_and_no_obstacle_for_del() {
    let node = Node::new();
    let firewalld = Firewalld::start(&node, &[]);
    let network = network(&json!({}));
    let web = attach(&node, &network, "web");
    firewalld.kill();
    let container = node.container("client");
    let attachment = Attachment::new("client", container.path().to_str().unwrap());
    let error = runtime(&node).add(&network, &attachment).unwrap_err().object();
    let message = error["msg"].as_str().unwrap();
    assert!(error["code"] == 11 && message.contains("table inet firewalld"), "{error}");
    for attachment in [attachment, web.attachment] {
        runtime(&node).del(&network, &attachment).unwrap();
    }
    assert!(!rules(&node).contains("causeway"), "{}", rules(&node));
}

#[test]
fn either_suite_checks_and_removes_what_the_other_told_firewalld() {
    let node = Node::new();
    let firewalld = Firewalld::start(&node, &[]);
    // Whether the other suite removes what `bridge` and `portmap` made is not asked here.
    let mut list = network(&json!({ "backend": "firewalld" })).without("portmap").to_json();
    list["plugins"][0]["ipMasq"] = json!(false);
    let network = NetworkList::new(list).unwrap();
    let (own, other) = (runtime(&node), reference(&node));
    for (name, [maker, remover]) in [("one", [&own, &other]), ("two", [&other, &own])] {
        let container = node.container(name);
        let attachment = Attachment::new(name, container.path().to_str().unwrap());
        maker.add(&network, &attachment).unwrap();
        assert_eq!(firewalld.sources("trusted").len(), 2);
        remover.check(&network, &attachment).unwrap();
        remover.del(&network, &attachment).unwrap();
        assert_eq!(firewalld.sources("trusted"), Vec::<String>::new());
    }
}

#[test]
fn containers_get_through_where_dockerd_drops() {
    let node = Node::new();
    let _dockerd = Dockerd::start(&node);
    for program in ["iptables", "ip6tables"] {
        let save = node.run([format!("{program}-save")]);
        assert!(save.contains(":FORWARD DROP") && save.contains("DOCKER-ISOLATION"), "{save}");
    }
    assert_works(&node, &network(&json!({})));
}

#[test]
fn containers_get_through_where_dockerd_comes_later_and_is_restarted() {
    let node = Node::new();
    let network = network(&json!({}));
    let pods = ["web", "client"].map(|name| attach(&node, &network, name));
    let [web, client] = &pods;
    for _ in 0..2 {
        let dockerd = Dockerd::start(&node);
        // It leaves the policy alone where forwarding was on before it came.
        node.run(["iptables", "-P", "FORWARD", "DROP"]);
        node.run(["ip6tables", "-P", "FORWARD", "DROP"]);
        assert_open(&node, [web, client]);
        drop(dockerd);
    }
    detach(&node, &network, [web, client]);
}

#[test]
fn containers_get_through_where_dockerd_and_firewalld_drop() {
    let node = Node::new();
    let _firewalld = Firewalld::start(&node, &[]);
    let _dockerd = Dockerd::start(&node);
    assert_works(&node, &network(&json!({})));
}

#[test]
fn containers_get_through_where_iptables_drops_by_policy() {
    let node = Node::new();
    drop_by_policy(&node);
    for keys in [json!({}), json!({ "backend": "nftables" })] {
        assert_works(&node, &network(&keys));
    }
}

#[test]
fn containers_get_through_on_a_host_without_any_iptables_program() {
    let node = Node::new();
    // What iptables would have made, and a host that has no such program.
    for family in ["ip", "ip6"] {
        let hook = "{ type filter hook forward priority filter; policy drop; }";
        node.must(&format!("nft add table {family} filter"));
        node.must(&format!("nft add chain {family} filter FORWARD '{hook}'"));
    }
    hide_iptables(&node);
    let network = network(&json!({}));
    assert_dropped_without(&node, &network);
    let pods = ["web", "client"].map(|name| attach(&node, &network, name));
    let [web, client] = &pods;
    assert_open(&node, [web, client]);
    detach(&node, &network, [web, client]);
}

#[test]
fn nomads_own_rules_and_published_ports_work_where_iptables_drops_by_policy() {
    let node = Node::new();
    drop_by_policy(&node);
    // As Nomad does before it calls the plugins.
    for line in
        ["iptables -N NOMAD-ADMIN", "iptables -A NOMAD-ADMIN -o nomad -d 172.26.64.0/20 -j ACCEPT"]
    {
        node.must(line);
    }
    let network = NetworkList::read(checkout().join("testdata/callers/nomad.conflist")).unwrap();
    assert_works_of_nomad(&node, &network);
    let kept = node.run(["iptables", "-S", "NOMAD-ADMIN"]);
    assert_eq!(kept.lines().count(), 2, "{kept}");
}

fn assert_works_of_nomad(node: &Node, network: &NetworkList) {
    assert_dropped_without(node, network);
    let pods = ["web", "client"].map(|name| attach(node, network, name));
    let [web, client] = &pods;
    assert_open(node, [web, client]);
    // Nomad's rule lets new connections in.
    node.outside().learn_route("172.26.64.0/20");
    let _web = Place::Beside(&web.container).answer(node);
    assert!(reaches(node, Some(&**node.outside()), &web.addresses[0], PORT), "{}", rules(node));
    assert_readable(node);
    for pod in [web, client] {
        runtime(node).check(network, &pod.attachment).unwrap();
        runtime(node).del(network, &pod.attachment).unwrap();
    }
    assert!(!rules(node).contains("causeway"), "{}", rules(node));
}

fn drop_by_policy(node: &Node) {
    for program in ["iptables", "ip6tables"] {
        node.run([program, "-P", "FORWARD", "DROP"]);
    }
}

/// Covers the programs for this node alone.
fn hide_iptables(node: &Node) {
    let folder = Path::new("/usr/sbin");
    let names: Vec<_> = fs::read_dir(folder).unwrap().map(|one| one.unwrap().file_name()).collect();
    let names = names.iter().filter_map(|name| name.to_str());
    let programs = names.filter(|name| name.contains("tables-") || name.contains("tables"));
    for name in programs.filter(|name| name.starts_with("ip") || name.starts_with("xtables")) {
        node.run(["mount", "--bind", "/dev/null", folder.join(name).to_str().unwrap()]);
    }
    assert_ne!(node.finish(["sh", "-c", "iptables --version"]).status, Some(0));
}
