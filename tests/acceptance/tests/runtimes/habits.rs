//! What callers do besides the plain life of a container: give up half-way, try again, change their
//! mind on the ID, call all at once, collect garbage.

use std::collections::BTreeSet;
use std::fs;

use cni_runtime::{Attachment, NetworkList, Runtime};
use serde_json::json;
use testsupport::{bin_dir, write_program};

use crate::node::{Node, Pod, attachment, expect, list};
use crate::traces;

/// Fails on ADD while there is a file `refuse` beside it.
const REFUSER: &str = r#"#!/bin/sh
[ "$CNI_COMMAND" = ADD ] || exit 0
if [ -e "${0%/*}/refuse" ]; then
    echo '{"cniVersion":"1.0.0","code":11,"msg":"refused"}'
    exit 1
fi
sed 's/.*"prevResult"://; s/,"type":"refuser"}$//'
"#;

/// A node whose chains may end in a plugin that refuses.
struct Refusing {
    node: Node,
    runtime: Runtime,
}

impl Refusing {
    fn new() -> Self {
        let node = Node::new();
        let folder = node.host.temp_dir().join("refuser");
        fs::create_dir(&folder).unwrap();
        write_program(folder.join("refuser"), REFUSER);
        let runtime = Runtime::new([bin_dir(), folder], node.host.temp_dir().join("cache"));
        Self { node, runtime }
    }

    /// Whether the refuser refuses.
    fn refuses(&self, does: Does) {
        let file = self.node.host.temp_dir().join("refuser/refuse");
        match does {
            Does::Refuse => fs::write(file, "").unwrap(),
            Does::Pass => fs::remove_file(file).unwrap(),
        }
    }

    fn traces(&self) -> String {
        traces::of_attachments(&self.node.host, &self.runtime)
    }
}

enum Does {
    Refuse,
    Pass,
}

/// A caller's list with the refuser at its end.
fn refused(file: &str) -> NetworkList {
    let mut object = list(file).to_json();
    object["plugins"].as_array_mut().unwrap().push(json!({"type": "refuser"}));
    NetworkList::new(object).unwrap()
}

fn mappings(attachment: Attachment, port: u16) -> Attachment {
    let mapping = json!({"HostPort": port, "ContainerPort": 80, "Protocol": "tcp", "HostIP": ""});
    attachment.capabilities([("portMappings", json!([mapping]))])
}

/// What stays by design is made once before anything is compared.
fn warmed_up(node: &Refusing, list: &NetworkList) -> String {
    let container = node.node.host.container("first");
    let attachment = mappings(attachment(&container), 8079);
    let pod = Pod::attach(container, attachment, &node.runtime, list);
    expect(node.runtime.del(list, &pod.attachment));
    node.traces()
}

#[test]
fn the_chains_del_clears_what_an_add_left_that_failed_in_its_last_plugin() {
    let host = Refusing::new();
    let list = refused("containerd.conflist");
    let before = warmed_up(&host, &list);
    host.refuses(Does::Refuse);
    let container = host.node.host.container("blue");
    let attachment = mappings(attachment(&container), 8080);
    let failure = host.runtime.add(&list, &attachment).unwrap_err();
    assert_eq!((failure.plugin(), &failure.object()["msg"]), (Some("refuser"), &json!("refused")));
    assert!(traces::leases(&host.node.host).len() == 2, "the refuser was the last to be asked");
    expect(host.runtime.del(&list, &attachment));
    expect(host.runtime.del(&list, &attachment.without_netns()));
    traces::assert_same(&before, &host.traces());
}

#[test]
fn the_chains_del_clears_it_after_the_namespace_is_gone_too() {
    let host = Refusing::new();
    let list = refused("containerd.conflist");
    let before = warmed_up(&host, &list);
    host.refuses(Does::Refuse);
    let mut container = host.node.host.container("blue");
    let attachment = mappings(attachment(&container), 8080);
    host.runtime.add(&list, &attachment).unwrap_err();
    container.vanish();
    expect(host.runtime.del(&list, &attachment.without_netns()));
    traces::assert_same(&before, &host.traces());
}

