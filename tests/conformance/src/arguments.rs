//! What the suite is told on its command line. Known to the operator's tool as well, which hands it on and completes
//! it, so that this file names nothing else of the suite.

use std::path::PathBuf;

use clap::Args;

use super::Spec;

/// Its options.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The folder of the plugins; without it the first of CNI_PATH, else /opt/cni/bin
    #[arg(long, value_name = "DIR")]
    pub(crate) bin: Option<PathBuf>,
    /// This plugin only; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) plugin: Vec<String>,
    /// One's own configuration of a plugin, instead of the one that is known; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Vec<PathBuf>,
    /// By the rules of this version of the specification only; may be repeated
    #[arg(long, value_name = "VERSION")]
    pub(crate) spec: Vec<Spec>,
    /// Writes a report, by its extension JSON or JUnit XML (.xml); may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Vec<PathBuf>,
    /// The report as JSON on standard output, instead of the table
    #[arg(long)]
    pub(crate) json: bool,
    /// How long one call of a plugin may take
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub(crate) timeout: u64,
    /// Exit status 1 for whatever is broken, SHOULD and habits of runtimes, too
    #[arg(long)]
    pub(crate) strict: bool,
    /// Lists the rules instead
    #[arg(long)]
    pub(crate) list: bool,
}
