//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{Args, Parser, Subcommand};
use cni_common::Result;
use cni_common::spec::Version;

use crate::exit::Exit;
use crate::gc::Effect;
use crate::networks::Places;
use crate::output::{self, Form, Output};
use crate::{
    check, conformance, explain, gc, graph, log, ls, metrics, net, pool, preview, progress, repair,
    shell, watch,
};

/// What stands below the help text of every command.
const EXIT_STATUS: &str = "Exit status, as fsck has it; what applies adds up: 0 nothing is wrong, 1 \
    something was mended, 4 something wrong is left, 8 the tool could not do its work, 16 the command \
    line is wrong.";

/// Where all of it is explained.
const DOCUMENTATION: &str =
    "documentation: man causeway, /usr/share/doc/causeway; without the package docs/operating.md";

/// Above the options that every command has, so that its own stand together.
const COMMON: &str = "Options of every command";

/// What `--version` says: the versions of the protocol, too.
fn long_version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let spoken: Vec<&str> = Version::ALL.iter().map(|version| version.as_str()).collect();
        let own = env!("CARGO_PKG_VERSION");
        let spoken = spoken.join(", ");
        format!("{own}\nCNI protocol versions supported: {spoken}\n{DOCUMENTATION}")
    });
    &TEXT
}

/// What stands below the tool's own help text.
fn after_help() -> String {
    format!("{EXIT_STATUS}\n\nCauseway {}", long_version())
}

/// Shows, checks and mends what the Causeway CNI plugins have made on this host.
#[derive(Debug, Parser)]
#[command(name = "causeway", version, long_version = long_version(), after_help = after_help(),
    disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    places: PlaceArguments,
    /// One JSON object on standard output instead of text
    #[arg(long, global = true, help_heading = COMMON)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args, Debug)]
struct PlaceArguments {
    /// The folder of network lists
    #[arg(
        long,
        global = true,
        help_heading = COMMON,
        value_name = "FOLDER",
        env = "NETCONFPATH",
        default_value = "/etc/cni/net.d"
    )]
    conf_dir: PathBuf,
    /// A folder of pools, besides those that the network lists name
    #[arg(
        long,
        global = true,
        help_heading = COMMON,
        value_name = "FOLDER",
        default_value = causeway_host_local::config::DATA_DIR
    )]
    data_dir: PathBuf,
    /// Where runtimes keep the results of ADD (in its folder `results`)
    #[arg(
        long,
        global = true,
        help_heading = COMMON,
        value_name = "FOLDER",
        default_value = "/var/lib/cni"
    )]
    cache_dir: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List every attachment: whose it is, its addresses, its links, its published ports, its state
    Ls {
        /// Only of this network
        network: Option<String>,
    },
    /// Draw bridges and what hangs on them: as text, as an SVG image or for graphviz
    Graph(graph::Drawing),
    /// Show how much of each range set is held, reclaimable, cooling down, excluded and free
    Pool {
        /// Only of this network
        network: Option<String>,
    },
    /// Find what is not as it should be, and say what mends it
    Check {
        /// Only of this network
        network: Option<String>,
    },
    /// Release what is provably dead: never by age, never from a container that lives
    Gc {
        /// Only of this network
        network: Option<String>,
        /// Say what would be released, and why, and release nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Put back what attachments that are alive lack: rules, bridge addresses, ports, address files
    Repair {
        /// Only of this network
        network: Option<String>,
        /// Say what would be put back, and put back nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Follow attachments and pools: a line for each change, as it happens, until it is ended
    Watch {
        /// Only of this network
        network: Option<String>,
    },
    /// Show what plugins did, from their `logFile`: calls as trees of steps with their durations
    Log(log::Wanted),
    /// Print what `ls`, `pool` and `check` tell as numbers in the Prometheus text format
    Metrics {
        /// Write them into this file as a whole, for the node exporter's textfile collector
        #[arg(long, value_name = "FILE")]
        textfile: Option<PathBuf>,
        /// Serve them over HTTP at this address and port until SIGTERM or SIGINT, and read anew for each
        /// scrape; with port 0 the kernel chooses one
        #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "textfile")]
        listen: Option<SocketAddr>,
    },
    /// Say what an ADD would do here, line by line, without doing it
    Plan(preview::Target),
    /// Say what an error code, a finding, a state, a key of the configuration or an error text means
    Explain {
        /// A number, a word, an error message or a part of it, or the error object of a plugin
        #[arg(required = true)]
        what: Vec<String>,
    },
    /// Call the plugins of a network list, as a container runtime does
    #[command(subcommand)]
    Net(net::Call),
    /// Hold a folder of CNI plugins, of any suite, to the rules of the CNI specification
    ///
    /// Starts causeway-conformance, which is installed with this tool, and hands on all that follows: its `--help`
    /// lists the options. The exit status is that of causeway-conformance: 0 where no MUST is broken, 1 where one is,
    /// 2 where nothing could be run.
    #[command(disable_help_flag = true)]
    Conformance(conformance::Passed),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder
    #[command(hide = true)]
    Man {
        /// Where to
        folder: PathBuf,
    },
}

/// Reads the command line. What it asks of clap itself (`--help`) is done already, and then, as after a
/// mistake, the exit status is all that is left.
pub(crate) fn parse() -> std::result::Result<(Cli, Output), ExitCode> {
    match Cli::try_parse() {
        Ok(cli) => {
            let form = if cli.json { Form::Json } else { Form::Text };
            Ok((cli, Output::new(form)))
        }
        Err(message) => {
            let is_mistake = message.use_stderr();
            // Whoever asked has gone away.
            message.print().ok();
            Err(Exit::USAGE.when(is_mistake).into())
        }
    }
}

/// Does what is asked.
pub(crate) fn run(cli: &Cli, output: Output) -> Result<Exit> {
    let PlaceArguments { conf_dir, data_dir, cache_dir } = &cli.places;
    let places = Places {
        conf_dir: conf_dir.clone(),
        data_dir: data_dir.clone(),
        cache_dir: cache_dir.clone(),
    };
    match &cli.command {
        // What goes on until it is ended, or is another program, says itself when it is at work.
        Command::Watch { .. }
        | Command::Metrics { listen: Some(_), .. }
        | Command::Conformance(_) => {}
        _ => progress::begin(),
    }
    match &cli.command {
        Command::Ls { network } => ls::ls(&places, network.as_deref(), output),
        Command::Graph(drawing) => graph::graph(drawing, &places, output),
        Command::Pool { network } => pool::pool(&places, network.as_deref(), output),
        Command::Check { network } => check::check(&places, network.as_deref(), output),
        Command::Gc { network, dry_run } => {
            gc::gc(&places, network.as_deref(), (Effect::of(*dry_run), output))
        }
        Command::Repair { network, dry_run } => {
            repair::repair(&places, network.as_deref(), (Effect::of(*dry_run), output))
        }
        Command::Watch { network } => watch::watch(&places, network.as_deref(), output),
        Command::Log(wanted) => log::log(wanted, &places, output),
        Command::Metrics { listen: Some(address), .. } => metrics::serve(&places, *address),
        Command::Metrics { textfile, .. } => metrics::metrics(&places, textfile.as_deref()),
        Command::Plan(target) => preview::plan(target, &places, output),
        Command::Explain { what } => explain::explain(&what.join(" "), output),
        Command::Conformance(passed) => conformance::start(passed, output),
        Command::Net(call) => net::run(call, &places, output),
        Command::Completions { shell } => {
            output::print(&shell::completions(*shell)).map(|()| Exit::OK)
        }
        Command::Man { folder } => shell::write_manual(folder).map(|()| Exit::OK),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
