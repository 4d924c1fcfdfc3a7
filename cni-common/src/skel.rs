//! From environment and stdin to a plugin's answer on stdout.
//!
//! [`main`] is the whole `main` of a plugin. The order of checks: `CNI_COMMAND`, the variables the
//! command needs, stdin, the configuration's common keys, the version. Only this module writes
//! stdout, once; whatever happens, a failure prints one JSON error object and exits 1.

mod about;
mod environment;
mod panic;
mod stdio;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::allocator;
use crate::error::{Code, Context, Error, Result};
use crate::log::{self, About};
use crate::names;
use crate::spec::{CniArgs, CniResult, NetworkConfig, Object, ValidAttachments, Version, reply};
use crate::sys::attacher;
use crate::sys::byte_lock::ByteLock;
use crate::sys::netns::OwnNetns;
use crate::sys::removal;
use crate::sys::{Netlink, Netns};
use crate::types::{Attachment, Given};
use crate::undo::retry_once;

pub(crate) use environment::ATTACHER;
use environment::Command;
pub use environment::Environment;
pub use panic::caught;

/// A plugin: what it is called, and what it does for each command.
pub trait Plugin: Sync {
    /// The executable's name.
    fn name(&self) -> &'static str;

    /// What it is for, in one line: its package's description.
    fn purpose(&self) -> &'static str;

    /// The versions it speaks.
    fn versions(&self) -> &'static [Version] {
        &Version::ALL
    }

    /// Whether the value of `CNI_IFNAME` means anything to it.
    fn reads_ifname(&self) -> bool {
        true
    }

    /// Makes the attachment.
    fn add(&self, request: &AttachmentRequest<'_>) -> Result<Added>;

    /// Takes the attachment away; what is missing already is done.
    fn del(&self, request: &AttachmentRequest<'_>) -> Result<()>;

    /// Compares the attachment with what ADD had made of it.
    fn check(&self, request: &AttachmentRequest<'_>) -> Result<()>;

    /// Removes what belongs to the network and to none of `valid`. Without a list, which some
    /// callers send, nothing is said about anybody: only what is proved to be dead goes.
    fn gc(&self, request: &Request<'_>, valid: Option<&ValidAttachments<'_>>) -> Result<()>;

    /// Fails when an ADD can't be served now.
    fn status(&self, request: &Request<'_>) -> Result<()>;
}

/// What a call of any command comes with.
pub struct Request<'a> {
    /// The configuration.
    pub config: NetworkConfig<'a>,
    /// The configuration as it came, for a delegate's stdin.
    pub stdin: &'a [u8],
    /// The variables.
    pub environment: &'a Environment,
}

impl Request<'_> {
    /// `CNI_ARGS`, checked (code 4).
    pub fn args(&self) -> Result<CniArgs> {
        CniArgs::parse(&self.environment.args)
    }
}

/// What ADD, DEL and CHECK come with besides.
pub struct AttachmentRequest<'a> {
    /// What every command comes with.
    pub request: Request<'a>,
    /// Which attachment.
    pub attachment: Attachment,
    /// `CNI_NETNS`; always there on ADD and CHECK.
    pub netns: Option<PathBuf>,
}

impl AttachmentRequest<'_> {
    /// `prevResult`, where the command can't do without; each plugin says that it is `missing` in
    /// its own words (code 7).
    pub fn required_prev_result(&self, missing: &str) -> Result<CniResult> {
        let previous = self.request.config.prev_result()?;
        previous.ok_or_else(|| Error::new(Code::InvalidConfig, missing))
    }

    /// `prevResult` for a DEL, which no fault of it may stop: one that can't be read says nothing.
    pub fn known_prev_result(&self) -> Option<CniResult> {
        self.request.config.prev_result().ok().flatten()
    }

    /// The container's namespace and a socket inside it, for ADD and CHECK (code 8).
    pub fn open_netns(&self) -> Result<(Netns, Netlink)> {
        let path = self.netns.as_deref().ok_or_else(|| {
            Error::new(Code::InvalidEnvironment, "required env variables [CNI_NETNS] missing")
        })?;
        log::step(|| format!("open {}", path.display()), || Netns::open(path, self.own_netns()))
    }

    /// The container's namespace for a DEL, if there still is one; code 8 only for the plugin's own.
    pub fn open_netns_if_present(&self) -> Result<Option<Netns>> {
        match &self.netns {
            Some(path) => Netns::open_if_present(path, self.own_netns()),
            None => Ok(None),
        }
    }

    /// Waits until no other ADD or DEL of the attachment runs, for plugins that keep to it
    /// (`docs/decisions/0022`). `None` where there can't be a lock.
    pub fn lock(&self) -> Result<Option<ByteLock>> {
        attacher::lock(names::lock_offset(&self.attachment), &self.attachment)
    }

    /// Whether `CNI_NETNS` may be the plugin's own namespace.
    fn own_netns(&self) -> OwnNetns {
        match self.request.environment.netns_override {
            true => OwnNetns::Allowed,
            false => OwnNetns::Refused,
        }
    }
}

