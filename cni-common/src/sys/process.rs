//! A child process whose output, time and way of ending are bounded. Knows no program by name.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// What is in the pipe when the process has ended is read at once; a child it left behind that
/// keeps the pipe open is not waited for longer than this.
const LEFT_BEHIND_TIMEOUT: Duration = Duration::from_millis(100);
/// Read at a time: a plugin's result is smaller.
const CHUNK: usize = 8192;

/// Why a process has no outcome. It is ended and waited for by then.
pub(crate) enum Trouble {
    /// It printed more than this many bytes.
    TooMuch(usize),
    /// It did not end within this time.
    TooLong(Duration),
    /// It could not be watched.
    Io(std::io::Error),
}

/// What a process may take and print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How long it may take.
    pub(crate) timeout: Duration,
    /// How many bytes it may print.
    pub(crate) output: usize,
}

/// A running process with its stdout, and word of its end.
pub(crate) struct Supervised {
    limits: Limits,
    child: Child,
    stdout: ChildStdout,
    /// Readable when the process has ended, whatever other threads do with signals.
    end: Option<OwnedFd>,
    /// For where the former is forbidden: readable when any child has, told to one thread only.
    ends: SignalFd,
    deadline: Instant,
}

impl Supervised {
    /// Starts `command`, whose stdout is read here. Its time runs from now.
    pub(crate) fn start(command: &mut Command, limits: Limits) -> std::io::Result<Self> {
        // Blocked here, where it is read from a descriptor; `Command` unblocks it in the child.
        let mut ended = SigSet::empty();
        ended.add(Signal::SIGCHLD);
        ended.thread_block()?;
        let ends = SignalFd::with_flags(&ended, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
        let end = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).ok();
        let deadline = Instant::now() + limits.timeout;
        Ok(Self { limits, child, stdout, end, ends, deadline })
    }

    /// Waits for its end; what it printed, and how it ended.
    pub(crate) fn outcome(mut self) -> Result<(ExitStatus, Vec<u8>), Trouble> {
        let outcome = self.watch();
        if outcome.is_err() {
            // Ended by now or about to be: waited for either way, so that no zombie is left.
            self.child.kill().ok();
            self.child.wait().ok();
        }
        outcome
    }

    fn watch(&mut self) -> Result<(ExitStatus, Vec<u8>), Trouble> {
        let mut output = Vec::new();
        let mut open = true;
        let mut status = None;
        loop {
            match (status, open) {
                (Some(status), false) => return Ok((status, output)),
                (Some(_), true) => {
                    // It has ended; whoever it left behind may hold its stdout for ever.
                    let limit = self.deadline.min(Instant::now() + LEFT_BEHIND_TIMEOUT);
                    open = self.wait(open, limit)?.0 && self.read_chunk(&mut output)?;
                }
                (None, _) => {
                    let (readable, signalled) = self.wait(open, self.deadline)?;
                    if !readable && !signalled {
                        return Err(Trouble::TooLong(self.limits.timeout));
                    }
                    if readable {
                        open = self.read_chunk(&mut output)?;
                    }
                    if signalled {
                        status = self.reap()?;
                    }
                }
            }
        }
    }

    /// Waits until its stdout can be read or it has ended; neither when `limit` has passed.
    fn wait(&self, open: bool, limit: Instant) -> Result<(bool, bool), Trouble> {
        loop {
            let left = limit.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let end = self.end.as_ref().map_or(self.ends.as_fd(), AsFd::as_fd);
            let mut fds = vec![PollFd::new(end, PollFlags::POLLIN)];
            if open {
                fds.push(PollFd::new(self.stdout.as_fd(), PollFlags::POLLIN));
            }
            match poll(&mut fds, timeout) {
                Ok(_) => {
                    let any = |fd: Option<&PollFd<'_>>| fd.and_then(PollFd::any).unwrap_or(false);
                    return Ok((any(fds.get(1)), any(fds.first())));
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Trouble::Io(errno.into())),
            }
        }
    }

    /// Appends what can be read; `false` at the end.
    fn read_chunk(&mut self, output: &mut Vec<u8>) -> Result<bool, Trouble> {
        let mut chunk = [0; CHUNK];
        match self.stdout.read(&mut chunk) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(Trouble::Io(error)),
            Ok(count) => {
                output.extend_from_slice(chunk.get(..count).unwrap_or_default());
                if output.len() > self.limits.output {
                    return Err(Trouble::TooMuch(self.limits.output));
                }
                Ok(count > 0)
            }
        }
    }

    /// Its status, if it is what ended.
    fn reap(&mut self) -> Result<Option<ExitStatus>, Trouble> {
        // The signal only says to look; what it carries does not matter.
        self.ends.read_signal().ok();
        loop {
            match self.child.try_wait() {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => return other.map_err(Trouble::Io),
            }
        }
    }
}

/// `bytes` as a file in memory: a process can read them at its own pace, or not at all.
pub(crate) fn memory_file(bytes: &[u8]) -> std::io::Result<File> {
    let mut file = File::from(memfd_create("cni-stdin", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}
