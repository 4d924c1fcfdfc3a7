//! A plugin that does nothing but what its configuration says, for the tests of the protocol edge.
//!
//! - `journal`: a file to which every step adds a line.
//! - `fault`: `"error"` or `"panic"` in the command itself; `"late error"` or `"late panic"` in what
//!   ADD can undo; `"unundoable"`: undoing ADD fails.
//!
//! ADD answers `prevResult`, or else an empty result.

#![allow(clippy::panic, reason = "how a panic is answered is what one test asks")]

use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;

use cni_common::skel::{self, Added, AttachmentRequest, Plugin, Request};
use cni_common::spec::{Object, ValidAttachments};
use cni_common::{Code, Error, Result, log};

struct Probe;

fn main() -> ExitCode {
    skel::main(&Probe)
}

impl Plugin for Probe {
    fn name(&self) -> &'static str {
        "probe"
    }

    fn purpose(&self) -> &'static str {
        env!("CARGO_PKG_DESCRIPTION")
    }

    fn add(&self, request: &AttachmentRequest<'_>) -> Result<Added> {
        let config = &request.request.config;
        let journal = Journal::of(&config.keys)?;
        let place = request.netns.as_deref().unwrap_or("nowhere".as_ref()).display();
        journal.note(&format!("add {} in {place}", request.attachment))?;
        fault(&config.keys)?;
        let result = config.prev_result()?.unwrap_or_default();
        let stuck = config.keys.string("fault")?.as_deref() == Some("unundoable");
        let undo = move || {
            let mut failures: Vec<Error> = journal.note("undo").err().into_iter().collect();
            if stuck {
                failures.push(Error::new(Code::Kernel, "the step is stuck"));
            }
            failures
        };
        Added::attempt(undo, |_undo| {
            match config.keys.string("fault")?.as_deref() {
                Some("late panic") => panic!("asked to \"panic\""),
                Some("late error") => return Err(Error::new(Code::Kernel, "asked to fail")),
                _ => {}
            }
            Ok(result)
        })
    }

    fn del(&self, request: &AttachmentRequest<'_>) -> Result<()> {
        step(&request.request.config.keys, &format!("del {}", request.attachment))
    }

    fn check(&self, request: &AttachmentRequest<'_>) -> Result<()> {
        step(&request.request.config.keys, &format!("check {}", request.attachment))
    }

    fn gc(&self, request: &Request<'_>, valid: Option<&ValidAttachments<'_>>) -> Result<()> {
        let count = valid.map_or("unknown".to_owned(), |valid| valid.iter().count().to_string());
        step(&request.config.keys, &format!("gc, {count} live"))
    }

    fn status(&self, request: &Request<'_>) -> Result<()> {
        step(&request.config.keys, "status")
    }
}

fn step(keys: &Object<'_>, line: &str) -> Result<()> {
    let work = || {
        Journal::of(keys)?.note(line)?;
        fault(keys)
    };
    log::step(|| line, work)
}

fn fault(keys: &Object<'_>) -> Result<()> {
    match keys.string("fault")?.as_deref() {
        Some("panic") => panic!("asked to \"panic\""),
        Some("error") => {
            Err(Error::new(Code::Kernel, "asked to fail").with_details("a\nline, a \"quote\""))
        }
        _ => Ok(()),
    }
}

struct Journal(Option<String>);

impl Journal {
    fn of(keys: &Object<'_>) -> Result<Self> {
        keys.string("journal").map(Self)
    }

    fn note(&self, line: &str) -> Result<()> {
        let Some(path) = &self.0 else { return Ok(()) };
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| writeln!(file, "{line}"))
            .map_err(|error| Error::io("write", path.as_ref(), &error))
    }
}
