//! A line of the log, written and read back (`docs/log.md` has its shape).

use std::fmt::Write;

use crate::error::{Code, Error, Result};
use crate::spec::Object;

/// The version of the shape: it counts up when a key goes or means something else.
pub const VERSION: u32 = 1;
/// The most bytes of a line with its break: what one `write` puts into a pipe whole (`PIPE_BUF`).
pub const MAX_LINE: usize = 4096;

/// Most bytes of a value as it is written, escapes included. All of them together, with keys and numbers,
/// are below [`MAX_LINE`]: a test adds them up.
const MAX_NAME: usize = 256;
const MAX_SHORT: usize = 64;
const MAX_STEP: usize = 1024;
const MAX_MESSAGE: usize = 1024;
const MAX_DETAILS: usize = 640;

/// What a line is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A call begins.
    Begin,
    /// A step is over.
    Step,
    /// Something that has no duration.
    #[default]
    Note,
    /// A call is over.
    End,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Begin, Self::Step, Self::Note, Self::End];

    fn word(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Step => "step",
            Self::Note => "note",
            Self::End => "end",
        }
    }
}

/// Why a call or a step failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// The code of the error object.
    pub code: u32,
    /// Its message.
    pub message: String,
    /// Its details; empty if there are none.
    pub details: String,
}

/// One line. Of texts, empty is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// When it was written, as RFC 3339 has it.
    pub time: String,
    /// Tells the process's call from all others.
    pub call: String,
    /// The process.
    pub pid: u32,
    /// The plugin.
    pub plugin: String,
    /// The command.
    pub command: String,
    /// The network.
    pub network: String,
    /// The container.
    pub container: String,
    /// The interface.
    pub interface: String,
    /// The trace that the call belongs to.
    pub trace_id: Option<String>,
    /// The span of the trace that made the call.
    pub parent_id: Option<String>,
    /// What the line is for.
    pub kind: Kind,
    /// The number of the call, step or note within the process; 0 is the process's own call.
    pub id: u32,
    /// What it is a part of.
    pub within: Option<u32>,
    /// What is done to which object.
    pub step: String,
    /// When it began, in microseconds since the call began.
    pub start_us: u64,
    /// How long it took, in microseconds.
    pub duration_us: Option<u64>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

impl Line {
    /// As one line of at most [`MAX_LINE`] bytes with its break, which is left to the writer.
    pub fn print(&self) -> String {
        // scripts/install and the packages know this suite's executables by the first of these words.
        let mut text = String::new();
        let mut put = |part: std::fmt::Arguments<'_>| text.write_fmt(part).ok();
        put(format_args!("{{\"causeway\":{VERSION},\"time\":{}", quoted(&self.time, MAX_SHORT)));
        put(format_args!(",\"call\":{},\"pid\":{}", quoted(&self.call, MAX_SHORT), self.pid));
        for (key, value, max) in [
            ("plugin", &self.plugin, MAX_SHORT),
            ("command", &self.command, MAX_SHORT),
            ("network", &self.network, MAX_NAME),
            ("container", &self.container, MAX_NAME),
            ("interface", &self.interface, MAX_SHORT),
            ("trace_id", self.trace_id.as_ref().unwrap_or(&String::new()), MAX_SHORT),
            ("parent_id", self.parent_id.as_ref().unwrap_or(&String::new()), MAX_SHORT),
        ] {
            if !value.is_empty() {
                put(format_args!(",\"{key}\":{}", quoted(value, max)));
            }
        }
        put(format_args!(",\"kind\":\"{}\",\"id\":{}", self.kind.word(), self.id));
        if let Some(within) = self.within {
            put(format_args!(",\"within\":{within}"));
        }
        if !self.step.is_empty() {
            put(format_args!(",\"step\":{}", quoted(&self.step, MAX_STEP)));
        }
        put(format_args!(",\"start_us\":{}", self.start_us));
        if let Some(duration) = self.duration_us {
            let outcome = if self.failure.is_some() { "failed" } else { "ok" };
            put(format_args!(",\"duration_us\":{duration},\"outcome\":\"{outcome}\""));
        }
        if let Some(Failure { code, message, details }) = &self.failure {
            put(format_args!(",\"code\":{code},\"message\":{}", quoted(message, MAX_MESSAGE)));
            if !details.is_empty() {
                put(format_args!(",\"details\":{}", quoted(details, MAX_DETAILS)));
            }
        }
        text.push('}');
        text
    }

