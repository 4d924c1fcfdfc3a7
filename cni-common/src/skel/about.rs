//! What a plugin says of itself to a person, where no runtime calls it: without `CNI_COMMAND`.

use std::fmt::Write;

use super::environment::COMMANDS;
use super::{Plugin, stdio};
use crate::error::Result;

/// Of the whole suite.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Answers `--version` and `--help` on stdout. Anything else gets name and versions on stderr, as from the
/// reference, which looks at no argument: callers parse those lines.
pub(super) fn answer(plugin: &dyn Plugin) -> Result<()> {
    let asked = std::env::args_os().nth(1).unwrap_or_default();
    match asked.to_str() {
        Some("--version" | "-V") => stdio::print(&version(plugin)),
        Some("--help" | "-h") => stdio::print(&help(plugin)),
        _ => stdio::print_aside(&format!("{}\n", name_and_versions(plugin))),
    }
}

fn name_and_versions(plugin: &dyn Plugin) -> String {
    let versions: Vec<&str> = plugin.versions().iter().map(|version| version.as_str()).collect();
    format!(
        "CNI {} plugin v{VERSION}\nCNI protocol versions supported: {}",
        plugin.name(),
        versions.join(", ")
    )
}

fn version(plugin: &dyn Plugin) -> String {
    let name = plugin.name();
    format!(
        "{}\nCauseway {VERSION}; documentation: man causeway-{name}, /usr/share/doc/causeway; without the \
        package docs/plugins/{name}.md",
        name_and_versions(plugin)
    )
}

fn help(plugin: &dyn Plugin) -> String {
    let name = plugin.name();
    let mut text = format!("{}\n\n{}\n\n", version(plugin), plugin.purpose());
    text += "A container runtime calls it, with a network configuration on standard input and at least\n\
        these variables. It answers in JSON on standard output, also when it fails (exit status 1).\n\n";
    for row in &COMMANDS {
        let since = row.since.as_str();
        let line = format!("  CNI_COMMAND={:<8} {}", row.word, row.variables.join(" "));
        writeln!(text, "{:<64} since CNI {since}", line).ok();
    }
    write!(
        text,
        "\nFor example, the versions that it supports, and a whole network list as a runtime calls it:\n\n  \
        CNI_COMMAND=VERSION {name} </dev/null\n  \
        causeway net add NETWORK /run/netns/NAME\n\n  \
        --version   name, version, versions of the protocol, documentation\n  \
        --help      this text"
    )
    .ok();
    text
}
