//! Why a runtime could not do what it was asked, with all that a plugin said.

use std::fmt;
use std::io;
use std::path::Path;

use serde_json::Value;

use crate::process::Output;

/// A list that is none, a cache that can't be written, or a plugin that failed.
#[derive(Debug)]
pub struct Error(Cause);

#[derive(Debug)]
enum Cause {
    /// No plugin was to blame, and no system call.
    Other(String),
    /// A system call failed while this was being done.
    Io(String, io::Error),
    /// A plugin ended with another status than 0.
    Plugin(Box<Failed>),
}

/// A call that a plugin answered with an error.
#[derive(Debug)]
struct Failed {
    command: String,
    plugin: String,
    config: String,
    output: Output,
}

impl Error {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(Cause::Other(text.into()))
    }

    /// An operation on a file that failed.
    pub(crate) fn io(operation: &str, path: &Path, error: io::Error) -> Self {
        Self(Cause::Io(format!("{operation} {}", path.display()), error))
    }

    pub(crate) fn of_plugin(command: &str, plugin: &str, config: String, output: Output) -> Self {
        let (command, plugin) = (command.to_owned(), plugin.to_owned());
        Self(Cause::Plugin(Box::new(Failed { command, plugin, config, output })))
    }

    /// The plugin that failed, if it was one.
    pub fn plugin(&self) -> Option<&str> {
        match &self.0 {
            Cause::Other(_) | Cause::Io(..) => None,
            Cause::Plugin(failed) => Some(&failed.plugin),
        }
    }

    /// The error object that the plugin printed; `null` when it was no plugin or printed none.
    pub fn object(&self) -> Value {
        match &self.0 {
            Cause::Other(_) | Cause::Io(..) => Value::Null,
            Cause::Plugin(failed) => {
                serde_json::from_slice(&failed.output.stdout).unwrap_or_default()
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Other(text) => f.write_str(text),
            Cause::Io(doing, error) => write!(f, "{doing}: {error}"),
            Cause::Plugin(failed) => {
                let Failed { command, plugin, config, output } = &**failed;
                write!(f, "{command} of {plugin}: {output}--- stdin\n{config}")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Cause::Io(_, error) => Some(error),
            Cause::Other(_) | Cause::Plugin(_) => None,
        }
    }
}
