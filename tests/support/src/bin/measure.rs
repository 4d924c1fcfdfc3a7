//! Runs a program as if it were not there, and writes what that used into a file.
//!
//!     measure REPORT PROGRAM
//!
//! One line: microseconds of CPU time and KiB of memory at the peak, those of the program and of the
//! children it waited for. A process of its own because the kernel counts by child, and because a
//! child begins with the size of the process that starts it.

use std::env;
use std::fs;
use std::process::{Command, ExitCode};

use nix::sys::resource::{UsageWho, getrusage};

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let (Some(report), Some(program)) = (arguments.next(), arguments.next()) else {
        return ExitCode::from(125);
    };
    let Ok(status) = Command::new(program).status() else { return ExitCode::from(126) };
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return ExitCode::from(125) };
    let micros = [usage.user_time(), usage.system_time()]
        .map(|time| time.tv_sec() * 1_000_000 + time.tv_usec())
        .into_iter()
        .sum::<i64>();
    if fs::write(report, format!("{micros} {}", usage.max_rss())).is_err() {
        return ExitCode::from(125);
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    // Ended by a signal: as a shell says it, without the number.
    code.map_or(ExitCode::from(128), ExitCode::from)
}
