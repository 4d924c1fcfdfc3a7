//! One fault made to happen, and whether what followed is as promised (`docs/reliability.md`).

use nix::errno::Errno;
use serde_json::Value;
use testsupport::Answer;

use crate::exceptions;
use crate::fault::{Command, Fault, How};
use crate::scene::{Kind, Scene};
use crate::state::State;
use crate::tracer::{self, LAUNCH, Run, Stage};

/// What `bridge` says of a delegate that dies without a word.
const NO_ANSWER: &str = "failed without an error object";

/// A host and what its states are when nothing fails.
pub(crate) struct Trial {
    scene: Scene,
    /// With nothing attached, before the first ADD.
    before: State,
    /// After an ADD and a DEL.
    after: State,
    /// While attached, with everything that differs from ADD to ADD named.
    attached: State,
}

/// What follows a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// DEL, then a fresh ADD.
    Del,
    /// ADD under the same ID.
    Retry,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The call succeeded in spite of the fault.
    Succeeded,
    /// It failed as it should.
    Failed,
    /// Killed, and all was well after.
    Killed,
    /// One of the named exceptions, with its reason.
    Excepted(&'static str),
    /// The run did not come by the place.
    NotReached,
    /// Broken promises.
    Broken(Vec<String>),
}

impl Trial {
    pub(crate) fn new(kind: Kind) -> Self {
        let scene = Scene::new(kind);
        let before = scene.state();
        let result = scene.call("ADD", "blue").run().expect_success().json();
        let attached = scene.state().renamed(&names(&result));
        scene.call("DEL", "blue").run().expect_silent_success();
        let after = scene.state();
        // What every DEL leaves would look like what was there before.
        let left = before.with(&after).without(&scene.base).mentioning("blue");
        assert!(left.is_empty(), "{kind}: an undisturbed DEL leaves\n{left}");
        scene.prepare(Command::Add);
        Self { scene, before, after, attached }
    }

    /// All system calls of a command that nothing disturbs.
    pub(crate) fn list(&self, command: Command) -> Vec<(crate::site::Site, Stage)> {
        self.scene.prepare(command);
        let run = self.traced(command, None);
        assert!(run.status == Some(0), "{}", shown(&run));
        self.scene.call("DEL", "blue").run().expect_silent_success();
        self.scene.prepare(Command::Add);
        run.sites
    }

    /// Makes one fault happen. The host is as before, or else has to be thrown away.
    pub(crate) fn run(&self, fault: &Fault, next: Next) -> (Verdict, Run) {
        self.scene.prepare(fault.command);
        let run = self.traced(fault.command, Some((&fault.site, fault.how)));
        let mut promises = Promises { trial: self, fault, run: &run, broken: Vec::new() };
        let verdict = promises.judge(next);
        let broken = promises.broken;
        let verdict = if broken.is_empty() { verdict } else { Verdict::Broken(broken) };
        (verdict, run)
    }

    fn traced(&self, command: Command, fault: Option<(&crate::site::Site, How)>) -> Run {
        let call = self.scene.call(command.word(), "blue");
        let program = testsupport::executable(self.scene.kind.plugin());
        // This very program, also when a newer one has taken its place meanwhile.
        let mut process = std::process::Command::new("/proc/self/exe");
        process.arg(LAUNCH).arg(program).env_clear();
        process.envs(call.process().get_envs().filter_map(|(name, value)| Some((name, value?))));
        tracer::run(process, &self.scene.stdin(), self.scene.host.temp_dir(), fault)
    }
}

/// The judging of one run.
struct Promises<'a> {
    trial: &'a Trial,
    fault: &'a Fault,
    run: &'a Run,
    broken: Vec<String>,
}

