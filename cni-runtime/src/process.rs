//! One run of a program to its end: stdin, both outputs, and a limit on time. Knows nothing of plugins.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A process that a program left behind, and that keeps its outputs open, is not waited for longer than this.
const GRACE: Duration = Duration::from_millis(500);

/// As much as a pipe of the kernel's default holds: one reading takes all that is in it. See pipe(7).
const PIPE: usize = 65_536;

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
    let mut stdout = Pipe::new(child.stdout.take())?;
    let mut stderr = Pipe::new(child.stderr.take())?;
    let end = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    while !wait(Some(&end), [&mut stdout, &mut stderr], limit)? {
        if Instant::now() >= limit {
            return Err(ErrorKind::TimedOut.into());
        }
    }
    let status = child.wait()?;
    // All that it wrote itself is in the pipes by now, and is read however late this is.
    stdout.read()?;
    stderr.read()?;
    let limit = Instant::now() + GRACE;
    while (stdout.is_open() || stderr.is_open()) && Instant::now() < limit {
        wait(None, [&mut stdout, &mut stderr], limit)?;
    }
    Ok(Output { status, stdout: stdout.bytes, stderr: stderr.bytes })
}

/// Waits until a pipe can be read, and reads it, or until `end` or `limit` has come; whether `end` has.
fn wait(end: Option<&OwnedFd>, mut pipes: [&mut Pipe; 2], limit: Instant) -> io::Result<bool> {
    let left = limit.saturating_duration_since(Instant::now());
    let left = Timespec::try_from(left).map_err(io::Error::other)?;
    let open = pipes.iter().filter_map(|pipe| pipe.file.as_ref());
    let mut fds: Vec<PollFd<'_>> =
        end.into_iter().chain(open).map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    match poll(&mut fds, Some(&left)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    let is_ended = end.is_some() && fds.first().is_some_and(|fd| !fd.revents().is_empty());
    drop(fds);
    pipes.iter_mut().try_for_each(|pipe| pipe.read())?;
    Ok(is_ended)
}

/// One of a program's outputs, and what has come of it.
struct Pipe {
    /// `None` once nobody has it open any more.
    file: Option<OwnedFd>,
    bytes: Vec<u8>,
}

impl Pipe {
    fn new(output: Option<impl Into<OwnedFd>>) -> io::Result<Self> {
        let file = output.map(Into::into);
        if let Some(file) = &file {
            ioctl_fionbio(file, true)?;
        }
        Ok(Self { file, bytes: Vec::new() })
    }

    fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Takes what is in it, without waiting.
    fn read(&mut self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        self.bytes.reserve(PIPE);
        match rustix::io::read(file, spare_capacity(&mut self.bytes)) {
            Ok(0) => self.file = None,
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(())
    }
}

/// A program need not read its input: what it does not take is dropped.
fn write_in_background(pipe: Option<ChildStdin>, bytes: Vec<u8>) -> io::Result<()> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    thread::Builder::new().spawn(move || pipe.write_all(&bytes).ok())?;
    Ok(())
}