/// An attachment whose result is still to be printed.
pub struct Added {
    result: CniResult,
    made: Box<dyn Made>,
    given: Option<Given>,
}

impl Added {
    /// `result` is printed; if that fails, `made` is rolled back.
    pub fn new(result: CniResult, made: impl Made + 'static) -> Self {
        Self { result, made: Box::new(made), given: None }
    }

    /// Does `work`, whose result is printed. If it fails, or panics, or the printing fails, `made` is rolled
    /// back.
    pub fn attempt<M: Made + 'static>(
        mut made: M,
        work: impl FnOnce(&mut M) -> Result<CniResult>,
    ) -> Result<Self> {
        match caught(|| work(&mut made)) {
            Ok(result) => Ok(Self::new(result, made)),
            Err(error) => Err(error.with_undo_failures(made.rollback())),
        }
    }

    /// Of an IPAM plugin: what its pool's record says of the addresses, where it keeps one. Only a plugin that
    /// called it in its own process is told.
    pub fn with_given(self, given: Option<Given>) -> Self {
        Self { given, ..self }
    }
}

/// What an ADD has made, until its caller has been told. Exactly one of the two methods is called,
/// once.
pub trait Made {
    /// Undoes all of it; returns what could not be undone.
    fn rollback(&mut self) -> Vec<Error>;

    /// Called when the result is printed, the last thing the process does: from then on the
    /// attachment is finished, and a second ADD is a duplicate.
    fn settle(&mut self) {}
}

/// A rollback alone, with nothing to settle.
impl<F: FnMut() -> Vec<Error>> Made for F {
    fn rollback(&mut self) -> Vec<Error> {
        self()
    }
}

/// Runs `plugin` for this process's environment and stdin.
pub fn main(plugin: &dyn Plugin) -> ExitCode {
    allocator::reserve();
    panic::record_instead_of_printing();
    removal::allow_children();
    let mut asked = Version::LATEST;
    let outcome = caught(|| run(plugin, &mut asked));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error = match error.is_without_capability() {
                true => error.with_details("the plugin needs the capability CAP_NET_ADMIN"),
                false => error,
            };
            let text = reply::print_error(&error, asked);
            log::end(&Err::<(), _>(error));
            // Once more if the first write met some passing trouble. A caller that closed stdout
            // gets the exit status, which is all that is left to give.
            retry_once(|| stdio::print(&text)).ok();
            ExitCode::FAILURE
        }
    }
}

fn run(plugin: &dyn Plugin, asked: &mut Version) -> Result<()> {
    let environment = Environment::read()?;
    let Some(word) = environment.command.as_deref() else {
        return about::answer(plugin);
    };
    let outcome = answer(plugin, word, &environment, asked);
    if outcome.is_err() {
        // Of a call that has failed before it had a configuration, with CNI_DEBUG.
        log::start(None, || about_call(plugin, None, &environment));
    }
    outcome
}

fn answer(
    plugin: &dyn Plugin,
    word: &str,
    environment: &Environment,
    asked: &mut Version,
) -> Result<()> {
    let command = Command::find(word)?;
    command.require(environment)?;
    let stdin = stdio::read(command)?;
    if command == Command::Version {
        return answer_version(plugin, &stdin);
    }
    let request = request(plugin, command, (&stdin, environment), asked)?;
    match command {
        Command::Add => {
            let version = request.config.version;
            let added = plugin.add(&attachment_request(plugin, request)?)?;
            finish(added, version)
        }
        other => {
            let outcome = dispatch(plugin, other, request);
            if outcome.is_ok() {
                log::end(&outcome);
            }
            outcome
        }
    }
}

/// What the log says of a call.
fn about_call(plugin: &dyn Plugin, keys: Option<&Object<'_>>, from: &Environment) -> About {
    let name = keys.and_then(|keys| keys.string("name").ok().flatten());
    let command = from.command.clone().unwrap_or_default();
    let is_of_network = matches!(command.as_str(), "GC" | "STATUS");
    let of_attachment = |value: &String| if is_of_network { String::new() } else { value.clone() };
    About {
        plugin: plugin.name().to_owned(),
        command,
        network: name.unwrap_or_default(),
        container: of_attachment(&from.container_id),
        interface: of_attachment(&from.ifname),
    }
}

