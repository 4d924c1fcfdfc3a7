//! The runtime: what plugins get from it, in which order. The plugins are stand-ins, scripts
//! that note their calls.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cni_runtime::{Attachment, NetworkList, Runtime};
use serde_json::{Value, json};
use testsupport::{Host, golden, write_program};

/// Notes its call, and fails if there is a file `<name>.<command>`, which is then its answer.
const STAND_IN: &str = r#"#!/bin/sh
dir=${0%/*}
name=${0##*/}
{
    echo "$CNI_COMMAND $name"
    for variable in CONTAINERID NETNS IFNAME ARGS PATH; do
        eval "echo \"    $variable=\$CNI_$variable\""
    done
    cat
    echo
} >> "$dir/../calls"
if [ -e "$dir/../$name.$CNI_COMMAND" ]; then
    cat "$dir/../$name.$CNI_COMMAND"
    exit 1
fi
case $CNI_COMMAND in
ADD) echo '{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/24"}],"said":"'"$name"'"}' ;;
VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["0.3.1","0.4.0","1.0.0"]}' ;;
esac
"#;

struct Bench {
    // Holds the namespaces with the folder.
    _host: Host,
    dir: PathBuf,
    runtime: Runtime,
}

impl Bench {
    /// Stand-ins `first` and `second`, each in a folder of its own.
    fn new() -> Self {
        let host = Host::new();
        let dir = host.temp_dir().to_owned();
        let folders = ["first", "second"].map(|name| {
            let folder = dir.join(format!("of-{name}"));
            fs::create_dir(&folder).unwrap();
            write_program(folder.join(name), STAND_IN);
            folder
        });
        let runtime = Runtime::new(folders, dir.join("cache"));
        Self { _host: host, dir, runtime }
    }

    /// From now on this plugin fails with this answer.
    fn breaks(&self, call: &str, answer: &Value) {
        fs::write(self.dir.join(call), answer.to_string()).unwrap();
    }

    /// The calls since the last time, stdin in lines.
    fn calls(&self) -> String {
        let path = self.dir.join("calls");
        let text = fs::read_to_string(&path).unwrap_or_default();
        fs::remove_file(&path).ok();
        let mut shown = String::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            match serde_json::from_str::<Value>(line) {
                Ok(value) => writeln!(shown, "{value:#}").unwrap(),
                Err(_) => writeln!(shown, "{line}").unwrap(),
            }
        }
        shown
    }

    /// The first line of each call.
    fn order(&self) -> Vec<String> {
        let calls = self.calls();
        let titles =
            calls.lines().filter(|line| line.ends_with(" first") || line.ends_with(" second"));
        titles.map(str::to_owned).collect()
    }

    #[track_caller]
    fn assert_calls(&self, name: &str) {
        golden::assert_matches(&format!("testdata/runtime/{name}.txt"), &self.calls());
    }
}

fn list(version: &str) -> NetworkList {
    NetworkList::new(json!({
        "cniVersion": version,
        "name": "net",
        "plugins": [
            {"type": "first", "capabilities": {"mac": true, "portMappings": false}, "mtu": 1400},
            {"type": "second", "capabilities": {"portMappings": true, "bandwidth": true}},
        ],
    }))
    .unwrap()
}

fn attachment(id: &str) -> Attachment {
    Attachment::new(id, "/run/netns/x").args("IgnoreUnknown=1;K8S_POD_NAME=p").capabilities([
        ("mac", json!("02:00:00:00:00:07")),
        ("portMappings", json!([{"HostPort": 8080}])),
        ("dns", json!({})),
    ])
}

#[test]
fn what_plugins_get_for_add_check_and_del() {
    let bench = Bench::new();
    let (list, attachment) = (list("1.0.0"), attachment("c1"));
    let result = bench.runtime.add(&list, &attachment).unwrap();
    assert_eq!(result["said"], "second", "the last one's result is the chain's");
    bench.assert_calls("add");
    bench.runtime.check(&list, &attachment).unwrap();
    bench.assert_calls("check");
    bench.runtime.del(&list, &attachment).unwrap();
    bench.assert_calls("del");
    bench.runtime.del(&list, &attachment.without_netns()).unwrap();
    bench.assert_calls("del-again");
}

#[test]
fn gc_deletes_what_is_stale_and_known_and_names_what_lives() {
    let bench = Bench::new();
    let list = list("1.1.0");
    let [lives, stale] = ["lives", "stale"].map(|id| attachment(id).capabilities::<&str>([]));
    for one in [&lives, &stale] {
        bench.runtime.add(&list, one).unwrap();
    }
    bench.calls();
    bench.runtime.gc(&list, &[lives]).unwrap();
    bench.assert_calls("gc");
    assert_eq!(bench.runtime.cache().attachments("net").unwrap().len(), 1);
}

