//! Finds the plugins of a folder and tries every rule on each, several at a time.

use std::any::Any;
use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use testsupport::{Call, Host};

use crate::check::{Check, catalogue};
use crate::plugin::{Configuration, Plugin};
use crate::reply::{Finding, Verdict, one_line};
use crate::report::{Outcome, PluginReport, Report};
use crate::spec::{Level, Spec};
use crate::stage::{Bound, Stage};

/// A plugin that overran the limit as often is not waited for any more.
const OVERRUNS: usize = 3;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the plugins.
    pub folder: PathBuf,
    /// These plugins only; all where it is empty.
    pub plugins: Vec<String>,
    /// One's own configurations, before those that are known.
    pub configurations: Vec<Configuration>,
    /// By the rules of these versions, as far as a plugin offers them; all where it is empty.
    pub specs: Vec<Spec>,
    /// How long one call of a plugin may take.
    pub limit: Duration,
    /// How many checks at a time.
    pub jobs: usize,
}

impl Options {
    /// Everything, on the plugins of `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            plugins: Vec::new(),
            configurations: Vec::new(),
            specs: Vec::new(),
            limit: Duration::from_secs(20),
            jobs: thread::available_parallelism().map_or(2, usize::from),
        }
    }
}

/// Name, section and levels in 0.4.0, 1.0.0 and 1.1.0 of every rule.
pub fn rules() -> Vec<(&'static str, &'static str, [Option<Level>; 3])> {
    catalogue().map(|check| (check.name, check.section, check.levels.0)).collect()
}

/// Tries every rule on every plugin.
///
/// # Errors
/// When the folder can't be read, or has not one of the plugins asked for.
pub fn run(options: &Options) -> Result<Report, String> {
    let mut report = Report::new(&options.folder);
    let mut subjects = Vec::new();
    for (name, program) in executables(options)? {
        match on_a_host(|| look(options, &name, &program)).flatten() {
            Ok(plugin) => {
                report.plugins.push(PluginReport::of(&plugin));
                subjects.push(plugin);
            }
            Err(why) => report.not_run.push((name, why)),
        }
    }
    let jobs = jobs(options, &subjects);
    let overruns: Vec<AtomicUsize> = subjects.iter().map(|_| AtomicUsize::new(0)).collect();
    let outcomes = in_parallel(options.jobs, jobs, |&(index, spec, check)| {
        let (plugin, overruns) = (&subjects[index], &overruns[index]);
        let bound = Bound { limit: options.limit, overruns };
        (index, tried(plugin, (spec, check), bound))
    });
    for (index, outcome) in outcomes {
        report.plugins[index].outcomes.push(outcome);
    }
    if options.plugins.is_empty() {
        report.runtimes = crate::runtimes::runtimes(options)?;
    }
    Ok(report)
}

/// Name and path of the executables that are asked for, in the order of their names.
fn executables(options: &Options) -> Result<Vec<(String, PathBuf)>, String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", options.folder.display());
    let mut found = Vec::new();
    // Plugins are found in it wherever they are started.
    let folder = fs::canonicalize(&options.folder).map_err(wrong)?;
    is_seen_by_hosts(&folder)?;
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let asked = options.plugins.is_empty() || options.plugins.iter().any(|one| one == name);
        let is_program = fs::metadata(&path)
            .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0);
        if asked && is_program {
            found.push((name.to_owned(), path));
        }
    }
    found.sort();
    let has = |name: &&String| !found.iter().any(|(found, _)| found == *name);
    match options.plugins.iter().find(has) {
        Some(name) => Err(format!("{}: there is no plugin {name}", options.folder.display())),
        None => Ok(found),
    }
}

/// A host of a check has folders of its own in the place of some.
fn is_seen_by_hosts(folder: &Path) -> Result<(), String> {
    match on_a_host(|| folder.is_dir())? {
        true => Ok(()),
        false => Err(format!(
            "{}: a throw-away host has another /run and /var/lib: put the plugins elsewhere",
            folder.display()
        )),
    }
}

/// Runs `work` in a thread that is a host of its own; a panic in it is what could not be looked at.
fn on_a_host<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    let work = || {
        let _host = Host::new();
        work()
    };
    thread::scope(|scope| scope.spawn(work).join()).map_err(|panic| said(&*panic))
}

