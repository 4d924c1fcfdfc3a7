//! `causeway`: the operator's tool. It shows what the plugins of this suite have made on a host, finds
//! what is not as it should be, and mends it.
//!
//! - `cli`: the command line; `exit`: the exit status.
//! - `output`: standard output, as text or JSON; `progress`: a line about what takes long.
//! - `networks`: network lists and pools.
//! - `attachments`: what there is of each attachment: the one reading that all commands share.
//! - `fault`: what is wrong, for a person and for a program.
//! - one module for each command.
//!
//! No logic lives in this file.

mod attachments;
mod check;
mod cli;
mod conformance;
mod exit;
mod explain;
mod fault;
mod gc;
mod graph;
mod lacks;
mod log;
mod ls;
mod metrics;
mod net;
mod networks;
mod output;
mod plugins;
mod pool;
mod preview;
mod progress;
mod repair;
mod serve;
mod shell;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    let (command, output) = match cli::parse() {
        Ok(parsed) => parsed,
        Err(status) => return status,
    };
    let done = cli::run(&command, output);
    progress::end();
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::complain(&error.to_string());
            exit::Exit::FAILED.into()
        }
    }
}