impl Promises<'_> {
    fn judge(&mut self, next: Next) -> Verdict {
        if self.run.hung {
            self.broken.push(format!("did not end within {:?}", self.run.took));
            return Verdict::Failed;
        }
        if !self.run.reached {
            self.del();
            return Verdict::NotReached;
        }
        match self.fault.how {
            How::Kill | How::KillAfter if self.fault.site.in_plugin() => self.killed(next),
            how => self.answered(how),
        }
    }

    fn killed(&mut self, next: Next) -> Verdict {
        let made = serde_json::from_slice::<Value>(&self.run.stdout).is_ok();
        if next == Next::Retry && self.fault.command == Command::Add {
            let retried = self.trial.scene.call("ADD", "blue").run();
            match retried.status() {
                Some(0) => self.expect_attached(&retried.json(), "blue"),
                // It was told of what is made; a second ADD is a duplicate.
                _ if made || exceptions::retry_is_refused(self.fault, &retried) => {}
                _ => self.broken.push(format!("ADD again failed: {retried}")),
            }
        }
        self.del();
        self.expect_nothing_left(&[&self.trial.before, &self.trial.after], "after DEL");
        if next == Next::Del {
            // A chained plugin knows it by the host interface, which another ID would name otherwise.
            let id = if self.fault.kind.is_chained() { "blue" } else { "blue-again" };
            let again = self.trial.scene.call("ADD", id).run();
            match again.status() {
                Some(0) => self.expect_attached(&again.json(), id),
                _ => self.broken.push(format!("a fresh ADD failed: {again}")),
            }
            let del = self.trial.scene.call("DEL", id).run();
            self.expect_silent(&del, "DEL of the fresh ADD");
            self.expect_nothing_left(&[&self.trial.before, &self.trial.after], "in the end");
        }
        Verdict::Killed
    }

    /// The plugin lived on: it succeeded, or said what failed and left nothing.
    fn answered(&mut self, how: How) -> Verdict {
        if !self.run.outlived.is_empty() {
            self.broken.push(format!("left running: {}", self.run.outlived.join(", ")));
        }
        let verdict = match self.run.status {
            Some(0) => {
                let before = self.broken.len();
                self.succeeded();
                match exceptions::is_hidden_by_a_program(self.fault) {
                    Some(reason) if self.broken.len() > before => {
                        self.broken.truncate(before);
                        Verdict::Excepted(reason)
                    }
                    _ => Verdict::Succeeded,
                }
            }
            _ => match exceptions::dies_starting(self.fault, self.run) {
                Some(reason) => Verdict::Excepted(reason),
                None => {
                    self.expect_error(how);
                    Verdict::Failed
                }
            },
        };
        if self.run.status != Some(0) && self.fault.command == Command::Add {
            // Files and tables that stay for the next container may be there already.
            let kept = self.trial.before.with(&self.trial.after.common());
            self.expect_nothing_left(&[&self.trial.before, &kept], "after the failed ADD");
        }
        self.del();
        self.expect_nothing_left(&[&self.trial.before, &self.trial.after], "after DEL");
        verdict
    }

    fn succeeded(&mut self) {
        match (self.fault.command, serde_json::from_slice::<Value>(&self.run.stdout)) {
            (Command::Add, Ok(result)) => self.expect_attached(&result, "blue"),
            (Command::Add, Err(error)) => self.broken.push(format!("ADD's answer: {error}")),
            (Command::Del, _) if self.run.stdout.is_empty() => {
                self.expect_nothing_left(&[&self.trial.before, &self.trial.after], "after success");
            }
            (Command::Del, _) => self.broken.push("DEL printed something".to_owned()),
        }
    }

    /// CHECK passes, and everything is as after an ADD that nothing disturbed.
    fn expect_attached(&mut self, result: &Value, id: &str) {
        let check = self.trial.scene.check(id, result);
        self.expect_silent(&check, "CHECK");
        let mut names = names(result);
        names.push((id.to_owned(), "blue".to_owned()));
        let state = self.trial.scene.state().renamed(&names);
        let difference = state.difference(&[&self.trial.attached]);
        if !difference.is_empty() && !exceptions::is_passed_over(self.fault, &difference) {
            self.broken
                .push(format!("attached otherwise than by an undisturbed ADD:\n{difference}"));
        }
    }

    fn expect_silent(&mut self, answer: &Answer, what: &str) {
        if answer.status() != Some(0) || !answer.stdout().is_empty() {
            self.broken.push(format!("{what}: {answer}"));
        }
    }

    fn expect_nothing_left(&mut self, allowed: &[&State], when: &str) {
        let difference = self.trial.scene.state().difference(allowed);
        if !difference.is_empty() {
            self.broken.push(format!("{when}, other than before:\n{difference}"));
        }
    }

    /// Exit status 1, one valid error object, and what failed in its text.
    fn expect_error(&mut self, how: How) {
        let object: Value = serde_json::from_slice(&self.run.stdout).unwrap_or_default();
        let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
        let said = format!("{} {}", text("msg"), text("details"));
        let valid = object["code"].as_u64().is_some_and(|code| code > 0);
        if self.run.status != Some(1) || !valid || text("msg").is_empty() {
            self.broken.push(format!("no valid error: {}", shown(self.run)));
            return;
        }
        let named = match how {
            _ if exceptions::is_said_by_a_program(self.fault, &said) => true,
            How::Kill | How::KillAfter => said.contains("signal: 9"),
            How::Fail(Errno::EINTR) => {
                self.broken.push(format!("an interruption is reported: {said}"));
                return;
            }
            // All that the plugin can know of a delegate that never came to its own code.
            How::Fail(_) if said.contains(NO_ANSWER) => {
                exceptions::is_starting(self.fault, self.run)
            }
            How::Fail(errno) => names_error(&said, &self.fault.site.call, errno),
        };
        if !named {
            self.broken.push(format!("the text does not name what failed: {said}"));
        }
    }

    fn del(&mut self) {
        let answer = self.trial.scene.call("DEL", "blue").run();
        self.expect_silent(&answer, "DEL");
    }
}

