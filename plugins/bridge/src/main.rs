//! The executable `bridge`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cni_common::skel::main(&causeway_bridge::Bridge)
}
