//! The executable `bandwidth`; the plugin itself is the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    cni_common::skel::main(&causeway_bandwidth::Bandwidth)
}