/// Whether a text names an error, by its name or as the C library says it.
fn names_error(text: &str, call: &str, errno: Errno) -> bool {
    let said = |errno: Errno| {
        let system = std::io::Error::from(errno).to_string();
        text.contains(&format!("{errno:?}")) || text.contains(&system)
    };
    // The C library reports whatever keeps it from making a thread as one error, and the standard
    // library whatever keeps it from making room.
    let for_a_thread = matches!(call, "mmap" | "mprotect" | "clone3");
    let for_room = call == "mmap" && said(Errno::ENOMEM);
    // The standard library asks whether what is in a new folder's way is a folder, and says that
    // something is.
    let for_a_folder = call == "statx";
    said(errno)
        || for_room
        || for_a_thread && said(Errno::EAGAIN)
        || for_a_folder && said(Errno::EEXIST)
}

/// What differs from ADD to ADD, with a name for each: addresses, and hardware addresses.
fn names(result: &Value) -> Vec<(String, String)> {
    let mut names = Vec::new();
    for (number, ip) in result["ips"].as_array().into_iter().flatten().enumerate() {
        let address = ip["address"].as_str().unwrap_or_default();
        let bare = address.split('/').next().unwrap_or_default();
        names.push((bare.to_owned(), format!("ADDRESS{number}")));
    }
    for (number, link) in result["interfaces"].as_array().into_iter().flatten().enumerate() {
        let mac = link["mac"].as_str().unwrap_or_default();
        names.push((mac.to_owned(), format!("MAC{number}")));
        if number == 1 {
            names.push((link["name"].as_str().unwrap_or_default().to_owned(), "VETH".to_owned()));
        }
    }
    names.retain(|(name, _)| !name.is_empty());
    names
}

/// How a traced run ended, for messages.
pub(crate) fn shown(run: &Run) -> String {
    let status = run.status.map_or("a signal".to_owned(), |status| format!("exit status {status}"));
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    format!("{status}; stdout {:?}; stderr {:?}", out.trim(), err.trim())
}
