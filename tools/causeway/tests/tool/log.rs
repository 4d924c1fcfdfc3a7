//! `causeway log`: what plugins have written down, as a person and a program read it.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::node::{Node, attachment, pods, tool};

/// Longer than anything takes that is waited for.
const SOON: Duration = Duration::from_secs(20);

/// A node whose plugins log into one file.
fn logging() -> (Node, PathBuf) {
    let mut pods = pods();
    let node = Node::new(&[]);
    let path = node.host.temp_dir().join("log");
    for plugin in pods["plugins"].as_array_mut().unwrap() {
        plugin["logFile"] = json!(path);
    }
    fs::write(node.conf_dir().join("00-pods.conflist"), pods.to_string()).unwrap();
    (node, path)
}

/// A call of one line.
fn ended(call: &str, container: &str) -> String {
    let keys = json!({"time": "now", "call": call, "plugin": "bridge", "command": "ADD", "network": "pods",
        "container": container, "kind": "end", "id": 0, "duration_us": 5, "outcome": "ok"});
    format!("{{\"causeway\":1,{}\n", keys.to_string().strip_prefix('{').unwrap())
}

#[test]
fn calls_are_trees_of_steps() {
    let (node, _) = logging();
    let (web, _) = node.attach("pods", "web");
    let text = node.text(&["log"], 0);
    let calls: Vec<&str> = text.lines().filter(|line| line.starts_with("20")).collect();
    let [bridge, portmap] = calls.as_slice() else { panic!("{text}") };
    assert!(
        bridge.contains("Z bridge ADD pods/web/eth0 (") && bridge.contains("): ok, "),
        "{bridge}"
    );
    assert!(portmap.contains("Z portmap ADD pods/web/eth0 ("), "{portmap}");
    assert!(
        text.contains("│  └─ host-local ADD\n")
            && text.contains("│     ├─ read the configuration\n"),
        "{text}"
    );
    assert!(text.contains(" ├─ masquerade 10.85.0.2/16 by nftables\n"), "{text}");
    assert!(text.contains('█') && !text.contains('\u{1b}'), "{text}");
    // The second ADD is refused.
    node.runtime.add(&node.list("pods"), &attachment(&web)).unwrap_err();
    let failed = node.text(&["log", "--failed"], 0);
    assert_eq!(
        failed.lines().filter(|line| line.contains("failed with code 101: ")).count(),
        1,
        "{failed}"
    );
    assert!(!failed.contains("): ok"), "{failed}");
}