#[test]
fn gc_below_1_1_0_only_deletes_what_is_known() {
    let bench = Bench::new();
    let list = list("1.0.0");
    bench.runtime.add(&list, &attachment("stale")).unwrap();
    bench.order();
    bench.runtime.gc(&list, &[]).unwrap();
    assert_eq!(bench.order(), ["DEL second", "DEL first"]);
}

#[test]
fn status_is_asked_of_all_from_1_1_0_on() {
    let bench = Bench::new();
    bench.runtime.status(&list("1.0.0")).unwrap();
    assert_eq!(bench.calls(), "");
    bench.runtime.status(&list("1.1.0")).unwrap();
    bench.assert_calls("status");
}

#[test]
fn every_plugin_must_offer_the_lists_version() {
    let bench = Bench::new();
    bench.runtime.validate(&list("1.0.0")).unwrap();
    bench.assert_calls("version");
    let failure = bench.runtime.validate(&list("1.1.0")).unwrap_err().to_string();
    assert!(failure.contains("first offers"), "{failure}");
}

#[test]
fn del_below_0_4_0_gets_no_result() {
    let bench = Bench::new();
    let (list, attachment) = (list("0.3.1"), attachment("c1"));
    bench.runtime.add(&list, &attachment).unwrap();
    bench.calls();
    bench.runtime.del(&list, &attachment).unwrap();
    let calls = bench.calls();
    assert!(calls.contains("DEL first") && !calls.contains("prevResult"), "{calls}");
    assert!(bench.runtime.check(&list, &attachment).is_err());
}

#[test]
fn a_failed_add_shows_the_error_stops_there_and_is_not_known() {
    let bench = Bench::new();
    let (list, attachment) = (list("1.0.0"), attachment("c1"));
    let error = json!({"cniVersion": "1.0.0", "code": 11, "msg": "not now", "details": "why"});
    bench.breaks("first.ADD", &error);
    let failure = bench.runtime.add(&list, &attachment).unwrap_err();
    assert_eq!(bench.order(), ["ADD first"]);
    assert_eq!((failure.plugin(), failure.object()), (Some("first"), error.clone()));
    let shown = failure.to_string();
    assert!(shown.contains(&error.to_string()) && shown.contains("\"mtu\":1400"), "{shown}");
    assert!(bench.runtime.cache().attachments("net").unwrap().is_empty());
}

#[test]
fn a_del_that_fails_stops_there_and_stays_known() {
    let bench = Bench::new();
    let (list, attachment) = (list("1.0.0"), attachment("c1"));
    bench.runtime.add(&list, &attachment).unwrap();
    bench.order();
    bench.breaks("second.DEL", &json!({"code": 5, "msg": "broken"}));
    let failure = bench.runtime.del(&list, &attachment).unwrap_err();
    assert_eq!(failure.plugin(), Some("second"));
    assert_eq!(bench.order(), ["DEL second"]);
    assert_eq!(bench.runtime.cache().attachments("net").unwrap().len(), 1);
}

#[test]
fn the_cache_is_in_libcnis_form_and_libcnis_is_read() {
    let bench = Bench::new();
    let attachment = Attachment::new("c1", "/run/netns/c1").args("IgnoreUnknown=1;IP=10.0.0.2");
    let attachment = attachment.capabilities([("mac", json!("02:00:00:00:00:01"))]);
    bench.runtime.add(&list("1.0.0"), &attachment).unwrap();
    let file = bench.runtime.cache().file("net", &attachment);
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    let entry: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(entry["kind"], "cniCacheV1");
    assert_eq!(entry["cniArgs"], json!([["IgnoreUnknown", "1"], ["IP", "10.0.0.2"]]));
    assert!(entry["config"].is_string(), "{entry}");
    let cached = bench.runtime.cache().entries().unwrap().remove(0);
    assert_eq!(cached.config, Some(list("1.0.0").to_json()));
    assert_eq!(cached.attachment.args, "IgnoreUnknown=1;IP=10.0.0.2");

    // What libcni 1.3 wrote for `echo '{"a":1}'` as its list, and what it wrote before there was a kind.
    let kept = json!({"kind": "cniCacheV1", "containerId": "c2", "config": "eyJhIjoxfQ==",
        "ifName": "eth0", "networkName": "net", "netns": "/run/netns/c2",
        "cniArgs": [["IgnoreUnknown", "1"]], "result": {"cniVersion": "1.0.0", "ips": []}});
    let second = Attachment::new("c2", "");
    fs::write(bench.runtime.cache().file("net", &second), kept.to_string()).unwrap();
    let cached = bench.runtime.cache().entries().unwrap().remove(1);
    assert_eq!(cached.config, Some(json!({"a": 1})));
    assert_eq!(cached.attachment.netns, "/run/netns/c2");
    let legacy = Attachment::new("c3", "");
    fs::write(bench.runtime.cache().file("net", &legacy), kept["result"].to_string()).unwrap();
    assert_eq!(bench.runtime.cache().result(&list("1.0.0"), &legacy), Some(kept["result"].clone()));
}

