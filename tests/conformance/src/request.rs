//! A call to be made of a plugin: the command, its variables, its configuration. Pure.

use serde_json::{Map, Value};

/// One call, which a check may make wrong in one point before it is made.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The call in words.
    pub(crate) shown: String,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) config: Map<String, Value>,
    /// On stdin instead of the configuration.
    pub(crate) raw: Option<String>,
}

impl Request {
    /// One with `CNI_COMMAND` alone.
    pub(crate) fn bare(command: &str) -> Self {
        let variables = vec![("CNI_COMMAND".to_owned(), command.to_owned())];
        Self { shown: command.to_owned(), variables, config: Map::new(), raw: None }
    }

    /// The same with a variable; the last value counts.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same in words of a check.
    pub(crate) fn called(mut self, shown: &str) -> Self {
        shown.clone_into(&mut self.shown);
        self
    }

    /// The same with a variable that the check is about.
    pub(crate) fn with_wrong(self, name: &str, value: &str) -> Self {
        let shown = format!("{} with {name}={value:?}", self.shown);
        self.with(name, value).called(&shown)
    }

    /// The same without a variable.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        let shown = format!("{} without {name}", self.shown);
        self.called(&shown)
    }

    /// The same with a key of the configuration.
    pub(crate) fn key(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.config.insert(name.to_owned(), value.into());
        self
    }

    /// The same without a key of the configuration.
    pub(crate) fn without_key(mut self, name: &str) -> Self {
        self.config.remove(name);
        let shown = format!("{} without {name}", self.shown);
        self.called(&shown)
    }

    /// The same with something else on stdin.
    pub(crate) fn raw(mut self, text: &str) -> Self {
        self.raw = Some(text.to_owned());
        self
    }
}
