//! Diagnostics: one line each, on stderr or in a file, off unless asked for:
//!
//! ```text
//! causeway[4711]: 2026-11-24T08:05:09.042Z bridge ADD network=pods container=4f2a interface=eth0: ip link add …
//! ```
//!
//! stdout is the protocol and callers drop stderr, so nothing an operator needs may stand here
//! alone; it stands in the error's message and details.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::fcntl::OFlag;

use crate::spec::Object;

static SINK: OnceLock<Option<Sink>> = OnceLock::new();

/// What every line is about.
static CALL: OnceLock<String> = OnceLock::new();

enum Sink {
    Stderr,
    File(File),
}

/// Turns logging on when `CNI_DEBUG` is set or `config` has `logLevel` or `logFile`.
///
/// A log file that can't be opened is no reason to fail a container: stderr takes its place.
pub fn start(config: Option<&Object<'_>>) {
    let key = |name| config.and_then(|config| config.nonempty(name).ok().flatten());
    let level = key("logLevel").filter(|level| !level.eq_ignore_ascii_case("off"));
    let wanted = level.is_some() || std::env::var_os("CNI_DEBUG").is_some_and(|v| !v.is_empty());
    let sink = match key("logFile") {
        Some(path) => Some(
            OpenOptions::new()
                .create(true)
                .append(true)
                // A FIFO that nobody reads would never open.
                .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
                .open(path)
                .map_or(Sink::Stderr, Sink::File),
        ),
        None if wanted => Some(Sink::Stderr),
        None => None,
    };
    // Set before by an earlier call: the first decision stands.
    SINK.set(sink).ok();
}

/// Says which call of a plugin all lines are about; the first to say so stands.
pub fn about(call: impl FnOnce() -> String) {
    CALL.get_or_init(call);
}

/// Writes one line if logging is on; `line` is not computed otherwise.
pub fn debug<D: Display>(line: impl FnOnce() -> D) {
    let Some(Some(sink)) = SINK.get() else { return };
    // scripts/install knows this suite's executables by the first of these words.
    let (time, call) = (utc(SystemTime::now()), CALL.get().map_or("", String::as_str));
    let text = format!("causeway[{}]: {time} {call}: {}\n", std::process::id(), line());
    // A diagnostic that can't be written is lost; there is nowhere to say so.
    match sink {
        Sink::Stderr => std::io::stderr().write_all(text.as_bytes()).ok(),
        Sink::File(file) => (&*file).write_all(text.as_bytes()).ok(),
    };
}

/// A time as RFC 3339 has it, to the millisecond, in UTC.
fn utc(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (mut days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length || year == 9999 {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let (day, millis) = (days + 1, since.subsec_millis());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        let at =
            |seconds, millis: u32| utc(UNIX_EPOCH + Duration::new(seconds, millis * 1_000_000));
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400, 1), "2000-02-29T00:00:00.001Z");
        assert_eq!(at(1_709_251_199, 999), "2024-02-29T23:59:59.999Z");
        assert_eq!(at(1_735_689_599, 0), "2024-12-31T23:59:59.000Z");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01T00:00:00.000Z");
    }
}