#[test]
fn a_folder_has_lists_before_single_plugins_and_says_what_is_none() {
    let bench = Bench::new();
    let folder = bench.dir.join("net.d");
    fs::create_dir(&folder).unwrap();
    let write = |file: &str, text: &str| fs::write(folder.join(file), text).unwrap();
    write("10-a.conf", r#"{"cniVersion":"1.0.0","name":"net","type":"first"}"#);
    write("20-b.conflist", r#"{"cniVersion":"1.0.0","name":"net","plugins":[{"type":"second"}]}"#);
    write("30-c.conflist", "{");
    write("40-d.txt", "{");
    let found = NetworkList::find_in(&folder, "net").unwrap();
    assert_eq!(found.plugins()[0].kind(), "second");
    let error = NetworkList::find_in(&folder, "other").unwrap_err().to_string();
    assert!(error.contains("there is: net, net;") && error.contains("30-c.conflist"), "{error}");
    assert!(!error.contains("40-d"), "{error}");
}

#[test]
fn a_corrupt_cache_is_a_del_without_a_result() {
    let bench = Bench::new();
    let (list, attachment) = (list("1.0.0"), attachment("c1"));
    bench.runtime.add(&list, &attachment).unwrap();
    bench.calls();
    fs::write(bench.runtime.cache().file("net", &attachment), "{").unwrap();
    bench.runtime.del(&list, &attachment).unwrap();
    let calls = bench.calls();
    assert!(calls.contains("DEL first") && !calls.contains("prevResult"), "{calls}");
}

#[test]
fn lists_may_forbid_check_and_gc() {
    let bench = Bench::new();
    let mut object = list("1.1.0").to_json();
    object["disableCheck"] = json!(true);
    object["disableGC"] = json!("true");
    let list = NetworkList::new(object).unwrap();
    bench.runtime.add(&list, &attachment("c1")).unwrap();
    bench.calls();
    bench.runtime.check(&list, &attachment("c1")).unwrap();
    bench.runtime.gc(&list, &[]).unwrap();
    assert_eq!(bench.calls(), "");
}

#[test]
fn a_plugin_that_is_not_there_is_said() {
    let bench = Bench::new();
    let list = NetworkList::new(json!({"name": "net", "plugins": [{"type": "third"}]})).unwrap();
    let failure = bench.runtime.add(&list, &attachment("c1")).unwrap_err().to_string();
    assert!(failure.contains("failed to find plugin \"third\""), "{failure}");
}

#[test]
fn a_plugin_that_hangs_is_killed_after_the_time_limit() {
    let bench = Bench::new();
    let runtime = bench.runtime.clone().with_timeout(Duration::from_millis(200));
    let script = "#!/bin/sh\nexec sleep 600\n";
    fs::write(bench.dir.join("of-first/first"), script).unwrap();
    let failure = runtime.add(&list("1.0.0"), &attachment("c1")).unwrap_err().to_string();
    assert!(failure.starts_with("ADD: run ") && failure.contains("timed out"), "{failure}");
}

#[test]
fn what_a_plugin_leaves_behind_with_its_stdout_is_not_waited_for() {
    let bench = Bench::new();
    let script = "#!/bin/sh\nsleep 600 &\necho $! > \"${0%/*}/pid\"\necho '{}'\n";
    fs::write(bench.dir.join("of-second/second"), script).unwrap();
    let started = Instant::now();
    let result = bench.runtime.add(&list("1.0.0"), &attachment("c1")).unwrap();
    let pid = fs::read_to_string(bench.dir.join("of-second/pid")).unwrap();
    std::process::Command::new("kill").arg(pid.trim()).status().unwrap();
    assert_eq!(result, json!({"cniVersion": "1.0.0"}));
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn an_answer_that_is_no_object_is_an_error_of_the_runtime() {
    let bench = Bench::new();
    fs::write(bench.dir.join("of-first/first"), "#!/bin/sh\necho '[1'\n").unwrap();
    let failure = bench.runtime.add(&list("1.0.0"), &attachment("c1")).unwrap_err();
    assert!(failure.to_string().contains("the answer of first is not JSON"), "{failure}");
    assert_eq!((failure.plugin(), failure.object()), (None, Value::Null));
}