/// What a plugin answers to another one that called it in its own process.
pub(crate) struct Answer {
    /// What its executable would have printed.
    pub(crate) text: String,
    /// See [`Added::with_given`].
    pub(crate) given: Option<Given>,
}

/// What `plugin` answers to a command in the process of another plugin, which delegates to it: the same as its
/// executable would print, and an error instead of its error object.
pub(crate) fn call_in_process(
    plugin: &dyn Plugin,
    command: &str,
    (stdin, environment): (&[u8], &Environment),
) -> Result<Answer> {
    let answer = || {
        let command = Command::find(command)?;
        let mut asked = Version::LATEST;
        let request = request(plugin, command, (stdin, environment), &mut asked)?;
        if command != Command::Add {
            let nothing = |()| Answer { text: String::new(), given: None };
            return dispatch(plugin, command, request).map(nothing);
        }
        let version = request.config.version;
        let mut added = plugin.add(&attachment_request(plugin, request)?)?;
        match added.result.print(version) {
            Ok(text) => {
                added.made.settle();
                Ok(Answer { text, given: added.given })
            }
            Err(error) => Err(error.with_undo_failures(added.made.rollback())),
        }
    };
    log::call((plugin.name(), command), || caught(answer))
}

/// Reads and checks the configuration. `asked` becomes the version that an error is to be printed in.
fn request<'a>(
    plugin: &dyn Plugin,
    command: Command,
    (stdin, environment): (&'a [u8], &'a Environment),
    asked: &mut Version,
) -> Result<Request<'a>> {
    let text = std::str::from_utf8(stdin)
        .map_err(|error| Error::new(Code::Decode, format!("network configuration: {error}")))?;
    let keys = Object::parse(text, "network configuration")?;
    log::start(Some(&keys), || about_call(plugin, Some(&keys), environment));
    if let Ok(Some(version)) = keys.string("cniVersion") {
        *asked = Version::find(&version).unwrap_or(Version::LATEST);
    }
    let config = NetworkConfig::parse(keys, plugin.versions())?;
    command.refuse_below(config.version)?;
    Ok(Request { config, stdin, environment })
}

/// Every command but ADD, which alone has an answer that its caller may not hear.
fn dispatch(plugin: &dyn Plugin, command: Command, request: Request<'_>) -> Result<()> {
    match command {
        Command::Del => plugin.del(&attachment_request(plugin, request)?),
        Command::Check => plugin.check(&attachment_request(plugin, request)?),
        Command::Gc => plugin.gc(&request, ValidAttachments::parse(&request.config.keys)?.as_ref()),
        Command::Status => plugin.status(&request),
        Command::Add | Command::Version => Ok(()),
    }
}

/// Prints the result; an attachment that its caller can't learn of is rolled back.
fn finish(mut added: Added, version: Version) -> Result<()> {
    let printed = added.result.print(version).and_then(|text| stdio::print(&text));
    if let Err(error) = printed {
        return Err(error.with_undo_failures(added.made.rollback()));
    }
    // Nothing is tidied up between here and the end: a process killed in between would have made
    // an attachment of which its caller knows only that the plugin was killed.
    added.made.settle();
    log::end(&Ok(()));
    std::process::exit(0)
}

fn attachment_request<'a>(
    plugin: &dyn Plugin,
    request: Request<'a>,
) -> Result<AttachmentRequest<'a>> {
    let environment = request.environment;
    let attachment = Attachment {
        network: request.config.name.clone(),
        container: environment.container_id.parse().context("CNI_CONTAINERID")?,
        // A plugin that does not read the name gets the one interface that every namespace has.
        ifname: match plugin.reads_ifname() {
            true => environment.ifname.parse().context("CNI_IFNAME")?,
            false => "lo".parse()?,
        },
    };
    let netns = environment.netns.clone();
    Ok(AttachmentRequest { request, attachment, netns })
}

fn answer_version(plugin: &dyn Plugin, stdin: &[u8]) -> Result<()> {
    // Whatever is not a configuration with a version in it asks for nothing in particular.
    let text = std::str::from_utf8(stdin).unwrap_or_default();
    let asked = Object::parse(text, "network configuration")
        .ok()
        .and_then(|keys| keys.nonempty("cniVersion").ok().flatten());
    stdio::print(&reply::print_versions(asked.as_deref(), plugin.versions()))
}
