//! `causeway watch`: what happens is told, in order, soon.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::node::{Node, attachment, pods, tool};

#[test]
fn what_comes_changes_and_goes_is_told_as_it_happens() {
    let node = Node::new(&[pods()]);
    let (_first, _) = node.attach("pods", "first");
    let file = node.host.temp_dir().join("events");
    let (tool, lists) = (tool(), node.conf_dir());
    let (lists, shown) = (lists.display(), file.display());
    let line = format!("exec {tool} watch --json --conf-dir {lists} > {shown}");
    let watching = node.host.background(["sh", "-c", &line]);
    // It is ready when it has opened its second netlink socket; what it tells is about what comes later.
    thread::sleep(Duration::from_millis(500));

    let events = || -> Vec<Value> {
        let text = fs::read_to_string(&file).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let wait = |wanted: &dyn Fn(&Value) -> bool| -> Value {
        for _ in 0..200 {
            if let Some(found) = events().into_iter().find(|event| wanted(event)) {
                return found;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("not told: {:#?}", events());
    };
    let is = |event: &Value, word: &str| event["event"] == word && event["container"] == "web";

    let web = node.host.container("web");
    let ports = json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]);
    let about = attachment(&web).capabilities([("portMappings", ports)]);
    node.add("pods", &about);
    let attached = wait(&|event| is(event, "attached"));
    assert_eq!(attached["version"], 1);
    assert_eq!(attached["addresses"], json!(["10.85.0.3"]));
    wait(&|event| event["event"] == "pool" && event["held"] == 2 && event["before"]["held"] == 1);
    thread::sleep(Duration::from_millis(300));
    node.host.run(["nft", "flush", "ruleset"]);
    let changed = wait(&|event| is(event, "changed") && event["rules"] == json!([]));
    assert_eq!(changed["before"]["ports"], json!(["8080→80/tcp"]), "{changed:#}");
    node.del("pods", &about);
    wait(&|event| is(event, "detached"));
    wait(&|event| event["event"] == "pool" && event["held"] == 1);
    drop(watching);
    assert!(events().iter().all(|event| event["network"] == "pods"));
}
