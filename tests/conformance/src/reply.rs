//! What a plugin answered to one call, judged by the rules that hold for every answer. Pure.

use serde_json::{Map, Value};
use testsupport::Answer;

/// Why a check did not pass.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finding {
    /// The plugin breaks the rule: what was seen.
    Failed(String),
    /// Nothing is known: why it could not be looked at.
    NotRun(String),
}

/// What a check comes to.
pub type Verdict = Result<(), Finding>;

/// The plugin breaks the rule.
pub(crate) fn failed<T>(text: impl Into<String>) -> Result<T, Finding> {
    Err(Finding::Failed(text.into()))
}

/// The check can't be made here.
pub(crate) fn not_run<T>(text: impl Into<String>) -> Result<T, Finding> {
    Err(Finding::NotRun(text.into()))
}

/// Fails with `text` unless `holds`.
pub(crate) fn require(holds: bool, text: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { failed(text()) }
}

/// The most of an output that a message shows.
const SHOWN: usize = 400;

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// The call in words: `DEL without CNI_NETNS`.
    pub(crate) call: String,
    answer: Answer,
}

impl Reply {
    pub(crate) fn new(call: String, answer: Answer) -> Self {
        Self { call, answer }
    }

    pub(crate) fn succeeded(&self) -> bool {
        self.answer.status() == Some(0)
    }

    pub(crate) fn stdout(&self) -> String {
        self.answer.stdout()
    }

    pub(crate) fn stderr(&self) -> String {
        self.answer.stderr()
    }

    /// Standard output as the one JSON object that it must be.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, Finding> {
        serde_json::from_str(&self.stdout()).map_err(|error| {
            Finding::Failed(format!("stdout is not one JSON object: {error}: {}", self.shown()))
        })
    }

    /// The code of the error that it printed, if it printed one.
    pub(crate) fn code(&self) -> Option<u64> {
        self.object().ok()?.get("code")?.as_u64()
    }

    /// Message and details of the error that it printed.
    pub(crate) fn message(&self) -> String {
        let object = self.object().unwrap_or_default();
        let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
        format!("{} {}", text("msg"), text("details"))
    }

    /// The rule is broken unless it succeeded.
    pub(crate) fn must_succeed(&self) -> Verdict {
        require(self.succeeded(), || self.shown())
    }

    /// The rule is broken unless it failed.
    pub(crate) fn must_fail(&self) -> Verdict {
        require(!self.succeeded(), || format!("no error: {}", self.shown()))
    }

    /// The check can't be made unless it succeeded.
    pub(crate) fn expect_success(&self) -> Verdict {
        if self.succeeded() { Ok(()) } else { not_run(self.shown()) }
    }

    /// The check can't be made unless it failed.
    pub(crate) fn expect_failure(&self) -> Verdict {
        if self.succeeded() { not_run(format!("no error: {}", self.shown())) } else { Ok(()) }
    }

    /// Call, exit status and outputs on one line.
    pub(crate) fn shown(&self) -> String {
        let status = match self.answer.status() {
            Some(status) => format!("exit status {status}"),
            None => "ended by a signal".to_owned(),
        };
        let mut text = format!("{}: {status}", self.call);
        for (name, output) in [("stdout", self.stdout()), ("stderr", self.stderr())] {
            let output = one_line(&output);
            if !output.is_empty() {
                text.push_str(&format!(", {name} {output}"));
            }
        }
        text
    }
}

/// A text on one line, its end left out where it is long.
pub(crate) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}
