//! The network lists of `examples/`, each run as the runtime it is for would.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use cni_runtime::NetworkList;
use conformance::runtimes::Manner;
use testsupport::golden;

use crate::callers::{Caller, Outwards};
use crate::template::{Values, render};

/// All of them; a file that is not here fails a test.
const LISTS: [(&str, Manner); 5] = [
    ("containerd/10-pods.conflist", Manner::Containerd),
    ("cri-o/10-pods.conflist", Manner::CriO),
    ("nerdctl/pods.conflist", Manner::Nerdctl),
    ("nomad/pods.conflist", Manner::Nomad),
    ("podman/pods.conflist", Manner::Podman),
];

fn run(number: usize) {
    let (file, manner) = LISTS[number];
    let list = NetworkList::read(golden::path(&format!("examples/{file}"))).unwrap();
    let mut caller = Caller::of(list, manner);
    if manner == Manner::Podman {
        caller.asks_for = Some("10.89.0.7");
    }
    caller.lives_and_leaves_nothing();
}

#[test]
fn containerd() {
    run(0);
}

#[test]
fn cri_o() {
    run(1);
}

#[test]
fn nerdctl() {
    run(2);
}

#[test]
fn nomad() {
    run(3);
}

#[test]
fn podman() {
    run(4);
}

#[test]
fn the_template_that_containerd_fills_in() {
    let text =
        render(&golden::read(TEMPLATE), &Values::of(&["10.244.1.0/24", "fd00:10:244:1::/64"]));
    let list = NetworkList::new(serde_json::from_str(&text).unwrap()).unwrap();
    let mut caller = Caller::of(list, Manner::Containerd);
    caller.outwards = Outwards::Routed(&["10.244.1.0/24", "fd00:10:244:1::/64"]);
    caller.lives_and_leaves_nothing();
}

pub(crate) const TEMPLATE: &str = "examples/kubernetes/10-pods.conflist.template";

#[test]
fn no_list_is_forgotten() {
    let mut found = BTreeSet::new();
    find_lists(&golden::path("examples"), &mut found);
    let known: BTreeSet<String> =
        LISTS.iter().map(|(file, _)| format!("examples/{file}")).collect();
    assert_eq!(found, known);
}

fn find_lists(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_lists(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "conflist") {
            let from_root = path.strip_prefix(golden::path("")).unwrap();
            found.insert(from_root.to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn the_page_of_containerd_shows_its_list() {
    let list = golden::read("examples/containerd/10-pods.conflist");
    assert!(golden::read("docs/runtimes/containerd.md").contains(&format!("```json\n{list}```")));
}

#[test]
fn the_table_names_every_file() {
    let table = golden::read("examples/README.md");
    for (file, _) in LISTS {
        assert!(table.contains(&format!("`{file}`")), "{file}");
    }
    for file in ["10-pods.conflist.template", "installer.yaml", "Containerfile"] {
        assert!(table.contains(&format!("`kubernetes/{file}`")), "{file}");
    }
}
