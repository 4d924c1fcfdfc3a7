//! Completions and manual pages, out of the command line's own description.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use cni_common::{Error, Result};

use crate::cli::Cli;

/// The completions for a shell.
pub(crate) fn completions(shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "causeway", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Writes `causeway.1` and a page for each command into a folder, which is made if need be.
pub(crate) fn write_manual(folder: &Path) -> Result<()> {
    let fault = |error: &std::io::Error| Error::io("write the manual to", folder, error);
    fs::create_dir_all(folder).map_err(|error| fault(&error))?;
    let command = Cli::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, folder).map_err(|error| fault(&error))
}
