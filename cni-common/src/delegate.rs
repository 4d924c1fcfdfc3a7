//! Finding and running an IPAM plugin: same environment, same stdin bytes, stderr passed through.
//!
//! A plugin of this suite that its caller was built with is called in the caller's own process, when what
//! stands in `CNI_PATH` is the executable of that very build: the same code with the same answers, without
//! the start of a process. Everything else is run as a program.
//!
//! A delegate that is a program is somebody else's. Whatever it does, its caller gets a clear answer in
//! bounded time: it may hang, print nothing, garbage or megabytes, leave children behind that hold
//! its stdout, die by a signal, or report an error with exit status 0.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::error::{Code, Context, Error, Result};
use crate::log::{self, Beside};
use crate::skel::{self, Answer, Environment, Plugin, Request};
use crate::spec::{CniResult, Object, Version};
use crate::sys::attacher::Attacher;
use crate::sys::executable::{BuildId, has_build_id};
use crate::sys::process::{Limits, Supervised, Trouble, memory_file};
use crate::types::Given;

/// How much of what a delegate printed is shown when it makes no sense.
const MAX_SHOWN: usize = 200;

/// A delegate may take twice what `host-local` may wait for its pool's lock, which is far enough
/// below the kubelet's four minutes that an ADD's two calls and its undoing fit in. It may print
/// more than any result is long.
const LIMITS: Limits = Limits { timeout: Duration::from_secs(60), output: 1 << 20 };

/// A plugin that the calling one was built with.
pub struct BuiltIn {
    /// The plugin.
    pub plugin: &'static dyn Plugin,
    /// The build ID of its executable, where that was built from the same code.
    pub build_id: BuildId,
}

/// A delegate that was found, for calls about one request.
pub struct Delegate {
    name: String,
    program: PathBuf,
    /// The same plugin in this process, if `program` is of this build.
    built_in: Option<&'static dyn Plugin>,
    stdin: Vec<u8>,
    environment: Environment,
    version: Version,
}

/// A delegate that was started.
pub struct Running<'a> {
    delegate: &'a Delegate,
    work: Work,
}

enum Work {
    Process(Supervised, Beside),
    /// It ran in this process, and is done.
    Done(Result<Answer>),
}

impl Delegate {
    /// Looks `name` up in `CNI_PATH`: the first directory that has a file of that name. One of
    /// `built_ins` is called in this process if the file is its executable.
    pub fn find(name: &str, request: &Request<'_>, built_ins: &[BuiltIn]) -> Result<Self> {
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
        let program = find_file(name, directories)?;
        let is_it = |built_in: &&BuiltIn| {
            built_in.plugin.name() == name && has_build_id(&program, &built_in.build_id)
        };
        Ok(Self {
            name: name.to_owned(),
            built_in: built_ins.iter().find(is_it).map(|built_in| built_in.plugin),
            program,
            stdin: request.stdin.to_vec(),
            environment: request.environment.clone(),
            version: request.config.version,
        })
    }

    /// Tells the IPAM plugin who makes the attachment.
    pub fn set_attacher(&mut self, attacher: Option<Attacher>) {
        self.environment.attacher = attacher;
    }

    /// Whether its calls are done in this process, when they return.
    pub fn is_in_process(&self) -> bool {
        self.built_in.is_some()
    }

    /// Starts an ADD; a program runs while other work is done, until its result is fetched.
    pub fn start_add(&self) -> Result<Running<'_>> {
        self.start("ADD")
    }

    /// Runs a command that answers with nothing: DEL, CHECK, GC or STATUS.
    pub fn run(&self, command: &str) -> Result<()> {
        self.start(command)?.outcome().map(|_stdout| ())
    }

    fn start(&self, command: &str) -> Result<Running<'_>> {
        if let Some(plugin) = self.built_in {
            let call = (self.stdin.as_slice(), &self.environment);
            let answer = log::step(
                || format!("{command} {} in this process", self.program.display()),
                || skel::call_in_process(plugin, command, call),
            );
            return Ok(Running { delegate: self, work: Work::Done(answer) });
        }
        let step = Beside::begin(|| format!("{command} {}", self.program.display()));
        let process = self.start_program(command);
        match process {
            Ok(process) => Ok(Running { delegate: self, work: Work::Process(process, step) }),
            Err(error) => {
                let failed = Err(error);
                step.end(&failed);
                failed
            }
        }
    }

    fn start_program(&self, command: &str) -> Result<Supervised> {
        let stdin = memory_file(&self.stdin)
            .map_err(|error| Error::io("write", Path::new("memfd:cni-stdin"), &error))
            .context("prepare a delegate's stdin")?;
        let mut program = Command::new(&self.program);
        program.env("CNI_COMMAND", command).stdin(Stdio::from(stdin)).stderr(Stdio::inherit());
        if let Some(attacher) = &self.environment.attacher {
            program.env(skel::ATTACHER, attacher.to_string());
        }
        Supervised::start(&mut program, LIMITS)
            .map_err(|error| Error::io("run", &self.program, &error).with_code(Code::Delegate))
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
    /// What the pool's record says of the result's addresses, if the plugin ran in this process and keeps one.
    pub fn given(&self) -> Option<Given> {
        match &self.work {
            Work::Done(Ok(answer)) => answer.given,
            Work::Done(Err(_)) | Work::Process(..) => None,
        }
    }

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

    fn outcome(self) -> Result<Vec<u8>> {
        let delegate = self.delegate;
        let (process, step) = match self.work {
            Work::Process(process, step) => (process, step),
            Work::Done(answer) => {
                return answer.map(|answer| answer.text.into_bytes()).map_err(|error| {
                    // As it would have come from its program.
                    let details = error.details().map(str::to_owned);
                    Error::from_delegate(error.code(), error.message(), details)
                });
            }
        };
        let outcome = match process.outcome() {
            Ok((status, stdout)) => delegate.judge(status, stdout),
            Err(Trouble::TooMuch(most)) => {
                Err(delegate.fault(format!("printed more than {most} bytes")))
            }
            Err(Trouble::TooLong(limit)) => {
                Err(delegate.fault(format!("did not end within {} s", limit.as_secs())))
            }
            Err(Trouble::Io(error)) => Err(delegate.fault(format!("can't be watched: {error}"))),
        };
        step.end(&outcome);
        outcome
    }
}

/// The first file called `name`.
fn find_file(name: &str, directories: &[PathBuf]) -> Result<PathBuf> {
    let mut trouble = Vec::new();
    for path in directories.iter().map(|directory| directory.join(name)) {
        match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => return Ok(path),
            Ok(_other) => {}
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            // It may be there all the same.
            Err(error) => trouble.push(Error::io("look up", &path, &error).to_string()),
        }
    }
    let searched: Vec<_> = directories.iter().map(|dir| dir.display().to_string()).collect();
    let message = format!("failed to find plugin {name:?} in path [{}]", searched.join(" "));
    let error = Error::new(Code::Delegate, message);
    Err(if trouble.is_empty() { error } else { error.with_details(trouble.join("; ")) })
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
    format!("stdout begins {:?}", text.chars().take(MAX_SHOWN).collect::<String>())
}
