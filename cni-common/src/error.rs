//! The one error type of the suite and the only table of error codes.
//!
//! The code is set where the cause is known; [`Context`] adds what was being done to which object.
//! This module prints nothing and knows no plugin.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use nix::errno::Errno;

/// `Result` with the suite's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The codes of the CNI specification (section 2, "Error") and, from 100 on, the suite's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Code {
    /// The configuration's `cniVersion` is not spoken, or does not have the command.
    IncompatibleVersion = 1,
    /// A key or value of the configuration is not supported; the message names both.
    UnsupportedField = 2,
    /// The container is unknown: the caller need not clean up.
    UnknownContainer = 3,
    /// A `CNI_*` variable is missing or malformed.
    InvalidEnvironment = 4,
    /// Reading or writing files, pipes or standard streams failed.
    Io = 5,
    /// Not JSON, or a value of another JSON type than the key takes.
    Decode = 6,
    /// A value of the configuration is not valid.
    InvalidConfig = 7,
    /// `CNI_NETNS` names no network namespace, or the plugin's own.
    InvalidNetns = 8,
    /// Try again later.
    TryAgainLater = 11,
    /// The plugin cannot serve ADD now (STATUS).
    NotAvailable = 50,
    /// The plugin cannot serve ADD now, and existing containers are limited too (STATUS).
    NotAvailableLimited = 51,
    /// The kernel refused a change of the network.
    Kernel = 100,
    /// Something that is there already is in the way: an interface, an address, a lease.
    Conflict = 101,
    /// CHECK found something other than what ADD had made.
    CheckFailed = 102,
    /// A delegate could not be run, or did not answer as a plugin does.
    Delegate = 103,
    /// No address is left in a range set.
    Exhausted = 104,
    /// A defect of the plugin itself.
    Internal = 999,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::IncompatibleVersion,
        Self::UnsupportedField,
        Self::UnknownContainer,
        Self::InvalidEnvironment,
        Self::Io,
        Self::Decode,
        Self::InvalidConfig,
        Self::InvalidNetns,
        Self::TryAgainLater,
        Self::NotAvailable,
        Self::NotAvailableLimited,
        Self::Kernel,
        Self::Conflict,
        Self::CheckFailed,
        Self::Delegate,
        Self::Exhausted,
        Self::Internal,
    ];

    /// The code of this number.
    pub fn of(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as u32 == number)
    }

    /// What it means.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::IncompatibleVersion => {
                "the plugin does not know the list's `cniVersion`, or that version does not have \
                 the command"
            }
            Self::UnsupportedField => {
                "a key or a value of the configuration is not supported; the message names \
                 both"
            }
            Self::UnknownContainer => "the container is not known",
            Self::InvalidEnvironment => {
                "a `CNI_*` variable is missing or malformed; the message names it"
            }
            Self::Io => "reading or writing a file, a pipe or a standard stream failed",
            Self::Decode => {
                "something is not JSON, or a value is of another JSON type than its key takes"
            }
            Self::InvalidConfig => {
                "a value of the configuration is not valid; the message names key and value"
            }
            Self::InvalidNetns => {
                "`CNI_NETNS` names something that is no network namespace, or the plugin's own"
            }
            Self::TryAgainLater => "another call holds a lock; the message names its process",
            Self::NotAvailable => "no ADD can succeed now; the message says why",
            Self::NotAvailableLimited => {
                "no ADD can succeed now, and running containers may be affected, too"
            }
            Self::Kernel => "the kernel refused a change of the network; the message says which",
            Self::Conflict => {
                "something that exists already is in the way: an interface, an address, a lease, \
                 a port"
            }
            Self::CheckFailed => "CHECK found that something is not as ADD made it",
            Self::Delegate => "another plugin could not be run, or did not answer as a plugin does",
            Self::Exhausted => "no address is left in a range set",
            Self::Internal => "a defect of the plugin itself",
        }
    }

    /// What an operator may do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::IncompatibleVersion => {
                "write a version into the list that all of its plugins and the runtime know: \
                 1.0.0"
            }
            Self::UnsupportedField => "remove the key, or give it a value that docs/plugins names",
            Self::UnknownContainer => "nothing: there is nothing to clean up",
            Self::InvalidEnvironment => {
                "the runtime sets it: look at the runtime's version, and at what is passed as \
                 `CNI_ARGS`"
            }
            Self::Io => {
                "look at the named path: its file system may be full, read-only or not mounted"
            }
            Self::Decode => "correct the network list at the key that is named",
            Self::InvalidConfig => "correct the network list at the key that is named",
            Self::InvalidNetns => {
                "the container may have ended meanwhile; else look at the runtime, which passes it"
            }
            Self::TryAgainLater => {
                "look at that process; if it hangs, end it: the next ADD or DEL undoes what it began"
            }
            Self::NotAvailable => "correct that, then ask STATUS again",
            Self::NotAvailableLimited => {
                "correct what the message names; `causeway check` may say more"
            }
            Self::Kernel => "look at what is named; the plugin needs the capability CAP_NET_ADMIN",
            Self::Conflict => {
                "the message says what, and whose it is; `causeway gc` removes what is dead"
            }
            Self::CheckFailed => "`causeway repair` puts back what a running container lacks",
            Self::Delegate => {
                "look whether it is in the folders of `CNI_PATH`, and what it prints when it is called by \
                 hand"
            }
            Self::Exhausted => {
                "`causeway gc` releases those of dead containers, `causeway pool` and `causeway ls` \
                 show who holds the others; if all live, give the network a larger range"
            }
            Self::Internal => "report it with the message; the call undid what it had done",
        }
    }
}

