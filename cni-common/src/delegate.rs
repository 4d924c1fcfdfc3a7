//! Finding and running an IPAM plugin: same environment, same stdin bytes, stderr passed through.
//!
//! A delegate is somebody else's program. Whatever it does, its caller gets a clear answer in
//! bounded time: it may hang, print nothing, garbage or megabytes, leave children behind that hold
//! its stdout, die by a signal, or report an error with exit status 0.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::error::{Code, Context, Error, Result};
use crate::log;
use crate::skel::Request;
use crate::spec::{CniResult, Object, Version};

/// How long a delegate may take: twice what `host-local` may wait for its pool's lock, and far
/// enough below the kubelet's four minutes that an ADD's two calls and its undoing fit in.
const DEADLINE: Duration = Duration::from_secs(60);
/// What is in the pipe when the delegate has ended is read at once; a child it left behind that
/// keeps the pipe open is not waited for longer than this.
const GRACE: Duration = Duration::from_millis(100);
/// More than any result; a delegate that prints more is stopped.
const MOST_OUTPUT: usize = 1 << 20;
/// How much of what a delegate printed is shown when it makes no sense.
const SHOWN: usize = 200;

/// A delegate that was found, for calls about one request.
pub struct Delegate {
    name: String,
    program: PathBuf,
    stdin: Vec<u8>,
    version: Version,
    runtime: Runtime,
}

/// A delegate that is running.
pub struct Running<'a> {
    delegate: &'a Delegate,
    child: Child,
    stdout: ChildStdout,
}

impl Delegate {
    /// Looks `name` up in `CNI_PATH`: the first directory that has a file of that name.
    pub fn find(name: &str, request: &Request<'_>) -> Result<Self> {
        if name.contains(['/', '\0']) || matches!(name, "" | "." | "..") {
            return Err(Error::new(
                Code::InvalidConfig,
                format!("ipam.type: must be the name of an executable, got {name:?}"),
            ));
        }
        let directories = &request.environment.path;
        if directories.is_empty() {
            let message = "required env variables [CNI_PATH] missing";
            return Err(Error::new(Code::InvalidEnvironment, message)
                .with_details(format!("needed to find the IPAM plugin {name:?}")));
        }
        let candidates = directories.iter().map(|directory| directory.join(name));
        let program = candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| {
            let searched: Vec<_> =
                directories.iter().map(|dir| dir.display().to_string()).collect();
            let message =
                format!("failed to find plugin {name:?} in path [{}]", searched.join(" "));
            Error::new(Code::Delegate, message)
        })?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::new(Code::Io, format!("start an event loop: {error}")))?;
        Ok(Self {
            name: name.to_owned(),
            program,
            stdin: request.stdin.to_vec(),
            version: request.config.version,
            runtime,
        })
    }

    /// Starts an ADD; other work can be done until its result is fetched.
    pub fn start_add(&self) -> Result<Running<'_>> {
        self.start("ADD")
    }

    /// Runs a command that answers with nothing: DEL, CHECK, GC or STATUS.
    pub fn run(&self, command: &str) -> Result<()> {
        self.start(command)?.outcome().map(|_stdout| ())
    }

    fn start(&self, command: &str) -> Result<Running<'_>> {
        log::debug(|| format!("{command} {}", self.program.display()));
        let stdin = stdin_file(&self.stdin).context("prepare a delegate's stdin")?;
        let _in_runtime = self.runtime.enter();
        let spawned = Command::new(&self.program)
            .env("CNI_COMMAND", command)
            .stdin(Stdio::from(stdin))
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn();
        let mut child = spawned
            .map_err(|error| Error::io("run", &self.program, &error).with_code(Code::Delegate))?;
        let stdout = child.stdout.take().ok_or_else(|| self.fault("has no stdout"))?;
        Ok(Running { delegate: self, child, stdout })
    }

    fn fault(&self, what: impl std::fmt::Display) -> Error {
        Error::new(Code::Delegate, format!("IPAM plugin {:?} {what}", self.name))
            .with_details(self.program.display().to_string())
    }

    /// An error object, which delegates also print with exit status 0.
    fn reported(&self, stdout: &[u8]) -> Option<Error> {
        let object = Object::parse(std::str::from_utf8(stdout).ok()?, "error").ok()?;
        let code = object.integer("code").ok()?.and_then(|code| u32::try_from(code).ok())?;
        if code == 0 {
            return None;
        }
        let message = object.string("msg").ok()?.unwrap_or_default();
        let details = object.nonempty("details").ok().flatten();
        Some(Error::from_delegate(code, message, details))
    }

    fn judge(&self, status: ExitStatus, stdout: Vec<u8>) -> Result<Vec<u8>> {
        if let Some(error) = self.reported(&stdout) {
            return Err(error);
        }
        if status.success() {
            return Ok(stdout);
        }
        Err(self.fault(format!("failed without an error object ({status}); {}", shown(&stdout))))
    }
}

