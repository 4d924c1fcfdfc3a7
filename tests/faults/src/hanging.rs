//! An IPAM plugin that never ends, which takes a minute to find out: run beside everything else. What
//! else a delegate may do is in `plugins/bridge/tests/kernel/delegate.rs`.

use std::fs;
use std::path::PathBuf;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testsupport::{Answer, Call, Container, Host, bin_dir, write_program};

use crate::state::State;

/// The documented limit of one call of a delegate (`docs/reliability.md`).
const DELEGATE: Duration = Duration::from_secs(60);
/// The kubelet's, which whatever happens must stay below.
const KUBELET: Duration = Duration::from_secs(240);
/// What this machine may need besides.
const SLACK: Duration = Duration::from_secs(30);

/// Which of the delegate's commands hang, and of which of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Case {
    /// Its ADD: our ADD fails after one limit.
    Add,
    /// Its DEL: our DEL fails after one limit, and a later one succeeds.
    Del,
    /// All: our ADD fails after three limits, its own and two tries to take the lease back.
    All,
}

impl Case {
    /// Those that are over within two minutes.
    pub(crate) const BOUNDED: [Self; 2] = [Self::Add, Self::Del];
    /// All of them.
    pub(crate) const FULL: [Self; 3] = [Self::Add, Self::Del, Self::All];
}

/// Starts the cases, each on a host of its own.
pub(crate) fn start<'scope, 'env>(
    scope: &'scope thread::Scope<'scope, 'env>,
    cases: &[Case],
) -> Vec<(Case, ScopedJoinHandle<'scope, Result<Duration, String>>)> {
    let begin = |case: &Case| {
        let case = *case;
        (case, scope.spawn(move || Place::new(case).try_it()))
    };
    cases.iter().map(begin).collect()
}

/// Waits for them and prints how they went; whether all is well.
pub(crate) fn finish(started: Vec<(Case, ScopedJoinHandle<'_, Result<Duration, String>>)>) -> bool {
    let mut fine = true;
    for (case, running) in started {
        match running.join().expect("a host's thread") {
            Ok(took) => println!("delegate hangs, {case:?}: as promised after {took:.1?}"),
            Err(broken) => {
                println!("\nFAILED delegate hangs, {case:?}\n  {broken}");
                fine = false;
            }
        }
    }
    fine
}

struct Place {
    case: Case,
    host: Host,
    blue: Container,
    folder: PathBuf,
}

impl Place {
    fn new(case: Case) -> Self {
        let host = Host::new();
        host.run(["sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0"]);
        let blue = host.container("blue");
        let folder = host.temp_dir().join("ipam");
        fs::create_dir(&folder).expect("create the stand-in's folder");
        Self { case, host, blue, folder }
    }

    /// A stand-in that hangs at `command`, and does as it should at all others.
    fn hang_at(&self, command: &str) {
        let result = json!({ "cniVersion": "1.0.0", "ips": [{ "address": "10.1.0.2/16" }] });
        let script = format!(
            "#!/bin/sh\ntrap '' TERM\ncase $CNI_COMMAND in {command}) exec sleep 1000 ;; esac\n\
             [ \"$CNI_COMMAND\" != ADD ] || echo '{result}'\n"
        );
        let path = self.folder.join("stand-in");
        write_program(&path, &script);
    }

    fn call(&self, command: &str) -> (Answer, Duration) {
        let config = json!({
            "cniVersion": "1.0.0", "name": "net", "type": "bridge", "bridge": "cni0",
            "isGateway": true, "ipMasq": true, "ipMasqBackend": "nftables",
            "ipam": { "type": "stand-in" },
        });
        let path = format!("{}:{}", self.folder.display(), bin_dir().display());
        let call = Call::new("bridge").command(command).container_id("blue").netns(&self.blue);
        let call = call.ifname("eth0").env("CNI_PATH", path).config(config);
        let start = Instant::now();
        let answer = call.limit(KUBELET).run();
        (answer, start.elapsed())
    }

    fn try_it(&self) -> Result<Duration, String> {
        // Tables and settings that stay are there from now on.
        self.hang_at("nothing");
        self.call("ADD").0.expect_success();
        if !matches!(self.case, Case::Del) {
            self.call("DEL").0.expect_silent_success();
        }
        let before = State::of(&self.host, &[]);
        let (command, hangs, limits) = match self.case {
            Case::Add => ("ADD", "ADD", 1),
            Case::Del => ("DEL", "DEL", 1),
            Case::All => ("ADD", "ADD|DEL", 3),
        };
        self.hang_at(hangs);
        let (answer, took) = self.call(command);
        let limit = DELEGATE * limits;
        if took < limit || took > limit + SLACK || took > KUBELET {
            return Err(format!("took {took:?}, not {limit:?} and a little: {answer}"));
        }
        let object: Value = serde_json::from_str(&answer.stdout()).unwrap_or_default();
        let message = object["msg"].as_str().unwrap_or_default();
        if answer.status() != Some(1) || !message.contains("did not end within 60 s") {
            return Err(format!("does not say what hung: {answer}"));
        }
        if matches!(self.case, Case::Del) {
            self.hang_at("nothing");
            self.call("DEL").0.expect_silent_success();
            return Ok(took);
        }
        match State::of(&self.host, &[]).difference(&[&before]) {
            left if left.is_empty() => Ok(took),
            left => Err(format!("left:\n{left}")),
        }
    }
}
