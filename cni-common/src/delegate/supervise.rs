//! A child process whose output, time and way of ending are bounded. Knows nothing of plugins.

use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// How long a delegate may take: twice what `host-local` may wait for its pool's lock, and far
/// enough below the kubelet's four minutes that an ADD's two calls and its undoing fit in.
const DEADLINE: Duration = Duration::from_secs(60);
/// What is in the pipe when the delegate has ended is read at once; a child it left behind that
/// keeps the pipe open is not waited for longer than this.
const GRACE: Duration = Duration::from_millis(100);
/// More than any result; a delegate that prints more is stopped.
const MOST_OUTPUT: usize = 1 << 20;
/// Read at a time: a result is smaller.
const CHUNK: usize = 8192;

/// Why a process has no outcome. It is ended and waited for by then.
pub(super) enum Trouble {
    /// It printed more than this many bytes.
    TooMuch(usize),
    /// It did not end within this time.
    TooLong(Duration),
    /// It could not be watched.
    Io(std::io::Error),
}

/// A running process with its stdout, and word of its end.
pub(super) struct Supervised {
    child: Child,
    stdout: ChildStdout,
    ends: SignalFd,
    deadline: Instant,
}

impl Supervised {
    /// Starts `command`, whose stdout is read here. Its time runs from now.
    pub(super) fn start(command: &mut Command) -> std::io::Result<Self> {
        // Blocked here, where it is read from a descriptor; `Command` unblocks it in the child.
        let mut ended = SigSet::empty();
        ended.add(Signal::SIGCHLD);
        ended.thread_block()?;
        let ends = SignalFd::with_flags(&ended, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
        Ok(Self { child, stdout, ends, deadline: Instant::now() + DEADLINE })
    }

    /// Waits for its end; what it printed, and how it ended.
    pub(super) fn outcome(mut self) -> Result<(ExitStatus, Vec<u8>), Trouble> {
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
                    let limit = self.deadline.min(Instant::now() + GRACE);
                    open = self.wait(open, limit)?.0 && self.read_chunk(&mut output)?;
                }
                (None, _) => {
                    let (readable, signalled) = self.wait(open, self.deadline)?;
                    if !readable && !signalled {
                        return Err(Trouble::TooLong(DEADLINE));
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
            let mut fds = vec![PollFd::new(self.ends.as_fd(), PollFlags::POLLIN)];
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
                if output.len() > MOST_OUTPUT {
                    return Err(Trouble::TooMuch(MOST_OUTPUT));
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
