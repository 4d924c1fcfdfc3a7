//! `causeway metrics`, and the examples that stand on it and on the other commands.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::listen::Listening;
use crate::node::{Node, lease, pods};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

#[test]
fn numbers_are_those_of_the_listings() {
    let node = Node::new(&[pods()]);
    let (_one, _) = node.attach("pods", "one");
    let (_two, _) = node.attach("pods", "two");
    fs::write(lease("pods", "10.85.0.8"), "").unwrap();
    let text = node.text(&["metrics"], 0);
    for line in [
        "causeway_attachments{network=\"pods\",state=\"alive\"} 2",
        "causeway_attachments{network=\"pods\",state=\"gone\"} 1",
        "causeway_attachments{network=\"pods\",state=\"unfinished\"} 0",
        "causeway_attachments_with_rules{network=\"pods\",rules=\"ipMasq\"} 2",
        "causeway_pool_size{network=\"pods\",set=\"0\"} 65534",
        "causeway_pool_addresses{network=\"pods\",set=\"0\",use=\"held\"} 2",
        "causeway_pool_addresses{network=\"pods\",set=\"0\",use=\"reclaimable\"} 1",
        "causeway_bridge_ports{bridge=\"cni0\"} 2",
        "causeway_bridge_ports_limit{bridge=\"cni0\"} 1023",
        "causeway_findings{kind=\"dead-attachment\"} 1",
        "causeway_findings{kind=\"address-on-two\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    let file = node.host.temp_dir().join("causeway.prom");
    assert_eq!(node.text(&["metrics", "--textfile", file.to_str().unwrap()], 0), "");
    assert!(fs::read_to_string(&file).unwrap().contains("causeway_attachments{"));
    let folder: Vec<_> = fs::read_dir(node.host.temp_dir()).unwrap().flatten().collect();
    assert!(folder.iter().all(|entry| !entry.file_name().to_string_lossy().ends_with(".new")));
}

#[test]
fn alerts_ask_for_numbers_that_there_are_and_findings_have_rows_in_the_document() {
    let node = Node::new(&[pods()]);
    let (_one, _) = node.attach("pods", "one");
    let text = node.text(&["metrics"], 0);
    let rules = fs::read_to_string(example("prometheus/causeway.rules.yaml")).unwrap();
    let names = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names: BTreeSet<&str> = names.filter(|word| word.starts_with("causeway_")).collect();
    assert_eq!(names.len(), 7, "{names:?}");
    for name in names {
        assert!(text.contains(&format!("# TYPE {name} gauge")), "{name}: {text}");
    }
    let document = fs::read_to_string(example("../docs/operating.md")).unwrap();
    for kind in text.split("causeway_findings{kind=\"").skip(1) {
        let kind = kind.split('"').next().unwrap();
        assert!(document.contains(&format!("`{kind}`")), "{kind} has no row");
        node.text(&["explain", kind], 0);
    }
}

#[test]
fn the_units_call_commands_that_there_are() {
    let node = Node::new(&[pods()]);
    let mut calls = 0;
    for unit in ["causeway-gc", "causeway-repair", "causeway-repair-after-reload"] {
        let text = fs::read_to_string(example(&format!("systemd/{unit}.service"))).unwrap();
        assert!(text.contains("SuccessExitStatus=1\n"), "{unit}");
        for line in text.lines().filter_map(|line| line.strip_prefix("Exec")) {
            let command = line.split_once('=').unwrap().1;
            let words: Vec<&str> = command.split(' ').collect();
            assert_eq!(words[0], "/usr/bin/causeway", "{unit}");
            node.text(&words[1..], 0);
            calls += 1;
        }
    }
    assert_eq!(calls, 4);
}

#[test]
fn the_unit_of_the_metrics_serves_them_until_systemd_ends_it() {
    let node = Node::new(&[pods()]);
    let text = fs::read_to_string(example("systemd/causeway-metrics.service")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/causeway "));
    let words: Vec<&str> = line.unwrap().split(' ').collect();
    let tool = Listening::start(&node, &words);
    assert!(tool.get("/metrics").contains("causeway_findings{"));
    assert_eq!(tool.end("-TERM"), Some(0));
}
