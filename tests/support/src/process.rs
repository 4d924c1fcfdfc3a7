//! Running programs: to their end with a limit on time, or beside the test until dropped.

use std::ffi::OsStr;
use std::fmt;
use std::io::{ErrorKind, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// No program that a test runs to its end needs as long, however busy the machine is.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// What a program that has ended left behind.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The command, for messages.
    pub command: String,
    /// The exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Finished {
    /// Standard output as text; fails the test, showing everything, unless the status is 0.
    pub fn success(&self) -> String {
        assert!(self.status == Some(0), "{self}");
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => writeln!(f, "{}: exit status {status}", self.command)?,
            None => writeln!(f, "{}: ended by a signal", self.command)?,
        }
        writeln!(f, "--- stdout\n{}", String::from_utf8_lossy(&self.stdout))?;
        write!(f, "--- stderr\n{}", String::from_utf8_lossy(&self.stderr))
    }
}

/// Runs `command` to its end with `stdin`; the test fails when that takes longer than `limit`.
pub(crate) fn finish(command: &mut Command, stdin: &[u8], limit: Duration) -> Finished {
    finish_in_time(command, stdin, limit)
        .unwrap_or_else(|| panic!("{command:?}: did not end within {limit:?}"))
}

/// The same; `None` when it takes longer than `limit`.
pub(crate) fn finish_in_time(
    command: &mut Command,
    stdin: &[u8],
    limit: Duration,
) -> Option<Finished> {
    let shown = format!("{command:?}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = start(command);
    let pipe = child.stdin.take();
    let bytes = stdin.to_vec();
    let writer = thread::spawn(move || write_stdin(pipe, &bytes));
    let output = wait(child, limit)?;
    writer.join().unwrap();
    Some(Finished {
        command: shown,
        status: output.status.code(),
        stdout: output.stdout,
        stderr: output.stderr,
    })
}

/// Runs `command`, whose standard streams are set, to its end.
pub(crate) fn finish_redirected(command: &mut Command, limit: Duration) -> Finished {
    let shown = format!("{command:?}");
    let child = start(command);
    let id = child.id();
    let output = wait(child, limit)
        .unwrap_or_else(|| panic!("{shown}: process {id} did not end within {limit:?}"));
    Finished {
        command: shown,
        status: output.status.code(),
        stdout: output.stdout,
        stderr: output.stderr,
    }
}

/// Starts `command`. What can't be started is named by its program alone: the environment that the whole
/// command would show can be longer than what is read of a message.
fn start(command: &mut Command) -> Child {
    let program = command.get_program().display().to_string();
    command.spawn().unwrap_or_else(|error| panic!("start {program}: {error}"))
}

fn write_stdin(pipe: Option<impl Write>, bytes: &[u8]) {
    let Some(mut pipe) = pipe else { return };
    match pipe.write_all(bytes) {
        // A program need not read its input.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        result => result.expect("write to the program's stdin"),
    }
}

/// Waits at most `limit`; kills the child and returns `None` when that is over.
fn wait(child: Child, limit: Duration) -> Option<Output> {
    let id = child.id();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(limit) {
        Ok(output) => Some(output.expect("wait for the program")),
        Err(_) => {
            kill(pid(id), Signal::SIGKILL).ok();
            receiver.recv_timeout(Duration::from_secs(5)).ok();
            None
        }
    }
}

/// A process that runs beside the test and is killed, by its id, when this is dropped.
#[derive(Debug)]
pub struct Background(Child);

impl Background {
    /// Starts `command`; its output goes nowhere.
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(start(command))
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Ended by itself already: nothing is left to kill.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A command of `words`.
pub(crate) fn command<W: AsRef<OsStr>>(words: &[W]) -> Command {
    let (program, arguments) = words.split_first().expect("a command has at least a program");
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).expect("a process id fits"))
}
