//! The processes and threads of a traced run, and where in their system calls they are.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use nix::unistd::Pid;

use super::Stage;
use crate::calls;
use crate::site::{self, Site};

/// A thread that is traced.
pub(super) struct Thread {
    /// The process, as one would kill it.
    pub(super) process: Pid,
    /// The call it is in is the one with the fault.
    pub(super) faulty: bool,
    /// The first argument of that call.
    pub(super) argument: u64,
    ordinal: usize,
    inside: bool,
    /// Calls count from the program's start on, not in the launcher.
    counts: bool,
    made: HashMap<String, usize>,
}

impl Thread {
    fn of(process: Pid, ordinal: usize, counts: bool) -> Self {
        let made = HashMap::new();
        Self { process, faulty: false, argument: 0, ordinal, inside: false, counts, made }
    }

    /// Whether this stop is a call's exit; the next is an entry.
    pub(super) fn at_exit(&mut self) -> bool {
        std::mem::take(&mut self.inside)
    }
}

struct Process {
    role: String,
    threads: usize,
    stage: Stage,
}

/// How a thread or process came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// By `fork`, to go on with the same program.
    ByFork,
    /// Otherwise: a thread, or a process that executes a program next.
    ForAProgram,
}

/// All of them.
pub(super) struct Followed {
    threads: HashMap<Pid, Thread>,
    processes: HashMap<Pid, Process>,
    started: usize,
    waiting: usize,
    begun: HashSet<Pid>,
    /// Stopped before it was known whose they are.
    early: HashSet<Pid>,
}

impl Followed {
    pub(super) fn of(root: Pid) -> Self {
        let mut followed = Self {
            threads: HashMap::from([(root, Thread::of(root, 0, false))]),
            processes: HashMap::new(),
            started: 0,
            waiting: 0,
            begun: HashSet::new(),
            early: HashSet::new(),
        };
        followed.add_process(root);
        followed
    }

    fn add_process(&mut self, process: Pid) {
        let role = site::role(self.started);
        self.started += 1;
        self.processes.insert(process, Process { role, threads: 1, stage: Stage::Starting });
    }

    /// A process that is not going to be another program: its work has begun.
    fn add_waiting(&mut self, process: Pid) {
        self.waiting += 1;
        let role = site::waiting_role(self.waiting);
        self.processes.insert(process, Process { role, threads: 1, stage: Stage::Working });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.threads.is_empty() && self.early.is_empty()
    }

    pub(super) fn thread(&mut self, id: Pid) -> Option<&mut Thread> {
        self.threads.get_mut(&id)
    }

    /// The role of the process whose first thread this is.
    pub(super) fn role_of_leader(&self, thread: Pid) -> Option<String> {
        self.processes.get(&thread).map(|process| process.role.clone())
    }

    pub(super) fn has_begun(&self, thread: Pid) -> bool {
        self.begun.contains(&thread)
    }

    /// A thread's first stop; whether it may go on, its parent being known.
    pub(super) fn begins(&mut self, thread: Pid) -> bool {
        let known = self.threads.contains_key(&thread);
        if known {
            self.begun.insert(thread);
        } else {
            self.early.insert(thread);
        }
        known
    }

    /// `new` was made by `parent`; whether it has stopped already and may go on.
    pub(super) fn adopt(&mut self, parent: Pid, new: Pid, how: Made) -> bool {
        let (process, counts) = match self.threads.get(&parent) {
            Some(thread) => (thread.process, thread.counts),
            None => (parent, true),
        };
        let is_thread = Path::new(&format!("/proc/{process}/task/{new}")).exists();
        let thread = match self.processes.get_mut(&process).filter(|_| is_thread) {
            Some(process_entry) => {
                let ordinal = process_entry.threads;
                process_entry.threads += 1;
                Thread::of(process, ordinal, counts)
            }
            None => {
                match how {
                    Made::ForAProgram => self.add_process(new),
                    Made::ByFork => self.add_waiting(new),
                }
                Thread::of(new, 0, counts)
            }
        };
        self.threads.insert(new, thread);
        let stopped = self.early.remove(&new);
        if stopped {
            self.begun.insert(new);
        }
        stopped
    }

    /// A process has become another program.
    pub(super) fn executes(&mut self, thread: Pid) {
        let Some(thread) = self.threads.get_mut(&thread) else { return };
        thread.counts = true;
        if let Some(process) = self.processes.get_mut(&thread.process) {
            process.stage = Stage::Starting;
        }
    }

    /// A thread enters a system call: its name, if it counts.
    pub(super) fn enters(
        &mut self,
        id: Pid,
        number: i64,
        arguments: [u64; 2],
    ) -> Option<(Site, Stage)> {
        let thread = self.threads.get_mut(&id)?;
        thread.inside = true;
        if !thread.counts {
            return None;
        }
        let [first, second] = arguments;
        let call = calls::name(number, second);
        let made = thread.made.entry(call.clone()).or_insert(0);
        *made += 1;
        let nth = *made;
        let process = self.processes.get_mut(&thread.process)?;
        // Every plugin's own first call: the configuration, from stdin.
        if call == "read" && first == 0 {
            process.stage = Stage::Working;
        }
        let site = Site { role: process.role.clone(), thread: thread.ordinal, call, nth };
        Some((site, process.stage))
    }

    pub(super) fn ends(&mut self, thread: Pid) {
        self.threads.remove(&thread);
        self.early.remove(&thread);
        self.begun.remove(&thread);
    }
}
