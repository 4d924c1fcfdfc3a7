//! Completions and manual pages, out of the command line's own description.

use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use cni_common::{Error, Result};

use crate::cli::Cli;
use crate::conformance;

/// The command line with that of the conformance suite in it.
fn described() -> Command {
    Cli::command().mut_subcommand("conformance", conformance::described)
}

/// The completions for a shell.
pub(crate) fn completions(shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut described(), "causeway", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Writes `causeway.1` and a page for each command into a folder, which is made if need be.
pub(crate) fn write_manual(folder: &Path) -> Result<()> {
    let fault = |error: &std::io::Error| Error::io("write the manual to", folder, error);
    fs::create_dir_all(folder).map_err(|error| fault(&error))?;
    let command = described().disable_help_subcommand(true);
    clap_mangen::generate_to(command, folder).map_err(|error| fault(&error))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn the_command_line_with_the_suites_is_sound() {
        let all = described();
        let suite = all.find_subcommand("conformance").unwrap();
        assert!(suite.get_about().unwrap().to_string().starts_with("Hold a folder of CNI plugins"));
        all.debug_assert();
    }

    #[test]
    fn every_shell_completes_the_options_of_the_conformance_suite() {
        let bare = Command::new("conformance");
        let suite = conformance::described(bare);
        let options: Vec<&str> = suite.get_arguments().filter_map(|one| one.get_long()).collect();
        assert!(options.contains(&"strict") && options.len() > 8, "{options:?}");
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let text = completions(shell);
            // Fish has them without their dashes.
            let is_there = |one: &&str| {
                text.contains(&format!("--{one}")) || text.contains(&format!("-l {one} "))
            };
            assert!(options.iter().all(is_there), "{:?}: {options:?}", shell.to_possible_value());
        }
    }
}
