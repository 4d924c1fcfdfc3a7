//! One run of a plugin's executable.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::container::Container;
use crate::executable::{bin_dir, executable};
use crate::process::{self, Finished};

/// A call to be made of a plugin: nothing of the test's own environment reaches it but `PATH`.
#[derive(Clone, Debug)]
pub struct Call {
    program: OsString,
    variables: Vec<(OsString, OsString)>,
    stdin: Vec<u8>,
    limit: Duration,
}

impl Call {
    /// A call of the plugin `name`: without a command yet, `CNI_PATH` the suite's executables.
    pub fn new(name: &str) -> Self {
        Self::of(executable(name))
    }

    /// The same for any executable that speaks the protocol.
    pub fn of(program: impl Into<OsString>) -> Self {
        let call = Self {
            program: program.into(),
            variables: Vec::new(),
            stdin: Vec::new(),
            limit: process::LIMIT,
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        call.env("PATH", path).env("CNI_PATH", bin_dir())
    }

    /// Sets `CNI_COMMAND`.
    #[must_use]
    pub fn command(self, command: &str) -> Self {
        self.env("CNI_COMMAND", command)
    }

    /// Sets `CNI_CONTAINERID`.
    #[must_use]
    pub fn container_id(self, id: &str) -> Self {
        self.env("CNI_CONTAINERID", id)
    }

    /// Sets `CNI_NETNS` to the container's namespace.
    #[must_use]
    pub fn netns(self, container: &Container) -> Self {
        self.netns_path(container.path())
    }

    /// Sets `CNI_NETNS` to any path.
    #[must_use]
    pub fn netns_path(self, path: impl AsRef<Path>) -> Self {
        self.env("CNI_NETNS", path.as_ref())
    }

    /// Sets `CNI_IFNAME`.
    #[must_use]
    pub fn ifname(self, name: &str) -> Self {
        self.env("CNI_IFNAME", name)
    }

    /// Sets `CNI_ARGS`.
    #[must_use]
    pub fn args(self, args: &str) -> Self {
        self.env("CNI_ARGS", args)
    }

    /// Sets any variable; the last value counts.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets stdin to a configuration: a [`Value`], or its text.
    #[must_use]
    pub fn config(self, config: impl ToString) -> Self {
        self.stdin(config.to_string())
    }

    /// Sets stdin to any bytes.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Sets how long it may take; the test fails beyond.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs the plugin to its end.
    pub fn run(&self) -> Answer {
        Answer(process::finish(&mut self.process(), &self.stdin, self.limit))
    }

    /// Runs the plugin to its end; `None` where it did not end in the time that it may take. It is
    /// killed then.
    pub fn run_in_time(&self) -> Option<Answer> {
        process::finish_in_time(&mut self.process(), &self.stdin, self.limit).map(Answer)
    }

    /// What is on stdin.
    pub(crate) fn stdin_bytes(&self) -> &[u8] {
        &self.stdin
    }

    /// The process as [`Self::run`] starts it, for tests that redirect or kill it. Its stdin is
    /// empty until they set it.
    pub fn process(&self) -> Command {
        let mut command = Command::new(&self.program);
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        command.env_clear().envs(variables).stdin(Stdio::null());
        command
    }
}

/// What a plugin answered.
#[derive(Clone, Debug)]
pub struct Answer(Finished);

impl Answer {
    /// The answer that a finished process gave.
    pub(crate) fn of(finished: Finished) -> Self {
        Self(finished)
    }

    /// The exit status; `None` when a signal ended it.
    pub fn status(&self) -> Option<i32> {
        self.0.status
    }

    /// Standard output as text.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    /// Standard error as text.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// Standard output as the one JSON value that it must be.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.0.stdout)
            .unwrap_or_else(|error| panic!("stdout is not one JSON value: {error}\n{self}"))
    }

    /// Asserts exit status 0.
    #[track_caller]
    pub fn expect_success(&self) -> &Self {
        assert!(self.status() == Some(0), "{self}");
        self
    }

    /// Asserts exit status 0 with nothing on stdout, as DEL, CHECK, GC and STATUS answer.
    #[track_caller]
    pub fn expect_silent_success(&self) {
        self.expect_success();
        assert!(self.0.stdout.is_empty(), "stdout is not empty\n{self}");
    }

    /// Asserts exit status 1 and one error object with `code` on stdout; returns its message.
    #[track_caller]
    pub fn expect_error(&self, code: u64) -> String {
        assert!(self.status() == Some(1), "not exit status 1\n{self}");
        let object = self.json();
        assert!(object["code"] == code, "not code {code}\n{self}");
        assert!(object["cniVersion"].is_string(), "no cniVersion\n{self}");
        let message = object["msg"].as_str();
        message.unwrap_or_else(|| panic!("no msg\n{self}")).to_owned()
    }

    /// The `details` of the error object, empty when there are none.
    pub fn details(&self) -> String {
        self.json()["details"].as_str().unwrap_or_default().to_owned()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
