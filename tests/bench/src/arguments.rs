//! What `bench` is told. Knows no scenario's inside.

use std::path::PathBuf;

use crate::contender::Contender;

/// Calls of each kind whose median is taken.
const ROUNDS: usize = 101;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// `bridge` with its IPAM plugin.
    Bridge,
    /// All plugins of a runtime's network list.
    Chain,
    /// Packets through published ports.
    Packets,
}

/// What to measure and where to write it.
pub(crate) struct Arguments {
    /// What.
    pub(crate) subject: Subject,
    /// The floor first, then this suite, then its peers.
    pub(crate) contenders: Vec<Contender>,
    /// The names of the scenarios in the order they are measured; none for all.
    pub(crate) only: Vec<String>,
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
    /// The document whose table is replaced.
    pub(crate) document: Option<PathBuf>,
}

impl Arguments {
    /// `[chain | packets] --floor FILE --ours DIR [--peer NAME=DIR]… [--only SCENARIO]… [--profile]
    /// [--rounds N] [--date D] [--machine M] [--json FILE] [--svg FILE] [--document FILE]`.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self {
            subject: Subject::Bridge,
            contenders: Vec::new(),
            only: Vec::new(),
            profile: false,
            rounds: ROUNDS,
            date: String::new(),
            machine: String::new(),
            json: None,
            svg: None,
            document: None,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--profile" => arguments.profile = true,
                "chain" => arguments.subject = Subject::Chain,
                "packets" => arguments.subject = Subject::Packets,
                _ => {
                    let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
                    arguments.take(&word, value)?;
                }
            }
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
            "--only" => self.only.push(value),
            "--rounds" => {
                self.rounds =
                    value.parse().map_err(|error| format!("--rounds {value}: {error}"))?;
            }
            "--date" => self.date = value,
            "--machine" => self.machine = value,
            "--json" => self.json = Some(value.into()),
            "--svg" => self.svg = Some(value.into()),
            "--document" => self.document = Some(value.into()),
            _ => return Err(format!("unknown option {word}")),
        }
        Ok(())
    }

    /// Those of `all` that `--only` names, in its order; all without it. `id` is their name.
    pub(crate) fn select<T>(
        &self,
        all: &'static [T],
        id: impl Fn(&T) -> &'static str,
    ) -> Result<Vec<&'static T>, String> {
        if self.only.is_empty() {
            return Ok(all.iter().collect());
        }
        let names = || all.iter().map(&id).collect::<Vec<_>>().join(", ");
        let find = |name: &String| {
            let found = all.iter().find(|one| id(one) == name);
            found.ok_or_else(|| format!("unknown scenario {name:?}: {}", names()))
        };
        self.only.iter().map(find).collect()
    }
}
