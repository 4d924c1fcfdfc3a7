//! The plugin folder that the runtimes use, and every call that they make of what is in it.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;
use testsupport::write_program;

/// Where runtimes look for plugins; it holds [`RECORDER`] under each plugin's name.
pub const FOLDER: &str = "/opt/cni/bin";
/// Where the plugins are that it runs.
const TARGETS: &str = "/run/test/plugins";
/// A folder for each call, in their order.
const CALLS: &str = "/run/test/calls";
const RECORDER: &str = include_str!("recorder.sh");
/// The distribution's reference plugins.
const REFERENCE: &str = "/usr/lib/cni";
/// What the suite has an executable of.
const SUITE: [&str; 8] =
    ["bandwidth", "bridge", "firewall", "host-local", "loopback", "portmap", "static", "tuning"];

/// Whose executables of [`SUITE`] are in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Those of this checkout.
    Ours,
    /// The distribution's.
    Reference,
}

/// Puts a suite into the plugin folder, in place of the one that is there.
pub fn install(suite: Suite) {
    for folder in [FOLDER, TARGETS, CALLS] {
        fs::create_dir_all(folder).unwrap();
    }
    for name in SUITE {
        let target = match suite {
            Suite::Ours => testsupport::executable(name),
            Suite::Reference => Path::new(REFERENCE).join(name),
        };
        put(name, &target);
    }
}

fn put(name: &str, target: &Path) {
    assert!(target.is_file(), "{} is not there", target.display());
    let new = Path::new(TARGETS).join(".new");
    symlink(target, &new).unwrap();
    fs::rename(&new, Path::new(TARGETS).join(name)).unwrap();
    let recorder = Path::new(FOLDER).join(name);
    if !recorder.exists() {
        write_program(&recorder, RECORDER);
    }
}

/// One call of a plugin.
#[derive(Clone, Debug)]
pub struct Call {
    /// The plugin's name.
    pub plugin: String,
    /// Its `CNI_…` variables, without that.
    pub variables: HashMap<String, String>,
    /// Its configuration.
    pub config: Value,
    /// Its exit status; `None` for one that was killed or still runs.
    pub status: Option<i32>,
    /// What it printed: a result, or the error as JSON.
    pub answer: String,
}

impl Call {
    fn read(folder: &Path) -> Self {
        let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        let status = text("status");
        let (plugin, status) = status.trim().split_once(' ').unwrap_or(("?", ""));
        let environment = text("environment");
        let variable = |line: &str| {
            let (key, value) = line.strip_prefix("CNI_")?.split_once('=')?;
            Some((key.to_owned(), value.to_owned()))
        };
        Self {
            plugin: plugin.to_owned(),
            variables: environment.lines().filter_map(variable).collect(),
            config: serde_json::from_str(&text("stdin")).unwrap_or_default(),
            status: status.parse().ok(),
            answer: text("stdout"),
        }
    }

    /// A variable, without the `CNI_` in front; empty if absent.
    pub fn variable(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }

    /// Whether `plugin` was called with `command`.
    pub fn is(&self, plugin: &str, command: &str) -> bool {
        self.plugin == plugin && self.variable("COMMAND") == command
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plugin, config, status, answer, .. } = self;
        let (command, id) = (self.variable("COMMAND"), self.variable("CONTAINERID"));
        let netns = self.variable("NETNS");
        writeln!(f, "{command} {plugin} {id} {netns}: status {status:?}\n{config}\n{answer}")
    }
}

/// All calls so far, in order.
pub fn calls() -> Vec<Call> {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(CALLS).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders.iter().map(|folder| Call::read(folder)).collect()
}

/// The calls of `plugin` with `command` for a container.
pub fn calls_for(id: &str, plugin: &str, command: &str) -> Vec<Call> {
    let mut calls = calls();
    calls.retain(|call| call.is(plugin, command) && call.variable("CONTAINERID") == id);
    calls
}

/// The network namespace in which `bridge` attached a container.
pub fn netns_of(id: &str) -> PathBuf {
    let calls = calls_for(id, "bridge", "ADD");
    let add = calls.last().unwrap_or_else(|| panic!("bridge was not called for {id}"));
    PathBuf::from(add.variable("NETNS"))
}

/// Every call that failed, with the plugin's error JSON.
pub fn failed() -> Vec<String> {
    let calls = calls();
    calls.iter().filter(|call| call.status != Some(0)).map(Call::to_string).collect()
}

/// The same as text, for the message of a test that fails.
pub fn failures() -> String {
    let failed = failed();
    format!("{} calls of plugins failed\n{}", failed.len(), failed.join("\n"))
}
