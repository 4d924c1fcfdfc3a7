//! Diagnostics: one line each, on stderr or in a file, off unless asked for.
//!
//! stdout is the protocol and callers drop stderr, so nothing an operator needs may stand here
//! alone; it stands in the error's message and details.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::OnceLock;

use nix::fcntl::OFlag;

use crate::spec::Object;

static SINK: OnceLock<Option<Sink>> = OnceLock::new();

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

/// Writes one line if logging is on; `line` is not computed otherwise.
pub fn debug<D: Display>(line: impl FnOnce() -> D) {
    let Some(Some(sink)) = SINK.get() else { return };
    // scripts/install knows this suite's executables by the first of these words.
    let text = format!("causeway[{}]: {}\n", std::process::id(), line());
    // A diagnostic that can't be written is lost; there is nowhere to say so.
    match sink {
        Sink::Stderr => std::io::stderr().write_all(text.as_bytes()).ok(),
        Sink::File(file) => (&*file).write_all(text.as_bytes()).ok(),
    };
}
