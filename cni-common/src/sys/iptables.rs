//! The `iptables` programs: one `restore` per change, one `save` per look. Knows no chain by name.
//!
//! Nothing here is started to find out that there is nothing: whether the old kind of tables
//! exists is read from `/proc`.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Code, Error, Result};

/// Where distributions have the programs; a runtime's `PATH` often lacks `sbin`.
const FOLDERS: &str = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin:/usr/local/bin";
/// How long the programs wait for each other's lock; they would wait for ever.
const WAIT: &str = "--wait=30";

/// IPv4 or IPv6: which programs, which file of `/proc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `iptables`.
    Ipv4,
    /// `ip6tables`.
    Ipv6,
}

impl Protocol {
    /// The program's name.
    pub fn program(self) -> &'static str {
        match self {
            Self::Ipv4 => "iptables",
            Self::Ipv6 => "ip6tables",
        }
    }

    fn names_file(self) -> &'static Path {
        Path::new(match self {
            // Not /proc/net: that is the main thread's namespace.
            Self::Ipv4 => "/proc/thread-self/net/ip_tables_names",
            Self::Ipv6 => "/proc/thread-self/net/ip6_tables_names",
        })
    }
}

/// Which of the programs' two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whatever the distribution calls `iptables`.
    Default,
    /// The one that works on the old tables.
    Legacy,
}

/// One program family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Iptables {
    /// For which protocol.
    pub protocol: Protocol,
    /// Which kind.
    pub kind: Kind,
}

impl Iptables {
    /// Makes all the changes of `input` (lines as `iptables-save` prints them) or none.
    pub fn restore(self, input: &str) -> Result<()> {
        let program = self.find("-restore")?;
        run(&program, &["--noflush", WAIT], input).map(|_quiet| ())
    }

    /// The table as lines that `restore` takes.
    pub fn save(self, table: &str) -> Result<String> {
        let program = self.find("-save")?;
        run(&program, &["-t", table], "")
    }

    /// Whether the program is there.
    pub fn is_installed(self) -> bool {
        self.find("-restore").is_ok()
    }

    fn find(self, suffix: &str) -> Result<PathBuf> {
        let legacy = if self.kind == Kind::Legacy { "-legacy" } else { "" };
        let name = format!("{}{legacy}{suffix}", self.protocol.program());
        let path = env::var("PATH").unwrap_or_default();
        env::split_paths(&format!("{path}:{FOLDERS}"))
            .map(|folder| folder.join(&name))
            .find(|file| file.is_file())
            .ok_or_else(|| {
                Error::new(Code::Io, format!("program {name:?} is not installed"))
                    .with_details(format!("looked in {path}:{FOLDERS}"))
            })
    }
}

/// Whether the old kind of this table exists in the calling thread's network namespace. Reading it
/// loads no module and starts no program.
pub fn has_legacy_table(protocol: Protocol, table: &str) -> bool {
    fs::read_to_string(protocol.names_file())
        .is_ok_and(|names| names.lines().any(|name| name == table))
}

fn run(program: &Path, arguments: &[&str], input: &str) -> Result<String> {
    let failed = |error: std::io::Error| Error::io("run", program, &error);
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends before reading it all says why itself.
        stdin.write_all(input.as_bytes()).ok();
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let error = Error::new(Code::Kernel, format!("{}: {}", program.display(), said.trim()));
    Err(if input.is_empty() { error } else { error.with_details(input.trim().replace('\n', "; ")) })
}
