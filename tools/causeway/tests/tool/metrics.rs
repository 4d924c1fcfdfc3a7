//! `causeway metrics`, and the examples that stand on it and on the other commands.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::listen::Listening;
use crate::node::{Node, attachment, lease, pods};

/// A file of the folder `examples`.
pub(crate) fn example(name: &str) -> PathBuf {
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
fn alerts_and_dashboard_ask_for_numbers_that_there_are() {
    let mut network = pods();
    let node = Node::new(&[]);
    network["plugins"][0]["logFile"] = json!(node.host.temp_dir().join("log"));
    fs::write(node.conf_dir().join("pods.conflist"), network.to_string()).unwrap();
    let (one, _) = node.attach("pods", "one");
    node.runtime.add(&node.list("pods"), &attachment(&one)).unwrap_err();
    let text = node.text(&["metrics"], 0);
    let rules = fs::read_to_string(example("prometheus/causeway.rules.yaml")).unwrap();
    let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    let dashboard = fs::read_to_string(example("grafana/causeway.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let mut asked: Vec<&str> =
        targets.map(|one| one["expr"].as_str().unwrap()).chain(alerts).collect();
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    asked.extend(variables.filter_map(|one| one["definition"].as_str()));
    assert_eq!(asked.len(), 17 + 7 + 2, "{asked:?}");
    let mut names = BTreeSet::new();
    for expression in asked {
        for start in expression.match_indices("causeway_").map(|(at, _)| at) {
            names.insert(check_selector(&text, &expression[start..]));
        }
    }
    assert_eq!(names.len(), 11, "{names:?}");
}

/// Looks whether `metrics` prints what a selector, with which the text begins, asks for: name, labels, and
/// the values that are said. The name of it.
fn check_selector(printed: &str, text: &str) -> String {
    let name: String =
        text.chars().take_while(|one| one.is_ascii_alphanumeric() || *one == '_').collect();
    let of_name = |line: &&str| {
        line.starts_with(&format!("{name} ")) || line.starts_with(&format!("{name}{{"))
    };
    let lines: Vec<&str> = printed.lines().filter(of_name).collect();
    assert!(!lines.is_empty(), "{name}: {printed}");
    let labels = text[name.len()..].strip_prefix('{').and_then(|rest| rest.split('}').next());
    for label in labels.into_iter().flat_map(|labels| labels.split("\",")) {
        let (key, values) = label.split_once(['=', '!']).unwrap();
        // Prometheus adds the node's own.
        if key == "instance" {
            continue;
        }
        let has = |part: String| lines.iter().any(|line| line.contains(&part));
        assert!(has(format!("{key}=\"")), "{label}: {lines:?}");
        let values = values.trim_matches(['=', '~', '"']);
        for value in values.split('|').filter(|value| !value.starts_with('$')) {
            assert!(has(format!("{key}=\"{value}\"")), "{label}: {lines:?}");
        }
    }
    name
}

#[test]
fn the_dashboard_has_what_an_import_needs() {
    let text = fs::read_to_string(example("grafana/causeway.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    assert!(dashboard["schemaVersion"].is_u64() && dashboard["id"].is_null(), "{dashboard}");
    assert_eq!(dashboard["uid"], "causeway");
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "an ID of two panels");
    let mut taken = BTreeSet::new();
    for panel in panels {
        assert!(panel["title"].is_string() && panel["description"].is_string(), "{panel:#}");
        // No data source of anybody's.
        for source in panel["targets"].as_array().unwrap().iter().chain([panel]) {
            assert_eq!(source["datasource"]["uid"], "${datasource}", "{panel:#}");
        }
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{panel:#}");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "over another: {panel:#}");
            }
        }
    }
}

#[test]
fn findings_have_rows_in_the_document() {
    let node = Node::new(&[pods()]);
    let text = node.text(&["metrics"], 0);
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
