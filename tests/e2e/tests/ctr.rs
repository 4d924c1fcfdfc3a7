//! `ctr run --cni` attaches containers to the first network that it finds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use e2e::containerd::Containerd;
use e2e::peer::{PORT, Place};
use e2e::{Node, Pod, pages, plugins, remains, words};
use testsupport::{Background, Outside};

/// Starts a container as its page does, under another name; it ends with the guard at the latest.
fn start(node: &Node, name: &str) -> (Pod, Background) {
    let line = pages::block("docs/runtimes/ctr.md", "sh", 0).replace(" web ", &format!(" {name} "));
    let background = node.background(words(&line));
    // ctr's own namespace stands before the name.
    let id = format!("default-{name}");
    let netns = node.wait_for("ctr's ADD", || {
        let adds = plugins::calls_for(&id, "tuning", "ADD");
        let add = adds.last().filter(|add| add.status == Some(0))?;
        Some(PathBuf::from(add.variable("NETNS")))
    });
    (Pod { id, netns }, background)
}

/// Ends it as its page does, and waits until ctr has taken its network away.
fn end(node: &Node, name: &str, pod: &Pod) {
    node.run_lines(
        &pages::block("docs/runtimes/ctr.md", "sh", 1).replace(" web", &format!(" {name}")),
    );
    let cache = format!("/var/lib/cni/results/pods-{}-eth0", pod.id);
    node.wait_for("ctr's DEL", || {
        let ended =
            plugins::calls_for(&pod.id, "bridge", "DEL").iter().any(|del| del.status == Some(0));
        (ended && !PathBuf::from(&cache).exists()).then_some(())
    });
}

#[test]
fn containers_live_and_leave_nothing() {
    let node = Node::new();
    node.configure("10-pods.conflist", &pages::block("docs/runtimes/containerd.md", "json", 0));
    let _containerd = Containerd::start(&node);
    let (web, _web) = start(&node, "web");
    let (db, _db) = start(&node, "db");
    {
        let _db = Place::Pod(&db).answer(&node);
        let _outside = Place::Beside(node.outside()).answer(&node);
        for (from, to) in web.addresses(&node).iter().zip(db.addresses(&node)) {
            assert_eq!(&Place::Pod(&web).ask(&node, &to, PORT), from, "container to container");
        }
        let outside = Outside::ADDRESS.to_string();
        assert_eq!(Place::Pod(&web).ask(&node, &outside, PORT), Outside::HOST.to_string());
    }
    end(&node, "web", &web);
    end(&node, "db", &db);
    let marks = ["10.85.", "fd85::", &web.id, &db.id];
    assert_eq!(remains::list(&node, &["cni0"], &marks), Vec::<String>::new());
    let dels = plugins::calls_for(&web.id, "bridge", "DEL");
    assert!(dels.iter().all(|del| del.variable("NETNS").is_empty()), "as ctr sends it: {dels:#?}");
    assert_eq!(plugins::failed(), Vec::<String>::new());
}
