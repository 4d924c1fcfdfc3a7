//! The name of one system call of a plugin's call: which process, which of its threads, which system
//! call, and the how manieth of that name in that thread. The same from run to run.

use std::fmt;
use std::str::FromStr;

/// One system call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Site {
    /// `plugin`, `delegate` for the first program it starts, `delegate2` for the next; `waiting` for the
    /// first process that stays the same program, `waiting2` for the next.
    pub(crate) role: String,
    /// 0 is the thread that the process began with.
    pub(crate) thread: usize,
    /// The system call's name.
    pub(crate) call: String,
    /// From 1.
    pub(crate) nth: usize,
}

/// What the plugin and the programs it starts are called, in the order they are started.
pub(crate) fn role(process: usize) -> String {
    match process {
        0 => "plugin".to_owned(),
        more => numbered("delegate", more),
    }
}

/// What the processes are called that wait for the kernel in a plugin's place, from 1 on.
pub(crate) fn waiting_role(process: usize) -> String {
    numbered(WAITING, process)
}

/// Whether a process of this role waits for the kernel, and may outlive the plugin.
pub(crate) fn is_waiting(role: &str) -> bool {
    role.starts_with(WAITING)
}

const WAITING: &str = "waiting";

fn numbered(name: &str, number: usize) -> String {
    match number {
        1 => name.to_owned(),
        more => format!("{name}{more}"),
    }
}

impl Site {
    /// Whether it is in the process that the caller started.
    pub(crate) fn in_plugin(&self) -> bool {
        self.role == role(0)
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}#{}", self.role, self.thread, self.call, self.nth)
    }
}

impl FromStr for Site {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (place, call) = text.split_once(' ')?;
            let (role, thread) = place.split_once('/')?;
            let (call, nth) = call.split_once('#')?;
            let (role, call) = (role.to_owned(), call.to_owned());
            Some(Self { role, thread: thread.parse().ok()?, call, nth: nth.parse().ok()? })
        };
        parse().ok_or_else(|| format!("{text:?} is not like `delegate/0 openat#7`"))
    }
}
