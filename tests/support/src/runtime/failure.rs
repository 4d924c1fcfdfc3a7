//! A call that failed, with all that the plugin said.

use std::fmt;

use serde_json::Value;

use crate::call::Answer;

/// Why the runtime could not do what it was asked.
#[derive(Clone, Debug)]
pub struct Failure {
    command: String,
    cause: Cause,
}

#[derive(Clone, Debug)]
enum Cause {
    /// No plugin was to blame.
    Runtime(String),
    /// A plugin ended with another status than 0.
    Plugin { name: String, config: String, answer: Box<Answer> },
}

impl Failure {
    pub(crate) fn of_runtime(command: &str, text: &str) -> Self {
        Self { command: command.to_owned(), cause: Cause::Runtime(text.to_owned()) }
    }

    pub(crate) fn of_plugin(name: &str, command: &str, config: &Value, answer: Answer) -> Self {
        let (name, config) = (name.to_owned(), config.to_string());
        let cause = Cause::Plugin { name, config, answer: Box::new(answer) };
        Self { command: command.to_owned(), cause }
    }

    /// The plugin that failed, if it was one.
    pub fn plugin(&self) -> Option<&str> {
        match &self.cause {
            Cause::Runtime(_) => None,
            Cause::Plugin { name, .. } => Some(name),
        }
    }

    /// The error object that the plugin printed; `null` when it was no plugin or printed none.
    pub fn object(&self) -> Value {
        match &self.cause {
            Cause::Runtime(_) => Value::Null,
            Cause::Plugin { answer, .. } => {
                serde_json::from_str(&answer.stdout()).unwrap_or_default()
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Runtime(text) => write!(f, "{}: {text}", self.command),
            Cause::Plugin { name, config, answer } => {
                write!(f, "plugin {name:?} failed ({})\n{answer}--- stdin\n{config}", self.command)
            }
        }
    }
}

impl std::error::Error for Failure {}
