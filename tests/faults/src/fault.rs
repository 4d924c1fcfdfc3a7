//! One fault: a call of a plugin, a system call of it, and what happens there.

use std::fmt;
use std::str::FromStr;

use nix::errno::Errno;

use crate::errnos;
use crate::scene::Kind;
use crate::site::Site;

/// The commands that are swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Command {
    Add,
    Del,
}

impl Command {
    pub(crate) const ALL: [Self; 2] = [Self::Add, Self::Del];

    /// As in `CNI_COMMAND`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
        }
    }
}

/// What happens at the system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// The process is killed and the call never made.
    Kill,
    /// The call is made and the process killed before it learns of it.
    KillAfter,
    /// The call is not made and fails.
    Fail(Errno),
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill => f.write_str("kill"),
            Self::KillAfter => f.write_str("kill-after"),
            Self::Fail(errno) => write!(f, "{errno:?}"),
        }
    }
}

impl FromStr for How {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "kill" => Ok(Self::Kill),
            "kill-after" => Ok(Self::KillAfter),
            _ => errnos::named(text)
                .map(Self::Fail)
                .ok_or_else(|| format!("{text:?} is neither kill, kill-after nor an errno")),
        }
    }
}

/// Exactly one fault, in one run of one plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) command: Command,
    pub(crate) site: Site,
    pub(crate) how: How,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.kind, self.command.word(), self.site, self.how)
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [kind, command, place, call, how] = words[..] else {
            return Err(format!("{text:?} is not like `bridge ADD delegate/0 openat#7 EIO`"));
        };
        let command = Command::ALL.into_iter().find(|known| known.word() == command);
        Ok(Self {
            kind: kind.parse()?,
            command: command.ok_or("only ADD and DEL are swept")?,
            site: format!("{place} {call}").parse()?,
            how: how.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_as_it_is_printed() {
        for text in [
            "bridge ADD delegate/0 openat#7 EIO",
            "fresh-bridge DEL plugin/2 sendto#1 kill",
            "host-local ADD plugin/0 write#3 kill-after",
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
        for text in ["bridge ADD openat#7 EIO", "bridge GC plugin/0 read#1 EIO", ""] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
