//! What came of a run. Pure; [`table`], [`json`] and [`junit`] write it down.

pub(crate) mod json;
pub(crate) mod junit;
pub(crate) mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::plugin::{Plugin, Role};
use crate::reply::{Finding, Verdict};
use crate::spec::{Level, Spec};

/// What came of one check.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The rule's name.
    pub name: String,
    /// Where the rule stands.
    pub section: String,
    /// How binding it is.
    pub level: Level,
    /// By which version it was tried.
    pub spec: Spec,
    /// What was seen.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}

impl Outcome {
    /// Whether the plugin breaks the rule.
    pub fn is_failed(&self) -> bool {
        matches!(self.verdict, Err(Finding::Failed(_)))
    }

    /// `passed`, `failed` or `not run`.
    pub(crate) fn word(&self) -> &'static str {
        match &self.verdict {
            Ok(()) => "passed",
            Err(Finding::Failed(_)) => "failed",
            Err(Finding::NotRun(_)) => "not run",
        }
    }

    /// What was seen, or why nothing was.
    pub(crate) fn message(&self) -> &str {
        match &self.verdict {
            Ok(()) => "",
            Err(Finding::Failed(text) | Finding::NotRun(text)) => text,
        }
    }
}

/// What came of one plugin.
#[derive(Clone, Debug)]
pub struct PluginReport {
    /// Its name.
    pub name: String,
    /// What it does in an attachment.
    pub role: Role,
    /// What it says of itself.
    pub about: String,
    /// The versions that it offers.
    pub versions: Vec<String>,
    /// In the order of versions and rules.
    pub outcomes: Vec<Outcome>,
}

impl PluginReport {
    pub(crate) fn of(plugin: &Plugin) -> Self {
        Self {
            name: plugin.name().to_owned(),
            role: plugin.configuration.role,
            about: plugin.about.clone(),
            versions: plugin.versions.clone(),
            outcomes: Vec::new(),
        }
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The folder of the plugins.
    pub folder: PathBuf,
    /// The kernel's release.
    pub kernel: String,
    /// Whether it ran with all rights, or in an ordinary user's user namespace.
    pub is_root: bool,
    /// The plugins that were run.
    pub plugins: Vec<PluginReport>,
    /// Names of the others, and why they were not.
    pub not_run: Vec<(String, String)>,
    /// What came of the calls of runtimes.
    pub runtimes: Vec<Outcome>,
}

impl Report {
    pub(crate) fn new(folder: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        // In the first user namespace every number is itself.
        let map = read("/proc/self/uid_map");
        let is_root = map.split_whitespace().collect::<Vec<_>>() == ["0", "0", "4294967295"];
        Self {
            folder: folder.to_owned(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            is_root,
            plugins: Vec::new(),
            not_run: Vec::new(),
            runtimes: Vec::new(),
        }
    }

    /// Every outcome, with the plugin's name, or that of the calling runtime.
    pub fn outcomes(&self) -> impl Iterator<Item = (&str, &Outcome)> {
        let plugins = self.plugins.iter().flat_map(|plugin| {
            plugin.outcomes.iter().map(|outcome| (plugin.name.as_str(), outcome))
        });
        plugins.chain(self.runtimes.iter().map(|outcome| ("runtimes", outcome)))
    }

    /// How many rules of a level are broken.
    pub fn failures(&self, level: Level) -> usize {
        let is_it = |outcome: &Outcome| outcome.is_failed() && outcome.level == level;
        self.outcomes().filter(|(_, outcome)| is_it(outcome)).count()
    }

    /// Whether a report can be written to a file of this name: its extension is `json` or `xml` (JUnit).
    ///
    /// # Errors
    /// With another one.
    pub fn has_form(path: &Path) -> Result<(), String> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json" | "xml") => Ok(()),
            _ => Err(format!("--report {}: reports are .json or .xml (JUnit)", path.display())),
        }
    }

    /// Writes it to a file, in the form that the extension names.
    ///
    /// # Errors
    /// With an extension that names none, or when it can't be written.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        Self::has_form(path)?;
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        let text = if is_json { self.json() } else { junit::text(self) };
        fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// As JSON, as [`Self::write`] writes it.
    pub fn json(&self) -> String {
        json::text(self)
    }

    /// As a table for a person.
    pub fn table(&self) -> String {
        table::text(self)
    }
}
