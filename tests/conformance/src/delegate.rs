//! The IPAM plugin that plugins under test delegate to, and what it has recorded.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::reply::{Finding, not_run};

/// Its name.
pub(crate) const NAME: &str = "conformance-ipam";

const SCRIPT: &str = include_str!("../configurations/ipam.sh");

/// It, in a folder of a host.
#[derive(Debug)]
pub(crate) struct Delegate(PathBuf);

/// One call of it.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) command: String,
    /// `CNI_…=…` and `TRACEPARENT=…`, in the order of their names.
    pub(crate) variables: Vec<String>,
    pub(crate) config: Option<Map<String, Value>>,
}

impl Delegate {
    /// Puts it into `folder`, which is made.
    pub(crate) fn new(folder: &Path) -> Result<Self, Finding> {
        let write = || {
            fs::create_dir(folder)?;
            let program = folder.join(NAME);
            fs::write(&program, SCRIPT)?;
            fs::set_permissions(program, PermissionsExt::from_mode(0o755))
        };
        match write() {
            Ok(()) => Ok(Self(folder.to_owned())),
            Err(error) => not_run(format!("{}: {error}", folder.display())),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// From now on it fails when it is called with `command`.
    pub(crate) fn refuse(&self, command: &str) -> Result<(), Finding> {
        let path = self.0.join(format!("fail-{command}"));
        fs::write(path, "").or_else(|error| not_run(error.to_string()))
    }

    /// What it was called with so far.
    pub(crate) fn calls(&self) -> Vec<Recorded> {
        let text = fs::read_to_string(self.0.join("calls")).unwrap_or_default();
        text.lines().filter_map(|line| self.recorded(line)).collect()
    }

    /// The calls with `command`.
    pub(crate) fn calls_of(&self, command: &str) -> Vec<Recorded> {
        self.calls().into_iter().filter(|one| one.command == command).collect()
    }

    fn recorded(&self, line: &str) -> Option<Recorded> {
        let (command, number) = line.split_once(' ')?;
        let read = |kind: &str| fs::read_to_string(self.0.join(format!("{number}.{kind}"))).ok();
        let is_meant = |line: &&str| line.starts_with("CNI_") || line.starts_with("TRACEPARENT=");
        let variables = read("env")?;
        let mut variables: Vec<_> = variables.lines().filter(is_meant).map(str::to_owned).collect();
        variables.sort();
        Some(Recorded {
            command: command.to_owned(),
            variables,
            config: serde_json::from_str(&read("stdin")?).ok(),
        })
    }
}
