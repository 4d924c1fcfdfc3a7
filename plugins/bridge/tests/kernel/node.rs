//! A host with a `bridge` network, and a stand-in for its IPAM plugin: a script that prints what the
//! test says and notes its calls.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testsupport::{Answer, Call, Container, Host, bin_dir, write_program};

/// What the stand-in does unless a test writes another.
const STAND_IN: &str = r#"#!/bin/sh
dir=${0%/*}
echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME" >> "$dir/calls"
cat > "$dir/stdin.$CNI_COMMAND"
[ "$CNI_COMMAND" = ADD ] || exit 0
if [ -e "$dir/result.$CNI_CONTAINERID" ]; then
    cat "$dir/result.$CNI_CONTAINERID"
else
    cat "$dir/result"
fi
"#;

/// The host and its stand-in, `ipam.type` `stand-in`.
pub(crate) struct Node {
    pub(crate) host: Host,
    dir: PathBuf,
}

impl Node {
    /// A host whose IPAM gives `addresses`, to whomever it is.
    pub(crate) fn giving(addresses: &[&str]) -> Self {
        let host = Host::new();
        let dir = host.temp_dir().join("ipam");
        fs::create_dir(&dir).unwrap();
        // A link-local address that is still probed for shows up a second later.
        host.run(["sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0"]);
        let node = Self { host, dir };
        node.write_ipam(STAND_IN);
        node.answer(&ips(addresses));
        node
    }

    /// Replaces the stand-in.
    pub(crate) fn write_ipam(&self, script: &str) {
        write_program(self.dir.join("stand-in"), script);
    }

    /// Where the stand-in and its notes lie.
    pub(crate) fn ipam_dir(&self) -> &Path {
        &self.dir
    }

    /// Sets what the stand-in prints for ADD.
    pub(crate) fn answer(&self, result: &Value) {
        fs::write(self.dir.join("result"), result.to_string()).unwrap();
    }

    /// Sets what it prints for one container.
    pub(crate) fn answer_to(&self, container: &str, result: &Value) {
        let path = self.dir.join(format!("result.{container}"));
        fs::write(path, result.to_string()).unwrap();
    }

    /// The stand-in's calls so far: command, container, interface; cleared by this.
    pub(crate) fn calls(&self) -> Vec<String> {
        let path = self.dir.join("calls");
        let text = fs::read_to_string(&path).unwrap_or_default();
        fs::remove_file(&path).ok();
        text.lines().map(str::to_owned).collect()
    }

    /// A call about `container`'s `eth0`, without a configuration.
    pub(crate) fn call(&self, command: &str, container: &Container) -> Call {
        let path = format!("{}:{}", self.dir.display(), bin_dir().display());
        let call = Call::new("bridge").command(command).container_id(container.name());
        call.netns(container).ifname("eth0").env("CNI_PATH", path)
    }

    /// Runs a command with a configuration.
    pub(crate) fn run(&self, command: &str, container: &Container, config: &Value) -> Answer {
        self.call(command, container).config(config).run()
    }

    /// ADD, which must succeed: its result.
    #[track_caller]
    pub(crate) fn add(&self, container: &Container, config: &Value) -> Value {
        self.run("ADD", container, config).expect_success().json()
    }

    /// ADD, which must fail with `code`: its message.
    #[track_caller]
    pub(crate) fn add_fails(&self, container: &Container, config: &Value, code: u64) -> String {
        self.run("ADD", container, config).expect_error(code)
    }

    /// ADD, which must fail with `code` and leave everything as it was: its message.
    #[track_caller]
    pub(crate) fn add_leaves_nothing(
        &self,
        container: &Container,
        config: &Value,
        code: u64,
    ) -> String {
        let before = self.snapshot(container);
        let message = self.add_fails(container, config, code);
        assert_same(&before, &self.snapshot(container));
        message
    }

    /// DEL, which must succeed.
    #[track_caller]
    pub(crate) fn del(&self, container: &Container, config: &Value) {
        self.run("DEL", container, config).expect_silent_success();
    }

    /// CHECK of what an ADD with `config` answered.
    pub(crate) fn check(&self, container: &Container, config: &Value, result: &Value) -> Answer {
        self.run("CHECK", container, &with(config, &json!({"prevResult": result})))
    }

    /// Everything that an attachment touches, as text: of the host, and of `container`.
    pub(crate) fn snapshot(&self, container: &Container) -> String {
        let files = ["/run/netns", "/var/lib/cni", "/etc/netns"].map(|dir| {
            let found = self.host.finish(["find", dir]);
            String::from_utf8_lossy(&found.stdout).into_owned()
        });
        let forwarding = forwarding(&self.host);
        let inside = container.finish(["true"]).status.map_or_else(String::new, |status| {
            if status == 0 { settled(&container.state()) } else { String::new() }
        });
        [settled(&self.host.state()), inside, files.concat(), forwarding].join("\n====\n")
    }

    /// Whether the host has a link of this name.
    pub(crate) fn has_link(&self, name: &str) -> bool {
        self.host.finish(["ip", "link", "show", name]).status == Some(0)
    }
}

/// Forwarding of IPv4 and IPv6, as the kernel shows it.
pub(crate) fn forwarding(host: &Host) -> String {
    host.run(["sysctl", "-n", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"])
}

/// `ip`'s text without what changes by itself up to two seconds later: the timers of a bridge, its
/// carrier with the mark of it on routes, and what the kernel gives it with the carrier: an address, and
/// routes.
fn settled(state: &str) -> String {
    let mut kept = Vec::new();
    let with_carrier = ["fe80:", "ff00::/8"];
    for line in state.lines().filter(|line| with_carrier.iter().all(|one| !line.contains(one))) {
        let line = line.replace("NO-CARRIER,", "").replace(",LOWER_UP", "");
        let mut words = line.split_whitespace();
        while let Some(word) = words.next() {
            if word.ends_with("_timer") || word == "state" {
                words.next();
            } else if word != "linkdown" {
                kept.push(word.to_owned());
            }
        }
        kept.push("\n".to_owned());
    }
    kept.join(" ")
}

/// A configuration of the network `net` on bridge `br0` with the stand-in as IPAM, and of `keys`.
pub(crate) fn config(keys: Value) -> Value {
    let base = json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bridge", "bridge": "br0",
        "ipam": {"type": "stand-in"},
    });
    with(&base, &keys)
}

/// `base` with the keys of `more` over its own; a `null` removes one.
pub(crate) fn with(base: &Value, more: &Value) -> Value {
    let mut merged = base.clone();
    for (key, value) in more.as_object().unwrap() {
        match value {
            Value::Null => drop(merged.as_object_mut().unwrap().remove(key)),
            _ => merged[key] = value.clone(),
        }
    }
    merged
}

/// An IPAM result of `addresses`, in the form of 1.0.0.
pub(crate) fn ips(addresses: &[&str]) -> Value {
    let ips: Vec<Value> = addresses.iter().map(|address| json!({"address": address})).collect();
    json!({"cniVersion": "1.0.0", "ips": ips})
}

/// The name of the host end in a result.
pub(crate) fn host_end(result: &Value) -> String {
    result["interfaces"][1]["name"].as_str().unwrap().to_owned()
}

/// Fails the test with the lines that differ.
#[track_caller]
pub(crate) fn assert_same(before: &str, after: &str) {
    let only_in = |a: &str, b: &str| -> Vec<String> {
        a.lines().filter(|line| !b.lines().any(|other| other == *line)).map(str::to_owned).collect()
    };
    let (gone, new) = (only_in(before, after), only_in(after, before));
    assert!(before == after, "gone: {gone:#?}\nnew: {new:#?}");
}

/// Asserts that a message says all of `parts`.
#[track_caller]
pub(crate) fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}
