//! What `bench` is told. Knows no scenario's inside.

use std::path::PathBuf;

use crate::contender::Contender;
use crate::scenario::{self, Scenario};

/// Calls of each kind whose median is taken.
const ROUNDS: usize = 101;

/// What to measure and where to write it.
pub(crate) struct Arguments {
    /// The floor first, then this suite, then its peers.
    pub(crate) contenders: Vec<Contender>,
    /// In the order they are measured.
    pub(crate) scenarios: Vec<&'static Scenario>,
    /// Whether shares are to be shown instead of medians, of this suite alone.
    pub(crate) profile: bool,
    /// Calls of each kind.
    pub(crate) rounds: usize,
    /// The day, for what is written.
    pub(crate) date: String,
    /// The machine, for what is written.
    pub(crate) machine: String,
    /// Where the JSON goes.
    pub(crate) json: Option<PathBuf>,
    /// Where the picture goes.
    pub(crate) svg: Option<PathBuf>,
}

impl Arguments {
    /// `--floor FILE --ours DIR [--peer NAME=DIR]… [--only SCENARIO]… [--profile] [--rounds N]
    /// [--date D] [--machine M] [--json FILE] [--svg FILE]`.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self {
            contenders: Vec::new(),
            scenarios: Vec::new(),
            profile: false,
            rounds: ROUNDS,
            date: String::new(),
            machine: String::new(),
            json: None,
            svg: None,
        };
        while let Some(word) = words.next() {
            if word == "--profile" {
                arguments.profile = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            arguments.take(&word, value)?;
        }
        if arguments.scenarios.is_empty() {
            arguments.scenarios = scenario::ALL.iter().collect();
        }
        Ok(arguments)
    }

    fn take(&mut self, word: &str, value: String) -> Result<(), String> {
        match word {
            "--floor" => self.contenders.push(Contender::floor(value.into())),
            "--ours" => self.contenders.push(Contender::suite("Causeway", value.into())),
            "--peer" => {
                let (name, folder) = value.split_once('=').ok_or("--peer needs NAME=DIR")?;
                self.contenders.push(Contender::suite(name, folder.into()));
            }
            "--only" => self.scenarios.push(scenario::find(&value)?),
            "--rounds" => {
                self.rounds =
                    value.parse().map_err(|error| format!("--rounds {value}: {error}"))?;
            }
            "--date" => self.date = value,
            "--machine" => self.machine = value,
            "--json" => self.json = Some(value.into()),
            "--svg" => self.svg = Some(value.into()),
            _ => return Err(format!("unknown option {word}")),
        }
        Ok(())
    }
}
