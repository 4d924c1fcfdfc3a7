//! Runs a program under ptrace, follows all its processes and threads from one system call to the
//! next, and makes exactly one fault happen. Knows nothing of plugins.

mod followed;
mod watchdog;

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::fault::How;
use crate::registers;
use crate::site::{self, Site};
use followed::{Followed, Made, Thread};
use watchdog::Watchdog;

/// The first argument that makes this program the launcher of another, see [`launch`].
pub(crate) const LAUNCH: &str = "launch";
/// Longer than the minute that a hanging delegate is given, whatever it is that hangs.
const LIMIT: Duration = Duration::from_secs(100);

/// How a traced run went.
#[derive(Debug)]
pub(crate) struct Run {
    /// The exit status; `None` when a signal ended it.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// Every system call, in the order they were made, and whether its process had begun to work.
    pub(crate) sites: Vec<(Site, Stage)>,
    /// Whether the run came by the place of the fault.
    pub(crate) reached: bool,
    /// The processes that ended after the program itself.
    pub(crate) outlived: Vec<String>,
    /// Whether all was killed because it took too long.
    pub(crate) hung: bool,
    pub(crate) took: Duration,
}

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// In the C library's or Rust's start-up, before the program's own first call.
    Starting,
    /// In the program itself.
    Working,
}

/// Becomes `program`, traced by the parent from then on: a process can't be born traced without
/// code that runs between fork and exec.
pub(crate) fn launch(program: &str) -> std::io::Error {
    match ptrace::traceme().and_then(|()| raise(Signal::SIGSTOP)) {
        Ok(()) => Command::new(program).exec(),
        Err(errno) => errno.into(),
    }
}

/// Runs `program`, with the environment and so on of `command`, a command of this very executable.
/// Its output goes to files in `folder`.
pub(crate) fn run(
    mut command: Command,
    stdin: &[u8],
    folder: &Path,
    fault: Option<(&Site, How)>,
) -> Run {
    let (input, output, errors) =
        (folder.join("stdin"), folder.join("stdout"), folder.join("stderr"));
    std::fs::write(&input, stdin).expect("write the program's stdin");
    command.stdin(File::open(&input).expect("open the program's stdin"));
    command.stdout(File::create(&output).expect("create the program's stdout"));
    command.stderr(Stdio::from(File::create(&errors).expect("create the program's stderr")));
    let begun = Instant::now();
    let root = start(&mut command);
    let mut tracer = Tracer {
        followed: Followed::of(root),
        fault,
        reached: false,
        sites: Vec::new(),
        watchdog: Watchdog::start(LIMIT),
        ended: None,
        outlived: Vec::new(),
    };
    tracer.watchdog.watch(root);
    tracer.follow(root);
    let Tracer { sites, reached, ended, outlived, watchdog, .. } = tracer;
    Run {
        status: ended.flatten(),
        stdout: std::fs::read(&output).expect("read the program's stdout"),
        stderr: std::fs::read(&errors).expect("read the program's stderr"),
        sites,
        reached,
        outlived,
        hung: watchdog.has_bitten(),
        took: begun.elapsed(),
    }
}

#[expect(clippy::zombie_processes, reason = "the tracer waits for it, and for all that it starts")]
fn start(command: &mut Command) -> Pid {
    let child = command.spawn().expect("start the launcher");
    Pid::from_raw(child.id().cast_signed())
}

struct Tracer<'a> {
    followed: Followed,
    fault: Option<(&'a Site, How)>,
    reached: bool,
    sites: Vec<(Site, Stage)>,
    watchdog: Watchdog,
    /// How the program itself ended, once it has.
    ended: Option<Option<i32>>,
    outlived: Vec<String>,
}

