//! What `scripts/package` hands out besides the executables. Not handed out itself.
//!
//! - `manual`: the manual pages of the plugins, out of `docs/plugins`.
//! - `cargo`: which crates there are, and which of them are in which executable, as cargo says.
//! - `linked`: what the compiler links in besides crates.
//! - `inventory`: all of that as a software bill of materials (CycloneDX).
//! - `licences`: their texts.
//!
//! The same checkout, tool chain and date give the same bytes.

mod cargo;
mod inventory;
mod licences;
mod linked;
mod manual;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

/// What went wrong, for a person.
type Fault = Box<dyn std::error::Error>;

const USAGE: &str = "usage, from the root of the checkout:
  packaging manual DATE FOLDER                    pages of the plugins, section 8
  packaging inventory TARGET DATE FOLDER FILE     of the executables in a folder, as CycloneDX
  packaging licences TARGET FOLDER                texts of what is linked into them";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["manual", date, folder] => manual::write(date, Path::new(folder)),
        ["inventory", target, date, folder, file] => {
            inventory(target, date, (Path::new(folder), Path::new(file)))
        }
        ["licences", target, folder] => licences(target, Path::new(folder)),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            #[allow(clippy::print_stderr, reason = "no plugin: people call it")]
            {
                eprintln!("packaging: {fault}");
            }
            ExitCode::FAILURE
        }
    }
}

fn inventory(target: &str, date: &str, (folder, file): (&Path, &Path)) -> Result<(), Fault> {
    let suite = cargo::Suite::read(target)?;
    let linked = linked::Linked::find(target)?;
    let text = inventory::print(&suite, &linked, (date, folder))?;
    Ok(fs::write(file, text)?)
}

fn licences(target: &str, folder: &Path) -> Result<(), Fault> {
    licences::write(&cargo::Suite::read(target)?, &linked::Linked::find(target)?, folder)
}