/// What a thread that panicked had to say.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    one_line(text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic"))
}

/// A plugin with its configuration, and what it says of itself.
fn look(options: &Options, name: &str, program: &Path) -> Result<Plugin, String> {
    let known = Configuration::known()?;
    let configuration = options.configurations.iter().chain(&known).find(|one| one.name == name);
    let Some(configuration) = configuration.cloned() else {
        return Err("nothing is known of it: give a configuration with --config".to_owned());
    };
    if let Some(needs) = &configuration.needs {
        return Err(format!("needs {needs}"));
    }
    let call = Call::of(program).env("CNI_PATH", &options.folder).limit(options.limit);
    let about = call.run_in_time().map(|answer| answer.stderr() + &answer.stdout());
    let call = call.command("VERSION").config(r#"{"cniVersion":"1.0.0"}"#);
    let answer = call.run_in_time().map(|answer| answer.stdout()).unwrap_or_default();
    let object: Map<String, Value> = serde_json::from_str(&answer).unwrap_or_default();
    let versions = object.get("supportedVersions").and_then(Value::as_array);
    let texts =
        |all: &Vec<Value>| all.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(Plugin {
        configuration,
        program: program.to_owned(),
        about: one_line(about.unwrap_or_default().lines().next().unwrap_or_default()),
        versions: versions.map(texts).unwrap_or_default(),
    })
}

type Job = (usize, Spec, &'static Check);

/// Every rule for every plugin in every version that it offers.
fn jobs(options: &Options, plugins: &[Plugin]) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (index, plugin) in plugins.iter().enumerate() {
        let asked = |spec: &Spec| options.specs.is_empty() || options.specs.contains(spec);
        // One that does not say what it offers is tried in what is asked for, else in the newest.
        let offers = |spec: &Spec| match plugin.versions.is_empty() {
            true => !options.specs.is_empty() || *spec == Spec::V1_1_0,
            false => plugin.versions.iter().any(|one| one == spec.text()),
        };
        for spec in Spec::ALL.into_iter().filter(asked).filter(offers) {
            let role = plugin.configuration.role;
            let of_role = catalogue().filter(|check| check.roles.contains(&role));
            let checks = of_role.filter(|check| check.levels.of(spec).is_some());
            jobs.extend(checks.map(|check| (index, spec, check)));
        }
    }
    jobs
}

/// One check of one plugin, on a host of its own.
fn tried(plugin: &Plugin, (spec, check): (Spec, &Check), bound: Bound<'_>) -> Outcome {
    let started = Instant::now();
    let attempt = || Stage::new(plugin, spec, bound).and_then(|stage| (check.run)(&stage));
    let verdict = match bound.overruns.load(Ordering::Relaxed) >= OVERRUNS {
        true => Err(Finding::NotRun("it did not end in time, several times before".to_owned())),
        false => in_a_thread(attempt),
    };
    Outcome {
        name: check.name.to_owned(),
        section: check.section.to_owned(),
        level: check.levels.of(spec).unwrap_or(Level::Should),
        spec,
        verdict,
        took: started.elapsed(),
    }
}

/// Runs a check in a thread that it may make a host; a panic in it is what could not be looked at.
pub(crate) fn in_a_thread(attempt: impl FnOnce() -> Verdict + Send) -> Verdict {
    let done = thread::scope(|scope| scope.spawn(attempt).join());
    done.unwrap_or_else(|panic| Err(Finding::NotRun(said(&*panic))))
}

/// Does all jobs, `count` at a time; what they come to, in the order of the jobs.
pub(crate) fn in_parallel<J: Send + Sync, T: Send>(
    count: usize,
    jobs: Vec<J>,
    work: impl Fn(&J) -> T + Sync,
) -> Vec<T> {
    let queue: Mutex<VecDeque<_>> = Mutex::new(jobs.into_iter().enumerate().collect());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..count.max(1) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().pop_front();
                    let Some((number, job)) = next else { return };
                    let outcome = work(&job);
                    done.lock().unwrap().push((number, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}