impl Tracer<'_> {
    fn follow(&mut self, root: Pid) {
        loop {
            // Only what this thread has started: others trace, too.
            match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)) {
                Err(Errno::EINTR) => {}
                Err(Errno::ECHILD) => return,
                Err(errno) => panic!("waiting for traced processes: {errno}"),
                Ok(status) => {
                    self.see(status, root);
                    if self.followed.is_empty() {
                        return;
                    }
                }
            }
        }
    }

    fn see(&mut self, status: WaitStatus, root: Pid) {
        match status {
            WaitStatus::Exited(thread, code) => self.gone(thread, root, Some(code)),
            WaitStatus::Signaled(thread, _, _) => self.gone(thread, root, None),
            WaitStatus::PtraceSyscall(thread) => {
                self.step(thread);
                resume(thread, None);
            }
            WaitStatus::PtraceEvent(thread, _, event) => {
                self.event(thread, event);
                resume(thread, None);
            }
            WaitStatus::Stopped(thread, Signal::SIGSTOP) if thread == root && self.begin(root) => {
                resume(thread, None);
            }
            // A new thread or process; it goes on once it is known whose it is.
            WaitStatus::Stopped(thread, Signal::SIGSTOP) if !self.followed.has_begun(thread) => {
                if self.followed.begins(thread) {
                    resume(thread, None);
                }
            }
            WaitStatus::Stopped(thread, signal) => resume(thread, Some(signal)),
            other => panic!("unexpected: {other:?}"),
        }
    }

    /// Sets the options at the launcher's stop; `false` if that has been.
    fn begin(&mut self, root: Pid) -> bool {
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_EXITKILL;
        if self.followed.has_begun(root) {
            return false;
        }
        ptrace::setoptions(root, options).expect("set the tracer's options");
        self.followed.begins(root)
    }

    fn gone(&mut self, thread: Pid, root: Pid, status: Option<i32>) {
        if thread == root {
            self.ended = Some(status);
        } else if let (Some(_), Some(role)) = (self.ended, self.followed.role_of_leader(thread)) {
            // One that waits for the kernel ends with that; whether it does is seen by all ending.
            if !site::is_waiting(&role) {
                self.outlived.push(role);
            }
        }
        self.followed.ends(thread);
        self.watchdog.forget(thread);
    }

    fn event(&mut self, thread: Pid, event: i32) {
        match event {
            libc::PTRACE_EVENT_CLONE | libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK => {
                // The new one's number; the parent may have been killed meanwhile.
                let Ok(new) = ptrace::getevent(thread) else { return };
                let new = Pid::from_raw(i32::try_from(new).expect("a process id"));
                self.watchdog.watch(new);
                let how = match event {
                    libc::PTRACE_EVENT_FORK => Made::ByFork,
                    _ => Made::ForAProgram,
                };
                if self.followed.adopt(thread, new, how) {
                    resume(new, None);
                }
            }
            libc::PTRACE_EVENT_EXEC => self.followed.executes(thread),
            _ => {}
        }
    }

    /// At the entry to a system call, or at its exit.
    fn step(&mut self, id: Pid) {
        let Some(thread) = self.followed.thread(id) else { return };
        if thread.at_exit() {
            let faulty = std::mem::take(&mut thread.faulty);
            let (process, argument) = (thread.process, thread.argument);
            if faulty {
                self.strike_at_exit(id, process, argument);
            }
            return;
        }
        // ESRCH: it was killed a moment ago.
        let Ok((number, arguments)) = registers::entered(id) else { return };
        let Some((site, stage)) = self.followed.enters(id, number, arguments) else { return };
        let here = !self.reached && self.fault.is_some_and(|(place, _)| *place == site);
        self.sites.push((site, stage));
        if here {
            self.reached = true;
            self.strike_at_entry(id, arguments[0]);
        }
    }

    fn strike_at_entry(&mut self, id: Pid, argument: u64) {
        let Some((place, how)) = self.fault else { return };
        let Some(thread) = self.followed.thread(id) else { return };
        thread.argument = argument;
        match how {
            How::Kill => kill_process(thread),
            How::KillAfter => thread.faulty = true,
            // Has no errno: it answers where the heap ends, as when it is asked for nothing.
            How::Fail(_) if place.call == "brk" => {
                thread.faulty = true;
                registers::set_argument(id, 0).expect("change a system call");
            }
            // The kernel closes whatever it then says.
            How::Fail(_) if place.call == "close" => thread.faulty = true,
            How::Fail(_) => {
                thread.faulty = true;
                registers::skip(id).expect("skip a system call");
            }
        }
    }

    fn strike_at_exit(&self, id: Pid, process: Pid, argument: u64) {
        match self.fault {
            Some((place, How::Fail(_))) if place.call == "brk" => {
                registers::set_argument(id, argument).expect("restore an argument");
            }
            Some((_, How::Fail(errno))) => {
                registers::answer(id, -i64::from(errno as i32)).expect("answer a system call");
            }
            _ => {
                kill(process, Signal::SIGKILL).ok();
            }
        }
    }
}

fn kill_process(thread: &Thread) {
    // Gone already: as good as killed.
    kill(thread.process, Signal::SIGKILL).ok();
}

/// Lets a thread go on to its next system call. One that was killed in the meantime can't.
fn resume(thread: Pid, signal: Option<Signal>) {
    match ptrace::syscall(thread, signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => panic!("resume {thread}: {errno}"),
    }
}
