//! Thousands of inputs made from valid and refused configurations by random changes, the same in each
//! run. Whatever an input is, the contract is: exit status 0 with a result, a CHECK that passes and a DEL
//! that takes all of it away again, or exit status 1 with one error object and nothing changed.
//!
//! `CAUSEWAY_SEED` chooses other changes; a failure shows the input that it is about.

mod inputs;

use std::fs;

use serde_json::Value;
use testsupport::{Answer, Numbers};

use crate::stage::Stage;
use inputs::{Input, configurations, make, odd_values};

/// How many inputs per plugin, unless `CAUSEWAY_INPUTS` says: together some twenty seconds.
const INPUTS: usize = 1_000;

/// The number in a variable, if it is there.
fn set<T: std::str::FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

/// The links and leases of the host: cheap enough to be looked at after every input.
fn glance() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["/sys/class/net", "/var/lib/cni/networks"] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            for inner in fs::read_dir(&path)
                .into_iter()
                .flatten()
                .flatten()
                .filter(|_| folder.starts_with("/var"))
            {
                let name = inner.file_name().to_string_lossy().into_owned();
                if name.parse::<std::net::IpAddr>().is_ok() {
                    found.push(inner.path().display().to_string());
                }
            }
            if folder.starts_with("/sys") {
                found.push(path.display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// Whether stdout is a result of ADD, or nothing for the commands that print nothing.
fn is_answer(answer: &Answer) -> bool {
    answer.stdout().is_empty() || answer.json()["cniVersion"].is_string()
}

/// One input put to a plugin.
struct Trial<'a> {
    stage: &'a Stage,
    plugin: &'a str,
    input: Input,
    /// What finds the input again.
    number: String,
    /// Whether the packet filter is looked at afterwards.
    looks_at_rules: bool,
}

impl Trial<'_> {
    fn call(&self, command: &str) -> Answer {
        self.call_with(command, self.input.stdin.clone())
    }

    /// The same configuration with the result of ADD, as runtimes call CHECK; `None` where that has no CHECK.
    fn checked(&self, result: Value) -> Option<Answer> {
        let mut config: Value = serde_json::from_slice(&self.input.stdin).ok()?;
        let has_check = ["0.4.0", "1.0.0", "1.1.0"].contains(&result["cniVersion"].as_str()?);
        config.as_object_mut()?.retain(|key, _| !key.eq_ignore_ascii_case("prevResult"));
        config["prevResult"] = result;
        // With such an MTU the kernel takes the interface's IPv4 away, settings and all.
        let has_ipv4 = config["mtu"].as_f64().is_none_or(|mtu| mtu <= 0.0 || mtu >= 68.0);
        (has_check && has_ipv4).then(|| self.call_with("CHECK", config.to_string().into_bytes()))
    }

    fn call_with(&self, command: &str, stdin: Vec<u8>) -> Answer {
        let call = self.stage.call(self.plugin, command).stdin(stdin);
        let call = match &self.input.variable {
            Some((name, value)) if *name != "CNI_COMMAND" || command == "ADD" => {
                call.env(name, value)
            }
            _ => call,
        };
        call.run()
    }

    /// Whether ADD took it; either way nothing is left at the end.
    fn was_taken(&self) -> bool {
        let before = glance();
        let answer = self.call("ADD");
        let Input { stdin, variable } = &self.input;
        let stdin = String::from_utf8_lossy(stdin);
        let shown = format!("{} {}: {variable:?}\n{stdin}\n{answer}", self.plugin, self.number);
        let is_add = !matches!(variable, Some(("CNI_COMMAND", _)));
        match answer.status() {
            Some(0) => assert!(is_answer(&answer), "{shown}"),
            Some(1) => {
                let object = answer.json();
                let code = object["code"].as_u64().unwrap_or(999);
                assert!(code != 999 && object["msg"].is_string(), "{shown}");
            }
            _ => panic!("{shown}"),
        }
        let taken = answer.status() == Some(0) && is_add;
        if taken {
            let check =
                (!answer.stdout().is_empty()).then(|| self.checked(answer.json())).flatten();
            let is_found = check.as_ref().is_none_or(|check| check.status() == Some(0));
            assert!(is_found, "{shown}\nCHECK: {}", check.unwrap());
            let del = self.call("DEL");
            let is_quiet = del.status() == Some(0) && del.stdout().is_empty();
            assert!(is_quiet, "{shown}\nDEL: {del}");
        }
        let after = glance();
        // A bridge that was made stays for others.
        let is_left = |path: &&String| {
            !before.contains(*path)
                && (!taken || path.contains("/veth") || path.starts_with("/var"))
        };
        let left: Vec<&String> = after.iter().filter(is_left).collect();
        assert!(left.is_empty(), "{left:?} is left\n{shown}");
        assert!(before.iter().all(|path| after.contains(path)), "something is gone\n{shown}");
        if self.looks_at_rules {
            let rules = self.stage.rules();
            // The chains of iptables' own that others may use stay.
            let left = rules.to_lowercase().contains("causeway");
            assert!(!left, "left in the packet filter:\n{rules}\n{shown}");
        }
        taken
    }
}

fn run(plugin: &str, folders: &[&str]) {
    let stage = Stage::new();
    let mut configs: Vec<Value> =
        folders.iter().flat_map(|folder| configurations(folder, plugin)).collect();
    let mut usual = stage.config(plugin);
    if let Some(ipam) = usual.get_mut("ipam").and_then(Value::as_object_mut) {
        ipam.remove("dataDir");
    }
    configs.extend(vec![usual; configs.len() + 1]);
    let seed = set("CAUSEWAY_SEED").unwrap_or(1);
    let mut numbers = Numbers::new(seed);
    let inputs = set("CAUSEWAY_INPUTS").unwrap_or(INPUTS);
    let odd = odd_values();
    let empty = stage.container.state();
    let mut taken = 0;
    for number in 0..inputs {
        let input = make(&mut numbers, &configs, &odd);
        // What is left stays: it need not be looked for after each.
        let looks_at_rules = number.is_multiple_of(20) || number + 1 == inputs;
        let number = format!("input {number} of seed {seed}");
        let trial = Trial { stage: &stage, plugin, input, number, looks_at_rules };
        taken += usize::from(trial.was_taken());
    }
    // `lo` may be up or down now; nothing else may be in the container.
    let links = |state: &str| state.lines().filter(|line| line.contains("eth0")).count();
    assert_eq!(links(&empty), links(&stage.container.state()));
    assert!((inputs / 50..inputs * 19 / 20).contains(&taken), "{taken} were taken");
}

#[test]
fn inputs_of_bridge() {
    run("bridge", &["testdata/bridge/invalid", "testdata/bridge/plan", "testdata/callers"]);
}

#[test]
fn inputs_of_host_local() {
    run(
        "host-local",
        &["testdata/callers", "testdata/host-local/conf", "testdata/host-local/invalid"],
    );
}

#[test]
fn inputs_of_static() {
    run("static", &["testdata/callers"]);
}

#[test]
fn inputs_of_tuning() {
    run("tuning", &[]);
}

#[test]
fn inputs_of_bandwidth() {
    run("bandwidth", &[]);
}

#[test]
fn inputs_of_portmap() {
    run("portmap", &[]);
}

#[test]
fn inputs_of_firewall() {
    run("firewall", &[]);
}

#[test]
fn inputs_of_loopback() {
    run("loopback", &[]);
}