    /// Reads a line; code 6 for what is none, or is of another version.
    pub fn parse(text: &str) -> Result<Self> {
        let object = Object::parse(text, "line of the log")?;
        let number = |key| unsigned(&object, key);
        let version = number("causeway")?;
        if version != Some(VERSION.into()) {
            let message = match version {
                Some(other) => format!("causeway: version {other} of the log is not known here"),
                None => "causeway: missing: not a line of the log".to_owned(),
            };
            return Err(Error::new(Code::Decode, message));
        }
        let text = |key| Ok::<_, Error>(object.string(key)?.unwrap_or_default());
        let word = text("kind")?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word);
        let kind =
            kind.ok_or_else(|| Error::new(Code::Decode, format!("kind: {word:?} is not known")))?;
        let small = |key| Ok::<_, Error>(u32::try_from(number(key)?.unwrap_or_default()).ok());
        let duration_us = number("duration_us")?;
        let failure = match small("code")? {
            Some(code) if object.has("code") && duration_us.is_some() => {
                Some(Failure { code, message: text("message")?, details: text("details")? })
            }
            _ => None,
        };
        let within = if object.has("within") { small("within")? } else { None };
        Ok(Self {
            time: text("time")?,
            call: text("call")?,
            pid: small("pid")?.unwrap_or_default(),
            plugin: text("plugin")?,
            command: text("command")?,
            network: text("network")?,
            container: text("container")?,
            interface: text("interface")?,
            trace_id: object.nonempty("trace_id")?,
            parent_id: object.nonempty("parent_id")?,
            kind,
            id: small("id")?.unwrap_or_default(),
            within,
            step: text("step")?,
            start_us: number("start_us")?.unwrap_or_default(),
            duration_us,
            failure,
        })
    }
}

fn unsigned(object: &Object<'_>, key: &str) -> Result<Option<u64>> {
    object
        .value(key)
        .map(|value| value.unsigned().map_err(|error| error.with_code(Code::Decode)))
        .transpose()
}

/// `text` as a JSON string of at most `max` bytes between its quotes; what is cut ends with `…`.
fn quoted(text: &str, max: usize) -> String {
    let length: usize = text.chars().map(written_length).sum();
    if length <= max {
        return serde_json::Value::from(text).to_string();
    }
    let (mut shown, mut left) = (String::new(), max - '…'.len_utf8());
    for c in text.chars() {
        let Some(rest) = left.checked_sub(written_length(c)) else { break };
        left = rest;
        shown.push(c);
    }
    shown.push('…');
    serde_json::Value::from(shown).to_string()
}

/// How many bytes a character is in a JSON string.
fn written_length(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(text: &str) -> Line {
        let own = || text.to_owned();
        Line {
            time: own(),
            call: own(),
            pid: u32::MAX,
            plugin: own(),
            command: own(),
            network: own(),
            container: own(),
            interface: own(),
            trace_id: Some(own()),
            parent_id: Some(own()),
            kind: Kind::Begin,
            id: u32::MAX,
            within: Some(u32::MAX),
            step: own(),
            start_us: u64::MAX,
            duration_us: Some(u64::MAX),
            failure: Some(Failure { code: u32::MAX, message: own(), details: own() }),
        }
    }

    #[test]
    fn the_longest_line_is_one_that_a_pipe_takes_whole() {
        for c in ["x", "é", "…", "🦀", "\"", "\\", "\n", "\0", "\u{1f}", "\u{7f}", "\u{2028}"]
        {
            let printed = full(&c.repeat(5000)).print();
            assert!(printed.len() < MAX_LINE, "{c:?}: {}", printed.len());
            assert!(printed.len() > MAX_LINE * 9 / 10, "{c:?}: {}", printed.len());
            assert!(!printed.contains('\n'), "{c:?}");
            let read = Line::parse(&printed).unwrap();
            assert!(read.step.ends_with('…') && read.step.starts_with(c), "{c:?}");
            assert_eq!(read.print(), printed, "{c:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for line in [full("a \"quote\",\na line"), Line::default()] {
            assert_eq!(Line::parse(&line.print()).unwrap(), line);
        }
        let failure = Some(Failure { code: 0, message: "no".to_owned(), details: String::new() });
        let line = Line { kind: Kind::End, duration_us: Some(0), failure, ..Line::default() };
        assert_eq!(Line::parse(&line.print()).unwrap(), line);
    }

    #[test]
    fn what_is_no_line_says_why() {
        for (text, fault) in [
            ("", "not a JSON object"),
            ("{}", "causeway: missing"),
            ("{\"causeway\":2,\"kind\":\"end\"}", "version 2 of the log"),
            ("{\"causeway\":1}", "kind: \"\" is not known"),
            ("{\"causeway\":1,\"kind\":\"end\",\"duration_us\":-1}", "duration_us"),
            ("{\"causeway\":1,\"kind\":\"end\",\"step\":7}", "step"),
        ] {
            let error = Line::parse(text).unwrap_err();
            assert!(error.is(Code::Decode) && error.message().contains(fault), "{text}: {error}");
        }
    }
}
