//! The log: what a call does, step by step, each step a line of JSON on stderr or in a file
//! (`docs/log.md`). Off unless it is asked for, and then nothing is formatted and no clock is read.
//!
//! stdout is the protocol and callers drop stderr, so nothing an operator needs may stand here
//! alone; it stands in the error's message and details. A line that can't be written is lost: no
//! call fails, or waits, for its log.

mod line;
mod reader;
mod scope;
mod sink;
mod time;
mod trace;

use std::fmt::Display;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::spec::Object;

pub use line::{Failure, Kind, Line, MAX_LINE, VERSION};
pub use reader::{Read, Reader};
use scope::Entered;
use sink::Sink;
use trace::Trace;

static LOG: OnceLock<Option<Log>> = OnceLock::new();

/// What every line is about: what came, whether or not it is valid.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The executable's name.
    pub plugin: String,
    /// `CNI_COMMAND`.
    pub command: String,
    /// `name` of the configuration.
    pub network: String,
    /// `CNI_CONTAINERID`, for commands that are about one.
    pub container: String,
    /// `CNI_IFNAME`, likewise.
    pub interface: String,
}

struct Log {
    sink: Sink,
    about: About,
    trace: Option<Trace>,
    /// Tells this call from all others: the process, and when it began.
    call: String,
    begun: Instant,
    next: AtomicU32,
}

/// Begins the log of a call if `CNI_DEBUG` is set or `config` has `logLevel` or `logFile`. The first
/// to say which call it is stands.
///
/// A log file that can't be had is no reason to fail a container: stderr takes its place.
pub fn start(config: Option<&Object<'_>>, about: impl FnOnce() -> About) {
    if LOG.get().is_some() {
        return;
    }
    let key = |name| config.and_then(|config| config.nonempty(name).ok().flatten());
    let level = key("logLevel");
    let is_off = level.as_ref().is_some_and(|level| level.eq_ignore_ascii_case("off"));
    let sink = match key("logFile").filter(|_| !is_off) {
        Some(path) => Some(Sink::file(path.as_ref())),
        None => {
            let is_asked = std::env::var_os("CNI_DEBUG").is_some_and(|value| !value.is_empty());
            ((level.is_some() && !is_off) || is_asked).then_some(Sink::Stderr)
        }
    };
    LOG.get_or_init(|| sink.map(|sink| Log::new(sink, about())));
    if let Some(log) = log() {
        log.write(Line { kind: Kind::Begin, ..log.line(Instant::now()) });
    }
}

/// Writes the last line of the call: what it came to.
pub fn end<T>(outcome: &Result<T>) {
    if let Some(log) = log() {
        let line = Line { kind: Kind::End, ..log.line(log.begun) };
        log.write(log.finished(line, log.begun, outcome));
    }
}

/// Writes down something that has no duration; `text` is not computed unless logging is on.
pub fn debug<D: Display>(text: impl FnOnce() -> D) {
    if let Some(log) = log() {
        let line = log.line(Instant::now());
        let (id, within) = (log.number(), Some(line.id));
        log.write(Line { kind: Kind::Note, id, within, step: text().to_string(), ..line });
    }
}

/// Does `work`, a step of the call that is named by `what`, and writes down how long it took and what it
/// came to. Steps that `work` does are within it.
pub fn step<T, D: Display>(
    what: impl FnOnce() -> D,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let Some(step) = Begun::new(what) else { return work() };
    let entered = Entered::step(step.line.id);
    let outcome = work();
    drop(entered);
    step.write(&outcome);
    outcome
}

/// The step that every ADD begins with: `parse` makes the plugin's own configuration out of the call's.
pub fn configuration_step<T>(parse: impl FnOnce() -> Result<T>) -> Result<T> {
    step(|| "read the configuration", parse)
}

/// Does `work`, a call of another plugin in this process, whose lines are that plugin's.
pub(crate) fn call<T>(
    (plugin, command): (&str, &str),
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let Some(log) = log() else { return work() };
    let begun = Instant::now();
    let (outer, id) = (log.line(begun), log.number());
    let entered = Entered::call(id, (plugin, command));
    let line = Line { id, within: Some(outer.id), ..log.line(begun) };
    log.write(Line { kind: Kind::Begin, ..line.clone() });
    let outcome = work();
    drop(entered);
    log.write(log.finished(Line { kind: Kind::End, ..line }, begun, &outcome));
    outcome
}

/// A step that runs beside others, until it is ended.
#[derive(Debug)]
pub(crate) struct Beside(Option<Box<Begun>>);

impl Beside {
    /// Begins it.
    pub(crate) fn begin<D: Display>(what: impl FnOnce() -> D) -> Self {
        Self(Begun::new(what).map(Box::new))
    }

    /// Writes it down.
    pub(crate) fn end<T>(self, outcome: &Result<T>) {
        if let Some(step) = self.0 {
            step.write(outcome);
        }
    }
}

/// A step at work.
#[derive(Debug)]
struct Begun {
    line: Line,
    begun: Instant,
}

impl Begun {
    /// `None` if there is no log.
    fn new<D: Display>(what: impl FnOnce() -> D) -> Option<Self> {
        let log = log()?;
        let step = what().to_string();
        let begun = Instant::now();
        let line = log.line(begun);
        let (id, within) = (log.number(), Some(line.id));
        Some(Self { line: Line { kind: Kind::Step, id, within, step, ..line }, begun })
    }

    fn write<T>(self, outcome: &Result<T>) {
        if let Some(log) = log() {
            log.write(log.finished(self.line, self.begun, outcome));
        }
    }
}

fn log() -> Option<&'static Log> {
    LOG.get()?.as_ref()
}

impl Log {
    fn new(sink: Sink, about: About) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let call = format!("{:x}-{:x}", std::process::id(), since.as_nanos());
        let trace = std::env::var("TRACEPARENT").ok().and_then(|value| Trace::parse(&value));
        let next = AtomicU32::new(1);
        Self { sink, about, trace, call, begun: Instant::now(), next }
    }

    /// What all lines of something that began at `begun` have: its ID is that of what it is within.
    fn line(&self, begun: Instant) -> Line {
        let About { plugin, command, network, container, interface } = self.about.clone();
        let (within, called) = scope::now();
        let (plugin, command) = called.unwrap_or((plugin, command));
        let (trace_id, parent_id) = self.trace.clone().map(Trace::into_ids).unzip();
        let start = begun.saturating_duration_since(self.begun);
        Line {
            call: self.call.clone(),
            pid: std::process::id(),
            plugin,
            command,
            network,
            container,
            interface,
            trace_id,
            parent_id,
            id: within,
            start_us: u64::try_from(start.as_micros()).unwrap_or(u64::MAX),
            ..Line::default()
        }
    }

    fn number(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn finished<T>(&self, line: Line, begun: Instant, outcome: &Result<T>) -> Line {
        let duration = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let failure = outcome.as_ref().err().map(failure);
        Line { duration_us: Some(duration), failure, ..line }
    }

    fn write(&self, line: Line) {
        self.sink.write(&Line { time: time::utc(SystemTime::now()), ..line }.print());
    }
}

fn failure(error: &Error) -> Failure {
    Failure {
        code: error.code(),
        message: error.message().to_owned(),
        details: error.details().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_computed_while_it_is_off() {
        let text = || -> String { panic!("the text of a step that nobody reads") };
        debug(text);
        assert_eq!(step(text, || Ok(7)), Ok(7));
        assert!(Beside::begin(text).0.is_none());
        assert_eq!(call(("host-local", "ADD"), || Ok(scope::now())), Ok((0, None)));
    }
}