#[test]
fn calls_can_be_chosen_and_are_objects_for_programs() {
    let (node, path) = logging();
    let (_web, _) = node.attach("pods", "web");
    let (_db, _) = node.attach("pods", "db");
    let objects = |words: &[&str]| -> Vec<Value> {
        let text = node.text(&[&["log", "--json"], words].concat(), 0);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = objects(&[]);
    assert_eq!(all.len(), 4);
    let whose: Vec<_> = all.iter().map(|one| (&one["plugin"], &one["container"])).collect();
    assert_eq!(
        json!(whose),
        json!([["bridge", "web"], ["portmap", "web"], ["bridge", "db"], ["portmap", "db"]])
    );
    for call in &all {
        assert_eq!((&call["version"], &call["outcome"]), (&json!(1), &json!("ok")));
        let lines = call["lines"].as_array().unwrap();
        assert_eq!(
            (&lines[0]["kind"], &lines.last().unwrap()["kind"]),
            (&json!("begin"), &json!("end"))
        );
    }
    assert_eq!(objects(&["--container", "d"]).len(), 2);
    assert_eq!(objects(&["--network", "pods"]).len(), 4);
    assert_eq!(objects(&["--network", "others"]).len(), 0);
    assert_eq!(objects(&["--failed"]).len(), 0);
    // A call that was killed has no end.
    let text = fs::read_to_string(&path).unwrap();
    let cut: Vec<&str> = text.lines().take(3).collect();
    fs::write(&path, cut.join("\n") + "\n").unwrap();
    let killed = objects(&["--failed"]);
    assert_eq!((killed.len(), &killed[0]["outcome"]), (1, &Value::Null));
    assert!(node.text(&["log"], 0).contains("no end: killed, or at work"));
}

#[test]
fn lines_of_calls_at_once_are_told_apart_and_damaged_ones_named() {
    let (node, path) = logging();
    let (one, two) = (ended("1", "one"), ended("2", "two"));
    let begin =
        |line: &str| line.replace("\"end\"", "\"begin\"").replace("\"outcome\":\"ok\"", "\"x\":1");
    let half = &one[..30];
    let text = format!(
        "{}{}nonsense\n{half}{two}\u{0}\n{one}{{\"causeway\":2}}\n",
        begin(&one),
        begin(&two)
    );
    fs::write(&path, [text.as_bytes(), b"\xff\xfe\n{\"causeway\":1,"].concat()).unwrap();
    let finished = node.tool(&["log"]);
    assert_eq!(finished.status, Some(0), "{finished}");
    let shown = String::from_utf8(finished.stdout.clone()).unwrap();
    let heads: Vec<&str> = shown.lines().collect();
    assert_eq!(
        heads,
        ["now bridge ADD pods/two (0): ok, 5 µs", "now bridge ADD pods/one (0): ok, 5 µs"]
    );
    let stderr = String::from_utf8_lossy(&finished.stderr).into_owned();
    assert!(
        stderr.contains("6 damaged: line 3: ")
            && stderr.contains("line 4: a line that was not written to its end"),
        "{stderr}"
    );
    assert!(stderr.contains("; and 1 more"), "{stderr}");
}

#[test]
fn a_log_that_is_not_there_is_said_to_be_so() {
    let node = Node::new(&[pods()]);
    let finished = node.tool(&["log"]);
    assert_eq!(finished.status, Some(8), "{finished}");
    assert!(String::from_utf8_lossy(&finished.stderr).contains("names a logFile"), "{finished}");
    let (node, path) = logging();
    for words in [
        &["log"][..],
        &["log", "--file", "/no/log"],
        &["log", "--file", "/"],
        &["log", "--follow", "--file", "/no/log"],
    ] {
        assert_eq!(node.tool(words).status, Some(8), "{words:?}");
    }
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for words in [&["log"][..], &["log", "--follow"]] {
        let finished = node.tool(words);
        assert_eq!(finished.status, Some(8), "{finished}");
        assert!(String::from_utf8_lossy(&finished.stderr).contains("is not a file"), "{finished}");
    }
}

/// The tool, following; killed when the test is over.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn start(path: &Path) -> Self {
        let mut command = Command::new(tool());
        command.args(["log", "--follow", "--file"]).arg(path);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            stdout.lines().map_while(Result::ok).all(|line| send.send(line).is_ok())
        });
        // It sleeps when it is ready.
        for _ in 0..1000 {
            let wchan =
                fs::read_to_string(format!("/proc/{}/syscall", child.id())).unwrap_or_default();
            // poll or ppoll.
            if wchan.starts_with("7 ") || wchan.starts_with("271 ") || wchan.starts_with("73 ") {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        Self { child, lines }
    }

    #[track_caller]
    fn next(&self) -> String {
        self.lines.recv_timeout(SOON).unwrap()
    }

    /// The signal that ended it, or else its exit status.
    fn ended(&mut self) -> (Option<i32>, Option<i32>) {
        for _ in 0..2000 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.signal(), status.code());
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("it goes on");
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn following_tells_what_comes_through_every_rotation() {
    let (node, path) = logging();
    append(&path, &ended("0", "before"));
    let following = Following::start(&path);
    let (first, second) = (ended("1", "first"), ended("2", "second"));
    // A line that comes in two parts.
    let (half, rest) = first.split_at(50);
    append(&path, half);
    thread::sleep(Duration::from_millis(100));
    append(&path, rest);
    assert!(following.next().contains("pods/first "));
    // Renamed, written to once more, and made anew.
    let old = node.host.temp_dir().join("log.1");
    fs::rename(&path, &old).unwrap();
    append(&old, &second);
    append(&path, &ended("3", "third"));
    assert!(following.next().contains("pods/second "));
    assert!(following.next().contains("pods/third "));
    // Emptied.
    OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
    thread::sleep(Duration::from_millis(200));
    append(&path, &ended("4", "fourth"));
    assert!(following.next().contains("pods/fourth "));
    // Removed, and made anew later.
    fs::remove_file(&path).unwrap();
    thread::sleep(Duration::from_millis(200));
    append(&path, &ended("5", "fifth"));
    assert!(following.next().contains("pods/fifth "));
    let stat = fs::read_to_string(format!("/proc/{}/stat", following.child.id())).unwrap();
    let ticks: Vec<u64> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|n| n.parse().unwrap())
        .collect();
    assert!(ticks.iter().sum::<u64>() < 50, "it waits without work: {ticks:?}");
}

#[test]
fn following_begins_before_there_is_a_log() {
    let (_node, path) = logging();
    let following = Following::start(&path);
    append(&path, &ended("1", "first"));
    assert!(following.next().contains("pods/first "));
}

#[test]
fn following_ends_with_its_reader_and_by_a_signal() {
    let (_node, path) = logging();
    let mut following = Following::start(&path);
    let pid = following.child.id().to_string();
    // Not SIGINT: what a shell starts in the background ignores that, and so does all that is started by it.
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(following.ended(), (Some(15), None));
    // The reader goes while nothing is told.
    let mut command = Command::new(tool());
    command
        .args(["log", "--follow", "--file"])
        .arg(&path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    thread::sleep(Duration::from_millis(300));
    drop(child.stdout.take());
    let (_, lines) = channel();
    let mut following = Following { child, lines };
    assert_eq!(following.ended(), (None, Some(0)));
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
}

#[test]
fn numbers_of_the_log_are_among_the_metrics() {
    let (node, path) = logging();
    let (web, _) = node.attach("pods", "web");
    node.runtime.add(&node.list("pods"), &attachment(&web)).unwrap_err();
    append(&path, "nonsense\n");
    let text = node.text(&["metrics"], 0);
    for line in [
        "causeway_logged_calls{plugin=\"bridge\",command=\"ADD\",outcome=\"ok\",code=\"0\"} 1",
        "causeway_logged_calls{plugin=\"bridge\",command=\"ADD\",outcome=\"failed\",code=\"101\"} 1",
        "causeway_logged_calls{plugin=\"host-local\",command=\"ADD\",outcome=\"ok\",code=\"0\"} 1",
        "causeway_logged_calls{plugin=\"portmap\",command=\"ADD\",outcome=\"ok\",code=\"0\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    assert!(text.contains("\ncauseway_logged_call_seconds{plugin=\"bridge\",command=\"ADD\",quantile=\"0.99\"} 0.0"), "{text}");
    // Neither is a log that is no file.
    fs::remove_file(&path).unwrap();
    assert!(!node.text(&["metrics"], 0).contains("causeway_logged"));
    fs::create_dir(&path).unwrap();
    assert!(node.text(&["metrics"], 0).contains("causeway_attachments"));
}
