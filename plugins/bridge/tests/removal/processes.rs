//! The processes that wait in the plugin's place, as /proc shows them.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command};

/// A process group of a test's own: its first process sleeps until this is dropped.
pub(crate) struct Group(Child);

impl Group {
    pub(crate) fn new() -> Self {
        Self(Command::new("sleep").arg("1000").process_group(0).spawn().unwrap())
    }

    pub(crate) fn number(&self) -> i32 {
        self.0.id().cast_signed()
    }

    /// The processes of the group that this test program has adopted.
    pub(crate) fn adopted(&self) -> Vec<i32> {
        let all = adopted().into_iter().filter(|(_, group)| *group == self.number());
        all.map(|(pid, _)| pid).filter(|pid| *pid != self.number()).collect()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// PID and process group of every child of this test program's.
pub(crate) fn adopted() -> Vec<(i32, i32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let Ok(pid) = entry.unwrap().file_name().into_string().unwrap().parse::<i32>() else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let (_name, fields) = stat.rsplit_once(')').unwrap();
        let fields: Vec<&str> = fields.split_whitespace().collect();
        if fields[1].parse() == Ok(std::process::id()) {
            found.push((pid, fields[2].parse().unwrap()));
        }
    }
    found
}

/// What the descriptors of a process are; `None` once it has none any more.
pub(crate) fn descriptors(pid: i32) -> Option<Vec<PathBuf>> {
    let folder = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let paths: Vec<_> = folder.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).collect();
    (!paths.is_empty()).then_some(paths)
}
