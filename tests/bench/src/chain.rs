//! The whole chain of a runtime's plugins: in which states of the host it is measured. Each contender has a
//! host of its own, because rules of two suites in one packet filter would meet.

use std::time::Duration;

use testsupport::{Container, Host};

use crate::contender::{Attachment, Contender, Seat};
use crate::figures::{Figures, State, What, median};
use crate::plugins::{Chained, NAMES, Plugins, Times, unwatched};
use crate::profile;
use crate::site::{Site, by_turns};

/// A contender's calls in one scenario take no longer than this; one that is slow gets fewer.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The ports of the container that is measured.
const PORTS: [u16; 2] = [8080, 8443];
/// The first of the others' ports.
const FIRST_PORT: u16 = 10_000;

/// A state of the host.
pub(crate) struct Scenario {
    /// Its names.
    pub(crate) state: State,
    /// Containers that are attached already.
    others: u16,
    /// Ports that each of them has.
    ports: u16,
}

/// All of them.
pub(crate) const ALL: [Scenario; 3] = [
    Scenario { state: state("chain", "chain, one container"), others: 0, ports: 0 },
    Scenario {
        state: state("chain-attached", "chain, 200 attached with 2 ports each"),
        others: 200,
        ports: 2,
    },
    Scenario {
        state: state("chain-ports", "chain, 1,000 ports published by 10 others"),
        others: 10,
        ports: 100,
    },
];

const fn state(id: &'static str, title: &'static str) -> State {
    State { id, title, base: "chain" }
}

/// A contender on a host of its own, with the containers that are there already.
struct Place {
    calls: Calls,
    measured: Container,
    _others: Vec<Container>,
    host: Host,
}

/// How a contender attaches and detaches.
enum Calls {
    Floor(Seat),
    Suite(Plugins),
}

/// Those of [`NAMES`] that every suite has.
pub(crate) fn names(contenders: &[Contender]) -> Vec<&'static str> {
    let mut names = NAMES.to_vec();
    for folder in contenders.iter().filter_map(Contender::folder) {
        names.retain(|name| folder.join(name).is_file());
    }
    names
}

impl Scenario {
    /// Measures all contenders by turns, so that none has the quieter machine.
    pub(crate) fn measure(
        &'static self,
        contenders: &[Contender],
        names: &[&'static str],
        rounds: usize,
    ) -> Figures {
        let mut sites: Vec<_> =
            contenders.iter().map(|contender| self.site(contender, names)).collect();
        // What is found out or made once is not measured.
        for site in &mut sites {
            site.run(Place::add_and_del);
        }
        let times = by_turns(&mut sites, (rounds, TIMEOUT), Place::add_and_del);
        let mut figures = Figures::default();
        for (contender, calls) in contenders.iter().zip(times) {
            let (adds, dels): (Vec<Times>, Vec<Times>) = calls.into_iter().unzip();
            let mut note = |what, times| figures.add(self.state, contender, (what, median(times)));
            note(What::Add, sums(&adds));
            note(What::Del, sums(&dels));
            if contender.is_suite() {
                for name in names {
                    note(What::AddOf(name), shares(&adds, name));
                    note(What::DelOf(name), shares(&dels, name));
                }
            }
        }
        figures
    }

    /// Where the time of `contender`'s calls goes, as text.
    pub(crate) fn profile(
        &'static self,
        contender: &Contender,
        names: &[&'static str],
        rounds: usize,
    ) -> String {
        self.site(contender, names).run(move |place| {
            place.add_and_del();
            place.profile(rounds)
        })
    }

    fn site(&'static self, contender: &Contender, names: &[&'static str]) -> Site<Place> {
        let (contender, names) = (contender.clone(), names.to_vec());
        Site::new(move || Place::new(contender, &names, self))
    }
}

impl Place {
    fn new(contender: Contender, names: &[&str], scenario: &Scenario) -> Self {
        let host = Host::new();
        let folder = contender.folder().map(std::path::Path::to_owned);
        let calls = match folder {
            None => Calls::Floor(Seat::new(&host, contender, false)),
            Some(folder) => Calls::Suite(Plugins::new(&folder, host.temp_dir(), names)),
        };
        let attach = |number: u16| {
            let container = host.container(&format!("other{number}"));
            let first = FIRST_PORT + number * scenario.ports;
            calls.add(&container, number, first..first + scenario.ports);
            container
        };
        let others = (0..scenario.others).map(attach).collect();
        let measured = host.container("measured");
        Self { calls, measured, _others: others, host }
    }

    fn add_and_del(&self) -> (Times, Times) {
        self.calls.add_and_del(&self.measured)
    }

    fn profile(&self, rounds: usize) -> String {
        let Calls::Suite(plugins) = &self.calls else { return String::new() };
        let chained = chained(&self.measured, PORTS.into_iter());
        profile::of_chain((plugins, &chained), self.host.temp_dir(), rounds)
    }
}

impl Calls {
    fn add(&self, container: &Container, number: u16, ports: std::ops::Range<u16>) {
        match self {
            Self::Floor(seat) => drop(seat.call("ADD", &Attachment::new(container, number))),
            Self::Suite(plugins) => drop(plugins.add(&chained(container, ports), &unwatched)),
        }
    }

    fn add_and_del(&self, container: &Container) -> (Times, Times) {
        match self {
            Self::Floor(seat) => {
                let attachment = Attachment::new(container, 1000);
                let of = |command| vec![("floor", seat.call(command, &attachment))];
                (of("ADD"), of("DEL"))
            }
            Self::Suite(plugins) => {
                let chained = chained(container, PORTS.into_iter());
                let (add, result) = plugins.add(&chained, &unwatched);
                (add, plugins.del(&chained, &result, &unwatched))
            }
        }
    }
}

fn chained(container: &Container, ports: impl Iterator<Item = u16>) -> Chained {
    Chained::new(container.name(), container.path(), ports)
}

fn sums(calls: &[Times]) -> Vec<Duration> {
    calls.iter().map(|call| call.iter().map(|(_, time)| time).sum()).collect()
}

fn shares(calls: &[Times], name: &str) -> Vec<Duration> {
    let of_name =
        |call: &Times| call.iter().filter(|(of, _)| *of == name).map(|(_, time)| *time).sum();
    calls.iter().map(of_name).collect()
}
