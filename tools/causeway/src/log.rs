//! `causeway log`: what plugins have written down of their calls, for a person: a call as a tree of steps, each
//! with its duration and a bar.
//!
//! - `calls`: lines that belong together.
//! - `tree`: a call as text.
//! - `follow`: what comes, until it is ended.

mod calls;
mod follow;
mod tree;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use clap::Args;
use cni_common::log::{Kind, Line, Read, Reader};
use cni_common::{Code, Error, Result};
use cni_runtime::NetworkList;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::networks::Places;
use crate::output::{self, Form, Output};
use calls::{Call, Calls};

/// Damaged lines of a file that are named; more are counted.
const MAX_NAMED: usize = 5;
/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// Which calls, and of which log.
#[derive(Args, Debug)]
pub(crate) struct Wanted {
    /// Show calls as they end, from now on, until it is ended
    #[arg(long, short)]
    follow: bool,
    /// This log, instead of the `logFile` that the network lists name
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only of containers whose ID begins so
    #[arg(long, value_name = "ID")]
    container: Option<String>,
    /// Only of this network
    #[arg(long, value_name = "NETWORK")]
    network: Option<String>,
    /// Only calls that failed, or have no end
    #[arg(long)]
    failed: bool,
}

impl Wanted {
    fn is(&self, call: &Call) -> bool {
        let about = call.about();
        self.container.as_ref().is_none_or(|id| about.container.starts_with(id))
            && self.network.as_ref().is_none_or(|name| about.network == *name)
            && (!self.failed || call.end().is_none_or(|end| end.failure.is_some()))
    }
}

/// Shows them.
pub(crate) fn log(wanted: &Wanted, places: &Places, output: Output) -> Result<Exit> {
    let files = match &wanted.file {
        Some(file) => vec![file.clone()],
        None => named(places)?,
    };
    if files.is_empty() {
        let message = format!("no network list in {} names a logFile", places.conf_dir.display());
        return Err(Error::new(Code::InvalidConfig, message)
            .with_details("--file names a log; docs/log.md says how to have one"));
    }
    if wanted.follow {
        return follow::follow(&files, wanted, output);
    }
    let mut exit = Exit::OK;
    for path in &files {
        match show(path, wanted, output) {
            Ok(true) => {}
            Ok(false) => break,
            // The other files may be there.
            Err(error) if files.len() > 1 => {
                output::complain(&error.to_string());
                exit = Exit::FAILED;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(exit)
}

/// The logs that the network lists name.
pub(crate) fn named(places: &Places) -> Result<Vec<PathBuf>> {
    if !places.conf_dir.exists() {
        return Ok(Vec::new());
    }
    let lists = NetworkList::read_folder(&places.conf_dir);
    let lists = lists.map_err(|error| Error::new(Code::Io, error.to_string()))?;
    let mut files = BTreeSet::new();
    for list in lists.into_iter().filter_map(|(_, list)| list.ok()) {
        for plugin in list.plugins() {
            let config = list.config_of(plugin);
            let path = config.get("logFile").and_then(Value::as_str);
            files.extend(path.filter(|path| !path.is_empty()).map(PathBuf::from));
        }
    }
    Ok(files.into_iter().collect())
}

/// Shows what is in a file; `false` when nobody reads it any more.
fn show(path: &Path, wanted: &Wanted, output: Output) -> Result<bool> {
    let mut file = open(path)?;
    let (mut calls, mut damage) = (Calls::default(), Damage::new(path));
    let mut is_read = true;
    read(&mut file, path, |found| {
        for call in damage.without(found).into_iter().filter_map(|line| calls.add(line)) {
            is_read = is_read && print(&call, wanted, output)?;
        }
        Ok(is_read)
    })?;
    for call in calls.unfinished() {
        is_read = is_read && print(&call, wanted, output)?;
    }
    damage.complain();
    Ok(is_read)
}

/// The ends of calls in the last bytes of a log, at most `max` of them; a missing log has none.
pub(crate) fn ends(path: &Path, max: u64) -> Result<Vec<Line>> {
    let mut file = match open(path) {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        opened => opened?,
    };
    let fault = |error: &std::io::Error| Error::io("read", path, error);
    let length = file.metadata().map_err(|error| fault(&error))?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(max))).map_err(|error| fault(&error))?;
    let mut ends = Vec::new();
    // What it grows by meanwhile is for the next time.
    read(&mut file.take(max), path, |found| {
        let lines = found.into_iter().filter_map(|read| match read {
            Read::Line(line) => Some(*line),
            Read::Damaged(..) => None,
        });
        ends.extend(lines.filter(|line| line.kind == Kind::End));
        Ok(true)
    })?;
    Ok(ends)
}

/// Opens a log, which must be a file: another thing may never come to its end.
fn open(path: &Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let opened = File::options().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| Error::io("open", path, &error))?;
    match file.metadata().is_ok_and(|found| found.is_file()) {
        true => Ok(file),
        false => Err(Error::new(Code::Io, format!("{} is not a file", path.display()))),
    }
}

