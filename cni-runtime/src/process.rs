//! One run of a program to its end: stdin, both outputs, and a limit on time. Knows nothing of plugins.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// What is in the pipes when the program has ended is read at once; a process that it left behind and
/// that keeps them open is not waited for longer than this.
const GRACE: Duration = Duration::from_millis(500);

/// What a program that has ended left behind.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        writeln!(f, "--- stdout\n{}", String::from_utf8_lossy(&self.stdout))?;
        writeln!(f, "--- stderr\n{}", String::from_utf8_lossy(&self.stderr))
    }
}

/// Runs `command` to its end with `stdin`. Beyond `limit` it is killed, and the error is
/// [`ErrorKind::TimedOut`].
pub(crate) fn run(command: &mut Command, stdin: Vec<u8>, limit: Duration) -> io::Result<Output> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let output = attend(&mut child, stdin, Instant::now() + limit);
    if output.is_err() {
        // Ended by now or about to be: waited for either way, so that no zombie is left.
        child.kill().ok();
        child.wait().ok();
    }
    output
}

fn attend(child: &mut Child, stdin: Vec<u8>, limit: Instant) -> io::Result<Output> {
    write_in_background(child.stdin.take(), stdin)?;
    let stdout = read_in_background(child.stdout.take())?;
    let stderr = read_in_background(child.stderr.take())?;
    wait(child, limit)?;
    let status = child.wait()?;
    let until = Instant::now() + GRACE;
    let rest = |pipe: &Receiver<Vec<u8>>| {
        let mut all = Vec::new();
        while let Ok(bytes) = pipe.recv_timeout(until.saturating_duration_since(Instant::now())) {
            all.extend(bytes);
        }
        all
    };
    Ok(Output { status, stdout: rest(&stdout), stderr: rest(&stderr) })
}

/// Waits until the child has ended.
fn wait(child: &Child, limit: Instant) -> io::Result<()> {
    let end = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    loop {
        let left = limit.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&end, PollFlags::IN)], Some(&left)) {
            Ok(0) => return Err(ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// A program need not read its input: what it does not take is dropped.
fn write_in_background(pipe: Option<ChildStdin>, bytes: Vec<u8>) -> io::Result<()> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    thread::Builder::new().spawn(move || pipe.write_all(&bytes).ok())?;
    Ok(())
}

/// What comes out of a pipe, piece by piece, until its end.
fn read_in_background(pipe: Option<impl Read + Send + 'static>) -> io::Result<Receiver<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    let Some(mut pipe) = pipe else { return Ok(receiver) };
    thread::Builder::new().spawn(move || {
        let mut piece = [0; 8192];
        loop {
            match pipe.read(&mut piece) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return,
                Ok(length) => {
                    let bytes = piece.get(..length).unwrap_or_default().to_vec();
                    // Nobody listens any more: the program has ended.
                    if sender.send(bytes).is_err() {
                        return;
                    }
                }
            }
        }
    })?;
    Ok(receiver)
}
