//! `causeway conformance`: becomes the conformance suite, a program of its own that is installed beside this one. It
//! is made of what the tests are made of, none of which is in this tool.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use clap::{Args, Command as Described};
use cni_common::{Code, Error, Result};

use crate::exit::Exit;
use crate::output::{Form, Output};

use arguments::Arguments;

#[path = "../../../tests/conformance/src/arguments.rs"]
#[allow(dead_code, reason = "the suite reads what it is told")]
mod arguments;

/// Which versions there are the suite knows.
type Spec = String;

/// The suite's executable.
const PROGRAM: &str = "causeway-conformance";

/// What is passed on.
#[derive(Args, Debug)]
pub(crate) struct Passed {
    /// Options of causeway-conformance, as its `--help` describes them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
    arguments: Vec<OsString>,
}

/// The command as the suite has it, for completions and the manual: what is typed is handed on unread.
pub(crate) fn described(command: Described) -> Described {
    let about = command.get_about().cloned().unwrap_or_default();
    let long_about = command.get_long_about().cloned().unwrap_or_default();
    let suite = Arguments::augment_args(Described::new("conformance"));
    suite.version(env!("CARGO_PKG_VERSION")).about(about).long_about(long_about)
}

/// Goes on as the suite. Comes back only where it can't be started.
pub(crate) fn start(passed: &Passed, output: Output) -> Result<Exit> {
    let program = find()?;
    // One of the tool's own options, so that it is not among the others.
    let form = (output.form == Form::Json).then_some("--json");
    let error = Command::new(&program).args(form).args(&passed.arguments).exec();
    Err(Error::io("start", &program, &error))
}

/// The executable beside this one, else in a folder of `PATH`.
fn find() -> Result<PathBuf> {
    let own = env::current_exe().unwrap_or_default();
    let beside = own.parent().unwrap_or(&own);
    let path = env::var_os("PATH").unwrap_or_default();
    let mut programs = [beside.to_owned()].into_iter().chain(env::split_paths(&path));
    programs
        .find_map(|folder| Some(folder.join(PROGRAM)).filter(|program| program.is_file()))
        .ok_or_else(|| {
            let (beside, path) = (beside.display(), path.display());
            let message =
                format!("{PROGRAM} is neither beside causeway, in {beside}, nor in PATH: {path}");
            Error::new(Code::Io, message)
                .with_details("scripts/install and the packages install it with causeway")
        })
}