/// Reads to the end, and gives what was read to `take` until that wants no more.
fn read(
    file: &mut impl std::io::Read,
    path: &Path,
    mut take: impl FnMut(Vec<Read>) -> Result<bool>,
) -> Result<()> {
    let (mut reader, mut chunk) = (Reader::default(), vec![0; CHUNK]);
    loop {
        let length = file.read(&mut chunk).map_err(|error| Error::io("read", path, &error))?;
        let found = match length {
            0 => reader.end(),
            _ => reader.push(chunk.get(..length).unwrap_or_default()),
        };
        if !take(found)? || length == 0 {
            return Ok(());
        }
    }
}

/// Prints a call if it is wanted; `false` when nobody reads it any more.
fn print(call: &Call, wanted: &Wanted, output: Output) -> Result<bool> {
    if !wanted.is(call) {
        return Ok(true);
    }
    output::follow(&match output.form {
        Form::Text => tree::text(call, output),
        Form::Json => format!("{}\n", object(call)),
    })
}

/// A call as JSON has it: what its last line says, and all lines.
fn object(call: &Call) -> Value {
    let value = |line: &Line| serde_json::from_str::<Value>(&line.print()).unwrap_or_default();
    let mut object = value(call.about());
    if let Value::Object(keys) = &mut object {
        keys.retain(|key, _| {
            !["causeway", "kind", "id", "within", "step", "start_us"].contains(&key.as_str())
        });
        keys.insert("version".to_owned(), json!(output::SHAPE));
        if call.end().is_none() {
            keys.insert("outcome".to_owned(), Value::Null);
        }
        keys.insert("lines".to_owned(), call.lines().iter().map(value).collect());
    }
    object
}

/// What of a log is damaged.
struct Damage {
    path: PathBuf,
    named: Vec<String>,
    count: u64,
}

impl Damage {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), named: Vec::new(), count: 0 }
    }

    /// The lines among what was read; what is none is noted.
    fn without(&mut self, found: Vec<Read>) -> Vec<Line> {
        let mut lines = Vec::new();
        for read in found {
            match read {
                Read::Line(line) => lines.push(*line),
                Read::Damaged(number, error) => {
                    self.count += 1;
                    if self.named.len() < MAX_NAMED {
                        self.named
                            .push(format!("line {number}: {}", tree::plain(&error.to_string())));
                    }
                }
            }
        }
        lines
    }

    /// Says what there is, and forgets it.
    fn complain(&mut self) {
        if self.count > 0 {
            let named = std::mem::take(&mut self.named);
            let more = self.count.saturating_sub(named.len() as u64);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            let (path, count) = (self.path.display(), std::mem::take(&mut self.count));
            output::complain(&format!("{path}: {count} damaged: {}{more}", named.join("; ")));
        }
    }
}
