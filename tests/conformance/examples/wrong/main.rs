//! A plugin that is right but for one fault, for the tests of this crate; never installed.
//!
//! It lies in `…/FAULT/PLUGIN`, where `…/FAULT/right` is the folder of right plugins: it calls `right/PLUGIN`
//! with what it was called with and hands on the answer, changing before or afterwards what the fault is about.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test program: it answers as plugins do"
)]

mod after;
mod before;
mod call;
mod delegate;

use std::env;
use std::io::Read;
use std::path::PathBuf;
use std::process::exit;

use call::Call;

fn main() {
    let program = PathBuf::from(env::args_os().next().expect("a name"));
    let name = program.file_name().expect("a name").to_string_lossy().into_owned();
    if name == delegate::NAME {
        delegate::answer();
    }
    let folder = program.parent().expect("a folder");
    let fault = folder.file_name().expect("a fault").to_string_lossy().into_owned();
    let mut stdin = Vec::new();
    if env::var_os("CNI_COMMAND").is_some() {
        std::io::stdin().read_to_end(&mut stdin).expect("stdin");
    }
    let mut call = Call::new(folder.join("right").join(&name), stdin);
    let answer = before::answer(&fault, &mut call).unwrap_or_else(|| {
        let mut answer = call.run();
        after::change(&fault, &call, &mut answer);
        answer
    });
    print!("{}", answer.stdout);
    eprint!("{}", answer.stderr);
    exit(answer.status);
}
