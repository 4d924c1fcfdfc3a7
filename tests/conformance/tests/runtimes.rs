//! The lists of runtimes: what breaks their habits is found, and what is not there is said.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use conformance::runtimes::runtimes;
use conformance::{Finding, Level, Options, Outcome};
use testsupport::{PLUGINS, bin_dir, example};

/// A folder of plugins in one of its own, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    /// One with these plugins of the suite.
    fn with(name: &str, plugins: &[&str]) -> Self {
        let place = format!("causeway-runtimes-{}-{name}", std::process::id());
        let folder = env::temp_dir().join(place).join(name);
        fs::create_dir_all(&folder).unwrap();
        for plugin in plugins {
            symlink(bin_dir().join(plugin), folder.join(plugin)).unwrap();
        }
        Self(folder)
    }

    /// Most of it is waiting: for what is left, whether it goes yet.
    fn outcomes(&self) -> Vec<Outcome> {
        runtimes(&Options { jobs: 7, ..Options::new(&self.0) }).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(self.0.parent().unwrap()).ok();
    }
}

#[test]
fn every_list_of_a_runtime_lives_and_leaves_nothing() {
    let outcomes = Folder::with("all", &PLUGINS).outcomes();
    assert_eq!(outcomes.len(), 14);
    for outcome in outcomes {
        assert_eq!(outcome.verdict, Ok(()), "{}", outcome.name);
        assert_eq!(outcome.level, Level::Habit);
    }
}

#[test]
fn an_address_that_stays_held_after_a_late_del_breaks_every_list() {
    let others: Vec<&str> = PLUGINS.into_iter().filter(|name| *name != "host-local").collect();
    let folder = Folder::with("leaks-without-namespace", &others);
    symlink(example("wrong"), folder.0.join("host-local")).unwrap();
    symlink(bin_dir(), folder.0.join("right")).unwrap();
    for outcome in folder.outcomes() {
        let Err(Finding::Failed(text)) = &outcome.verdict else {
            panic!("{}: {:?}", outcome.name, outcome.verdict)
        };
        let is_lease = text.contains("/networks/") || text.contains("/run/cni/");
        assert!(text.starts_with("left ") && is_lease, "{text}");
    }
}

#[test]
fn a_list_of_which_a_plugin_is_not_there_is_not_run() {
    for outcome in Folder::with("few", &["loopback", "host-local"]).outcomes() {
        let Err(Finding::NotRun(text)) = &outcome.verdict else {
            panic!("{}: {:?}", outcome.name, outcome.verdict)
        };
        assert!(text.starts_with("the folder has no "), "{text}");
    }
}