#[test]
fn nomad_tries_again_with_the_same_id_after_bridge_failed() {
    let host = Refusing::new();
    let list = refused("nomad.conflist");
    let before = warmed_up(&host, &list);
    let container = host.node.host.container("alloc");
    let attachment = mappings(attachment(&container), 8080);
    // In the way of the container's interface.
    container.run(["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "other"]);
    for _ in 0..2 {
        let failure = host.runtime.add(&list, &attachment).unwrap_err();
        assert_eq!(failure.plugin(), Some("bridge"), "{failure}");
        traces::assert_same(&before, &host.traces());
    }
    container.run(["ip", "link", "delete", "eth0"]);
    let pod = Pod::attach(container, attachment, &host.runtime, &list);
    pod.assert_reaches_outside();
    expect(host.runtime.del(&list, &pod.attachment));
    traces::assert_same(&before, &host.traces());
}

#[test]
fn trying_again_after_a_chained_plugin_failed_takes_a_del_between() {
    let host = Refusing::new();
    let list = refused("nomad.conflist");
    let before = warmed_up(&host, &list);
    host.refuses(Does::Refuse);
    let container = host.node.host.container("alloc");
    let attachment = mappings(attachment(&container), 8080);
    host.runtime.add(&list, &attachment).unwrap_err();
    // The interface is that of a finished ADD of bridge: the reference refuses it likewise.
    let again = host.runtime.add(&list, &attachment).unwrap_err();
    assert_eq!(again.plugin(), Some("bridge"), "{again}");
    assert!(again.object()["msg"].as_str().unwrap().contains("eth0"), "{again}");
    host.refuses(Does::Pass);
    expect(host.runtime.del(&list, &attachment));
    traces::assert_same(&before, &host.traces());
    let pod = Pod::attach(container, attachment, &host.runtime, &list);
    pod.assert_reaches_outside();
    expect(host.runtime.del(&list, &pod.attachment));
    traces::assert_same(&before, &host.traces());
}

#[test]
fn the_kubelets_new_id_lives_on_when_the_old_one_is_deleted_late() {
    let host = Refusing::new();
    let list = refused("containerd.conflist");
    let before = warmed_up(&host, &list);
    host.refuses(Does::Refuse);
    let mut given_up = host.node.host.container("sandbox1");
    let old = mappings(attachment(&given_up), 8080);
    host.runtime.add(&list, &old).unwrap_err();
    given_up.vanish();
    host.refuses(Does::Pass);
    let container = host.node.host.container("sandbox2");
    // The same host port: who has it is proved to be dead.
    let attachment = mappings(attachment(&container), 8080);
    let pod = Pod::attach(container, attachment, &host.runtime, &list);
    pod.assert_reaches_outside();
    expect(host.runtime.del(&list, &old.without_netns()));
    pod.assert_reaches_outside();
    expect(host.runtime.check(&list.without("refuser"), &pod.attachment));
    expect(host.runtime.del(&list, &pod.attachment));
    traces::assert_same(&before, &host.traces());
}

#[test]
fn one_network_joined_by_many_at_once() {
    let host = Refusing::new();
    let list = refused("containerd.conflist");
    let before = warmed_up(&host, &list);
    let containers: Vec<_> =
        (0..6).map(|number| host.node.host.container(&format!("pod{number}"))).collect();
    let runtime = &host.runtime;
    let pods: Vec<Pod> = std::thread::scope(|scope| {
        let start = |(port, container)| {
            let attachment = mappings(attachment(&container), port);
            let list = &list;
            scope.spawn(move || Pod::attach(container, attachment, runtime, list))
        };
        let starting: Vec<_> = (8080..).zip(containers).map(start).collect();
        starting.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let given: BTreeSet<&String> = pods.iter().flat_map(|pod| &pod.addresses).collect();
    assert_eq!(given.len(), 12, "{given:?}");
    pods[0].assert_reaches(&pods[5]);
    pods[5].assert_reaches_outside();
    std::thread::scope(|scope| {
        for pod in &pods {
            let list = &list;
            scope.spawn(move || expect(runtime.del(list, &pod.attachment)));
        }
    });
    traces::assert_same(&before, &host.traces());
}

#[test]
fn one_network_joined_twice_by_a_container_at_once() {
    let node = Node::new();
    let list = list("cri-o.conflist");
    let first = Pod::start(&node, "first", &node.runtime, &list);
    expect(node.runtime.del(&list, &first.attachment));
    let before = traces::of_attachments(&node.host, &node.runtime);
    let container = node.host.container("twice");
    let attachments = ["eth0", "eth1"].map(|name| attachment(&container).ifname(name));
    let (runtime, list) = (&node.runtime, &list);
    let results = std::thread::scope(|scope| {
        let adding = attachments.each_ref().map(|one| scope.spawn(move || runtime.add(list, one)));
        adding.map(|one| expect(one.join().unwrap()))
    });
    let given: BTreeSet<String> = results.iter().flat_map(crate::node::addresses).collect();
    assert_eq!(given.len(), 4, "{results:?}");
    for attachment in &attachments {
        expect(runtime.check(list, attachment));
    }
    expect(runtime.del(list, &attachments[0]));
    expect(runtime.check(list, &attachments[1]));
    expect(runtime.del(list, &attachments[1]));
    traces::assert_same(&before, &traces::of_attachments(&node.host, runtime));
}

#[test]
fn gc_leaves_those_that_live_and_takes_the_others_known_or_not() {
    let node = Node::new();
    let mut object = list("cri-o.conflist").to_json();
    object["cniVersion"] = "1.1.0".into();
    let list = NetworkList::new(object).unwrap();
    expect(node.runtime.status(&list));
    let lives = Pod::start(&node, "lives", &node.runtime, &list);
    let before = traces::of_attachments(&node.host, &node.runtime);
    let mut known = Pod::start(&node, "known", &node.runtime, &list);
    known.container.vanish();
    let mut unknown = Pod::start(&node, "unknown", &node.runtime, &list);
    unknown.container.vanish();
    fs::remove_file(node.runtime.cache().file(list.name(), &unknown.attachment)).unwrap();
    if let Err(failures) = node.runtime.gc(&list, std::slice::from_ref(&lives.attachment)) {
        panic!("{failures:#?}");
    }
    traces::assert_same(&before, &traces::of_attachments(&node.host, &node.runtime));
    lives.assert_reaches_outside();
    expect(node.runtime.check(&list, &lives.attachment));
}
