//! podman with its CNI backend attaches containers to a network that it made.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::peer::{PORT, Place};
use e2e::{Node, Pod, pages, plugins, podman, remains};
use testsupport::Outside;

/// What is left of containers of the page's network; podman takes even the bridge away with it.
fn remains(node: &Node, pods: &[&Pod]) -> Vec<String> {
    let mut marks = vec!["10.99.", "fd99::"];
    marks.extend(pods.iter().map(|pod| pod.id.as_str()));
    remains::list(node, &[], &marks)
}

/// The neighbour gets by the node's port what `web` serves, which sees the neighbour's own address.
fn assert_published(node: &Node, web: &Pod) {
    for (host, neighbour) in [
        (Outside::HOST.to_string(), format!("[::ffff:{}]", Outside::ADDRESS)),
        (format!("[{}]", Outside::HOST_6), format!("[{}]", Outside::ADDRESS_6)),
    ] {
        let url = format!("http://{host}:8080/etc/hostname");
        let words = ["curl", "--silent", "--show-error", "--max-time", "10", &url];
        let answer = node.outside().finish(words).success();
        assert_eq!(Some(answer.trim()), web.id.get(..12), "{url}");
        let log = node.must("podman logs web 2>&1");
        assert!(log.lines().any(|line| line.starts_with(&neighbour)), "{neighbour}: {log}");
    }
}

fn assert_connected(node: &Node, web: &Pod, db: &Pod) {
    let _db = Place::Pod(db).answer(node);
    let _outside = Place::Beside(node.outside()).answer(node);
    for (from, to) in web.addresses(node).iter().zip(db.addresses(node)) {
        assert_eq!(&Place::Pod(web).ask(node, &to, PORT), from, "container to container");
    }
    let (outside, outside_6) = (Outside::ADDRESS.to_string(), Outside::ADDRESS_6.to_string());
    assert_eq!(Place::Pod(web).ask(node, &outside, PORT), Outside::HOST.to_string());
    assert_eq!(Place::Pod(web).ask(node, &outside_6, PORT), Outside::HOST_6.to_string());
}

#[test]
fn containers_of_a_created_network_live_and_leave_nothing() {
    let node = Node::new();
    podman::prepare(&node);
    // The last two of these commands are a ping of one container by the other, and a request to the other.
    let output = node.run_lines(&pages::block("docs/runtimes/podman.md", "sh", 0));
    assert!(output.contains("1 packets received"), "{output}");
    let (web, db) = (podman::container(&node, "web"), podman::container(&node, "db"));
    assert_eq!(output.lines().last(), web.id.get(..12), "{output}");
    assert_eq!(db.addresses(&node).first().unwrap(), "10.99.0.10");
    let link = db.run(&node, &["ip", "link", "show", "dev", "eth0"]);
    assert!(link.contains("02:00:0a:63:00:0a"), "{link}");
    assert_connected(&node, &web, &db);
    assert_published(&node, &web);

    let commands = pages::block("docs/runtimes/podman.md", "sh", 1);
    let mut commands = commands.lines();
    node.must(commands.next().unwrap());
    let links = web.run(&node, &["ip", "-oneline", "link"]);
    assert_eq!(links.lines().count(), 1, "only lo: {links}");
    // podman keeps the port open itself, so that a connection says nothing: but no rule leads anywhere.
    assert!(!node.run(["iptables-save"]).contains(&web.id), "rules of a container that has left");
    node.must(commands.next().unwrap());
    assert_connected(&node, &web, &db);
    assert_published(&node, &web);

    node.run_lines(&pages::block("docs/runtimes/podman.md", "sh", 2));
    assert_eq!(remains(&node, &[&web, &db]), Vec::<String>::new());
    assert_eq!(plugins::failed(), Vec::<String>::new());
}

#[test]
fn podmans_error_holds_the_plugins_message() {
    let node = Node::new();
    podman::prepare(&node);
    node.must("podman network create --subnet 10.99.1.0/24 small");
    let run =
        "podman run --detach --network small --ip 10.99.1.9 docker.io/library/busybox sleep 3600";
    let first = node.must(run);
    let second = node.finish(e2e::words(run));
    let error = String::from_utf8_lossy(&second.stderr).into_owned();
    let expected =
        "requested IP address 10.99.1.9 is not available in range set 10.99.1.1-10.99.1.254";
    assert!(
        second.status != Some(0) && error.contains(expected),
        "{second}\n{}",
        plugins::failures()
    );
    node.must(&format!("podman rm --force --time 0 {first}"));
    node.must("podman rm --all --force --time 0");
    node.must("podman network rm small");
    assert_eq!(remains(&node, &[]), Vec::<String>::new());
}
