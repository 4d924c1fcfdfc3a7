//! The `iptables` programs: one `restore` per change, one `save` per look. Knows no chain by name.
//!
//! Nothing here is started to find out that there is nothing: whether the old kind of tables
//! exists is read from `/proc`.

use std::env;
use std::fs;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::io::{fcntl_dupfd_cloexec, retry_on_intr};

use super::process::{Limits, Supervised, Trouble, memory_file};
use crate::error::{Code, Error, Result};
use crate::log;

/// Where distributions have the programs; a runtime's `PATH` often lacks `sbin`.
const FOLDERS: &str = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin:/usr/local/bin";
/// How long the programs wait for each other's lock; they would wait for ever.
const WAIT: &str = "--wait=30";
/// Twice that, for one that hangs elsewhere. A table of many thousand rules is some megabytes.
const LIMITS: Limits = Limits { timeout: Duration::from_secs(60), output: 64 << 20 };

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
        let doing = || format!("{}: {}", program.display(), input.trim_end().replace('\n', "; "));
        log::step(doing, || run(&program, &["--noflush", WAIT], input)).map(|_quiet| ())
    }

    /// The table as lines that `restore` takes.
    pub fn save(self, table: &str) -> Result<String> {
        let program = self.find("-save")?;
        let doing = || format!("{} -t {table}", program.display());
        log::step(doing, || run(&program, &["-t", table], ""))
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
    run_within(LIMITS, program, arguments, input)
}

fn run_within(limits: Limits, program: &Path, arguments: &[&str], input: &str) -> Result<String> {
    let failed = |error: std::io::Error| Error::io("run", program, &error);
    // Files, not pipes: nobody has to read and write at the same time.
    let mut stderr = memory_file(&[]).map_err(failed)?;
    let theirs = retry_on_intr(|| fcntl_dupfd_cloexec(&stderr, 0)).map_err(|e| failed(e.into()))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::from(memory_file(input.as_bytes()).map_err(failed)?))
        .stderr(Stdio::from(theirs));
    let fault = |what: String| Error::new(Code::Kernel, format!("{} {what}", program.display()));
    let outcome = Supervised::start(&mut command, limits).map_err(failed)?.outcome();
    let error = match outcome {
        Ok((status, stdout)) if status.success() => {
            return Ok(String::from_utf8_lossy(&stdout).into_owned());
        }
        Ok((status, _)) => {
            let mut said = Vec::new();
            stderr.rewind().and_then(|()| stderr.read_to_end(&mut said)).map_err(failed)?;
            match String::from_utf8_lossy(&said).trim() {
                "" => fault(format!("failed and said nothing ({status})")),
                said if status.code().is_none() => fault(format!("failed ({status}): {said}")),
                said => Error::new(Code::Kernel, format!("{}: {said}", program.display())),
            }
        }
        Err(Trouble::TooLong(limit)) => {
            fault(format!("did not end within {} s", limit.as_secs_f32()))
        }
        Err(Trouble::TooMuch(most)) => fault(format!("printed more than {most} bytes")),
        Err(Trouble::Io(error)) => return Err(failed(error)),
    };
    Err(if input.is_empty() { error } else { error.with_details(input.trim().replace('\n', "; ")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, input: &str) -> Result<String> {
        let limits = Limits { timeout: Duration::from_millis(300), output: 1000 };
        run_within(limits, Path::new("/bin/sh"), &["-c", script], input)
    }

    #[test]
    fn a_program_that_hangs_is_ended_at_its_deadline() {
        let error = shell("exec sleep 600", "*nat\nCOMMIT\n").unwrap_err();
        assert_eq!(error.message(), "/bin/sh did not end within 0.3 s");
        assert_eq!(error.details(), Some("*nat; COMMIT"));
        let error = shell("exec yes", "").unwrap_err();
        assert_eq!(error.message(), "/bin/sh printed more than 1000 bytes");
    }

    #[test]
    fn a_program_reads_its_input_and_says_why_it_failed() {
        assert_eq!(shell("cat", "*nat\nCOMMIT\n").unwrap(), "*nat\nCOMMIT\n");
        let message = |script| shell(script, "").unwrap_err().message().to_owned();
        assert_eq!(message("echo no >&2; exit 1"), "/bin/sh: no");
        assert_eq!(message("exit 4"), "/bin/sh failed and said nothing (exit status: 4)");
        let killed = "/bin/sh failed (signal: 9 (SIGKILL)): no";
        assert_eq!(message("echo no >&2; kill -9 $$"), killed);
    }
}
