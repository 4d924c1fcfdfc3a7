//! The `CNI_*` variables and the table of what each command requires.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::{Code, Error, Result};
use crate::spec::Version;
use crate::sys::attacher::Attacher;

/// The variable that tells an IPAM plugin the attacher.
pub(crate) const ATTACHER: &str = "CAUSEWAY_ATTACHER";

/// The variables of the protocol, as they came. Empty counts as absent, as in the reference.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `CNI_COMMAND`.
    pub command: Option<String>,
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_NETNS`.
    pub netns: Option<PathBuf>,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// `CNI_ARGS`.
    pub args: String,
    /// `CNI_PATH`: where delegates are looked for.
    pub path: Vec<PathBuf>,
    /// `CNI_NETNS_OVERRIDE`: `CNI_NETNS` may be the plugin's own namespace.
    pub netns_override: bool,
    /// `CAUSEWAY_ATTACHER`, for an IPAM plugin: who makes the attachment that an address is for.
    pub attacher: Option<Attacher>,
}

impl Environment {
    /// Reads this process's variables; code 4 for one that must be text and is not UTF-8.
    pub(super) fn read() -> Result<Self> {
        let path = std::env::var_os("CNI_PATH").unwrap_or_default();
        let override_word = text("CNI_NETNS_OVERRIDE")?.to_ascii_lowercase();
        Ok(Self {
            command: Some(text("CNI_COMMAND")?).filter(|word| !word.is_empty()),
            container_id: text("CNI_CONTAINERID")?,
            netns: var("CNI_NETNS").map(PathBuf::from),
            ifname: text("CNI_IFNAME")?,
            args: text("CNI_ARGS")?,
            path: std::env::split_paths(&path).filter(|dir| !dir.as_os_str().is_empty()).collect(),
            netns_override: matches!(override_word.as_str(), "1" | "true"),
            attacher: text(ATTACHER)?.parse().ok(),
        })
    }
}

fn var(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn text(name: &str) -> Result<String> {
    var(name).unwrap_or_default().into_string().map_err(|raw| {
        Error::new(Code::InvalidEnvironment, format!("{name} is not UTF-8"))
            .with_details(raw.to_string_lossy())
    })
}

/// A command of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Add,
    Del,
    Check,
    Gc,
    Status,
    Version,
}

/// What a command requires.
pub(super) struct Requirement {
    command: Command,
    pub(super) word: &'static str,
    pub(super) variables: &'static [&'static str],
    pub(super) since: Version,
}

/// The requirement table (CNI specification, section 2; FACTS of the versions in its history).
pub(super) const COMMANDS: [Requirement; 6] = [
    Requirement {
        command: Command::Add,
        word: "ADD",
        variables: &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"],
        since: Version::V0_1_0,
    },
    Requirement {
        command: Command::Del,
        word: "DEL",
        variables: &["CNI_CONTAINERID", "CNI_IFNAME"],
        since: Version::V0_1_0,
    },
    Requirement {
        command: Command::Check,
        word: "CHECK",
        variables: &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"],
        since: Version::V0_4_0,
    },
    Requirement { command: Command::Gc, word: "GC", variables: &[], since: Version::V1_1_0 },
    Requirement {
        command: Command::Status,
        word: "STATUS",
        variables: &[],
        since: Version::V1_1_0,
    },
    Requirement {
        command: Command::Version,
        word: "VERSION",
        variables: &[],
        since: Version::V0_1_0,
    },
];

impl Command {
    /// The command of this word; code 4 if there is none.
    pub(super) fn find(word: &str) -> Result<Self> {
        let found = COMMANDS.iter().find(|row| row.word == word);
        found.map(|row| row.command).ok_or_else(|| {
            Error::new(Code::InvalidEnvironment, format!("unknown CNI_COMMAND: {word}"))
        })
    }

    fn row(self) -> impl Iterator<Item = &'static Requirement> {
        COMMANDS.iter().filter(move |row| row.command == self)
    }

    /// Fails with all variables that are missing, code 4.
    pub(super) fn require(self, environment: &Environment) -> Result<()> {
        let is_missing = |name: &&str| match *name {
            "CNI_CONTAINERID" => environment.container_id.is_empty(),
            "CNI_NETNS" => environment.netns.is_none(),
            _ => environment.ifname.is_empty(),
        };
        let required = self.row().flat_map(|row| row.variables).copied();
        let missing: Vec<&str> = required.filter(is_missing).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let message = format!("required env variables [{}] missing", missing.join(","));
        Err(Error::new(Code::InvalidEnvironment, message))
    }

    /// Fails with code 1 when `version` does not have the command. Callers compare the whole error
    /// with the reference's, which has no details.
    pub(super) fn refuse_below(self, version: Version) -> Result<()> {
        match self.row().find(|row| version < row.since) {
            None => Ok(()),
            Some(row) => Err(Error::new(
                Code::IncompatibleVersion,
                format!("config version does not allow {}", row.word),
            )),
        }
    }
}