/// One failure: code, message, optional details, and the `errno` it came from if there was one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    code: u32,
    message: String,
    details: Option<String>,
    errno: Option<Errno>,
}

impl Error {
    /// An error with `code` and the message the caller shows to a person.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code: code as u32, message: message.into(), details: None, errno: None }
    }

    /// The error of a delegate, whose code is handed on as it came.
    pub(crate) fn from_delegate(
        code: u32,
        message: impl Into<String>,
        details: Option<String>,
    ) -> Self {
        Self { code, message: message.into(), details, errno: None }
    }

    /// An operation on a file that failed: `open /run/netns/blue: No such file or directory`.
    pub fn io(operation: &str, path: &Path, error: &std::io::Error) -> Self {
        let errno = error.raw_os_error().map(Errno::from_raw);
        let cause = errno.map_or_else(|| error.to_string(), describe);
        Self { errno, ..Self::new(Code::Io, format!("{operation} {}: {cause}", path.display())) }
    }

    /// A system call that failed; `code` says what that means for the caller.
    pub fn errno(code: Code, errno: Errno) -> Self {
        Self { errno: Some(errno), ..Self::new(code, describe(errno)) }
    }

    /// The same error with `details`, which callers print after the message.
    #[must_use]
    pub fn with_details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(match self.details.take() {
            Some(before) => format!("{before}; {}", details.into()),
            None => details.into(),
        });
        self
    }

    /// The same error under another code.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.code = code as u32;
        self
    }

    /// The same error, its message led by what was being done: `<doing>: <message>`.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// Several errors as one: the first leads, the others follow in the details. `Ok` if there are none.
    pub fn join(errors: impl IntoIterator<Item = Self>) -> Result<()> {
        let mut errors = errors.into_iter();
        let Some(first) = errors.next() else { return Ok(()) };
        let others = errors.filter(|next| !first.is_same_refusal(next)).collect::<Vec<_>>();
        Err(others.into_iter().fold(first, |all, next| all.with_details(next.to_string())))
    }

    /// The same error with what taking back the work so far met, if it met anything.
    ///
    /// A failure that says the same over again is left out.
    #[must_use]
    pub fn with_undo_failures(self, failures: Vec<Self>) -> Self {
        failures.into_iter().fold(self, |all, failure| {
            match failure.message == all.message || all.is_same_refusal(&failure) {
                true => all,
                false => all.with_details(format!("while undoing: {failure}")),
            }
        })
    }

    /// Whether the kernel refused both because the process may not change the network at all.
    fn is_same_refusal(&self, other: &Self) -> bool {
        self.is_without_capability() && other.is_without_capability()
    }

    /// Whether the kernel refused to change the network because the process may not.
    pub(crate) fn is_without_capability(&self) -> bool {
        self.is(Code::Kernel) && self.errno == Some(Errno::EPERM)
    }

    /// The numeric code of the error object.
    pub fn code(&self) -> u32 {
        self.code
    }

    /// The message of the error object.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The details of the error object.
    pub fn details(&self) -> Option<&str> {
        self.details.as_deref()
    }

    /// Whether the error has `code`.
    pub fn is(&self, code: Code) -> bool {
        self.code == code as u32
    }

    /// The `errno` that the error came from.
    pub fn raw_errno(&self) -> Option<Errno> {
        self.errno
    }

    /// Whether the object acted on was not there.
    pub fn is_not_found(&self) -> bool {
        use Errno::{EADDRNOTAVAIL, ENODEV, ENOENT, ENOTDIR, ENXIO, ESRCH};
        matches!(self.errno, Some(ENODEV | ENOENT | ENOTDIR | ENXIO | ESRCH | EADDRNOTAVAIL))
    }

    /// Whether the object to be made was there already.
    pub fn is_exists(&self) -> bool {
        self.errno == Some(Errno::EEXIST)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.details {
            Some(details) => write!(f, " ({details})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.errno.as_ref().map(|errno| errno as _)
    }
}

impl From<Errno> for Error {
    /// A system call that failed for a reason that is nobody's input.
    fn from(errno: Errno) -> Self {
        Self::errno(Code::Io, errno)
    }
}

/// The text of `errno` as the C library has it, with its name for looking up.
fn describe(errno: Errno) -> String {
    format!("{} ({errno:?})", errno.desc())
}

/// Adds what was being done to an error on its way up.
pub trait Context<T> {
    /// Leads the error's message with `doing`.
    fn context(self, doing: impl Into<Cow<'static, str>>) -> Result<T>;
    /// The same, computed only when there is an error.
    fn with_context<D: fmt::Display>(self, doing: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl Into<Cow<'static, str>>) -> Result<T> {
        self.map_err(|error| error.into().context(doing.into()))
    }

    fn with_context<D: fmt::Display>(self, doing: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| error.into().context(doing()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_leads_and_the_errno_stays_data() {
        let error = Error::errno(Code::Kernel, Errno::EEXIST)
            .context("add address 10.1.0.1/16 to \"cni0\"");
        assert_eq!(error.message(), "add address 10.1.0.1/16 to \"cni0\": File exists (EEXIST)");
        assert!(error.is_exists());
        assert_eq!(error.code(), 100);
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.downcast_ref(), Some(&Errno::EEXIST));
    }

    #[test]
    fn undo_failures_follow_in_the_details() {
        let failed = Error::new(Code::Kernel, "first").with_undo_failures(vec![
            Error::new(Code::Kernel, "second"),
            Error::new(Code::Kernel, "third"),
        ]);
        assert_eq!(failed.message(), "first");
        assert_eq!(failed.details(), Some("while undoing: second; while undoing: third"));
    }
}