impl Running<'_> {
    /// Waits for an ADD's result.
    pub fn result(self) -> Result<CniResult> {
        let delegate = self.delegate;
        let stdout = self.outcome()?;
        let parsed = std::str::from_utf8(&stdout)
            .map_err(|error| Error::new(Code::Delegate, error.to_string()))
            .and_then(|text| parse_result(text, delegate.version));
        parsed.map_err(|error| {
            delegate
                .fault(format!("printed no result; {}", shown(&stdout)))
                .with_details(error.to_string())
        })
    }

    fn outcome(mut self) -> Result<Vec<u8>> {
        let delegate = self.delegate;
        let waited = delegate.runtime.block_on(async {
            let ended = timeout(DEADLINE, communicate(&mut self.child, &mut self.stdout)).await;
            if !matches!(ended, Ok(Ok(_))) {
                // Ended by now, or about to be: either way it is waited for and leaves no zombie.
                self.child.kill().await.ok();
            }
            ended
        });
        match waited {
            Ok(Ok((status, stdout))) => delegate.judge(status, stdout),
            Ok(Err(Trouble::TooMuch)) => {
                Err(delegate.fault(format!("printed more than {MOST_OUTPUT} bytes")))
            }
            Ok(Err(Trouble::Io(error))) => Err(delegate.fault(format!("can't be read: {error}"))),
            Err(_elapsed) => {
                Err(delegate.fault(format!("did not end within {} s", DEADLINE.as_secs())))
            }
        }
    }
}

enum Trouble {
    TooMuch,
    Io(std::io::Error),
}

/// Reads stdout until its end, or until shortly after the process's end.
async fn communicate(
    child: &mut Child,
    stdout: &mut ChildStdout,
) -> std::result::Result<(ExitStatus, Vec<u8>), Trouble> {
    let mut output = Vec::new();
    let mut status = None;
    let mut open = true;
    while open || status.is_none() {
        tokio::select! {
            biased;
            read = next_chunk(stdout, &mut output, status.is_some()), if open => open = read?,
            ended = child.wait(), if status.is_none() => match ended {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => status = Some(other.map_err(Trouble::Io)?),
            },
        }
    }
    let status = status.ok_or_else(|| Trouble::Io(std::io::ErrorKind::NotFound.into()))?;
    Ok((status, output))
}

/// Appends what comes next; `false` at the end.
async fn next_chunk(
    stdout: &mut ChildStdout,
    output: &mut Vec<u8>,
    has_ended: bool,
) -> std::result::Result<bool, Trouble> {
    let limit = if has_ended { GRACE } else { DEADLINE };
    match timeout(limit, stdout.read_buf(output)).await {
        Err(_elapsed) => Ok(false),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => Ok(true),
        Ok(Err(error)) => Err(Trouble::Io(error)),
        Ok(Ok(_)) if output.len() > MOST_OUTPUT => Err(Trouble::TooMuch),
        Ok(Ok(count)) => Ok(count > 0),
    }
}

/// `bytes` as a file in memory: a delegate can read them at its own pace, or not at all.
fn stdin_file(bytes: &[u8]) -> Result<File> {
    let file = memfd_create("cni-stdin", MFdFlags::MFD_CLOEXEC)?;
    let mut file = File::from(file);
    file.write_all(bytes)
        .and_then(|()| file.rewind())
        .map_err(|error| Error::io("write", Path::new("memfd:cni-stdin"), &error))?;
    Ok(file)
}

/// A result names its version itself; where it does not, it is the configuration's.
fn parse_result(text: &str, configured: Version) -> Result<CniResult> {
    let object = Object::parse(text, "IPAM result")?;
    let version = match object.nonempty("cniVersion")? {
        None => configured,
        Some(named) => Version::find(&named).ok_or_else(|| {
            Error::new(Code::IncompatibleVersion, format!("unknown result version {named:?}"))
        })?,
    };
    CniResult::parse(&object, version)
}

fn shown(stdout: &[u8]) -> String {
    if stdout.is_empty() {
        return "stdout is empty".to_owned();
    }
    let text = String::from_utf8_lossy(stdout);
    format!("stdout begins {:?}", text.chars().take(SHOWN).collect::<String>())
}
