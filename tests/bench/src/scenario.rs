//! What is measured, and on what kind of host. Each contender has one of its own: what one made there is no
//! burden on the others. Knows nothing of how figures are shown.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use testsupport::{Container, Host};

use crate::contender::{Attachment, Contender, Seat};
use crate::figures::{Figures, State, What, median};
use crate::profile;
use crate::site::{Site, by_turns};

/// A contender's calls in one scenario take no longer than this; one that is slow gets fewer.
const TIMEOUT: Duration = Duration::from_secs(12);
/// ADDs that run at the same time in a burst.
const AT_A_TIME: u16 = 16;
/// ADDs of a burst.
const BURST: u16 = 160;
/// How long after a burst of DELs the kernel may be busy with what they removed.
const REST: Duration = Duration::from_secs(1);
/// Bursts whose median is taken.
const BURSTS: usize = 3;

/// A state of the host that calls are measured in.
pub(crate) struct Scenario {
    /// Its names.
    pub(crate) state: State,
    others: u16,
    held: u32,
    masquerade: bool,
    burst: bool,
}

const PLAIN: Scenario = Scenario {
    state: state("plain", "one container"),
    others: 0,
    held: 0,
    masquerade: false,
    burst: false,
};

/// All of them.
pub(crate) const ALL: [Scenario; 10] = [
    PLAIN,
    Scenario { state: state("held-100", "100 leases held"), held: 100, ..PLAIN },
    Scenario { state: state("held", "60,000 leases held"), held: 60_000, ..PLAIN },
    Scenario { state: state("attached-200", "200 containers attached"), others: 200, ..PLAIN },
    Scenario { state: state("attached", "500 containers attached"), others: 500, ..PLAIN },
    Scenario {
        state: state("both", "500 attached and 60,000 leases held"),
        others: 500,
        held: 60_000,
        ..PLAIN
    },
    Scenario { state: state("masq", "ipMasq, the only container"), masquerade: true, ..PLAIN },
    Scenario {
        state: state("masq-100", "ipMasq, 100 containers attached"),
        others: 100,
        masquerade: true,
        ..PLAIN
    },
    Scenario {
        state: state("masq-attached", "ipMasq, 500 containers attached"),
        others: 500,
        masquerade: true,
        ..PLAIN
    },
    Scenario { state: state("burst", "16 at a time"), burst: true, ..PLAIN },
];

const fn state(id: &'static str, title: &'static str) -> State {
    State { id, title, base: "plain" }
}

/// A contender on a host of its own, with the containers that are there already.
struct Place {
    seat: Seat,
    measured: (Container, Attachment),
    _others: Vec<Container>,
    host: Host,
}

impl Scenario {
    /// Measures all contenders by turns, so that none has the quieter machine, each on its own host.
    pub(crate) fn measure(&'static self, contenders: &[Contender], rounds: usize) -> Figures {
        let mut sites: Vec<_> = contenders.iter().map(|contender| self.site(contender)).collect();
        let mut figures = Figures::default();
        let times = match self.burst {
            true => bursts(&mut sites),
            false => {
                // What is found out or made once is not measured.
                for (site, contender) in sites.iter_mut().zip(contenders) {
                    let memory = site.run(Place::begin);
                    figures.add(self.state, contender, (What::Memory, memory));
                }
                let times = by_turns(&mut sites, (rounds, TIMEOUT), Place::add_and_del);
                times.into_iter().map(|of_one| of_one.into_iter().unzip()).collect()
            }
        };
        for (contender, (adds, dels)) in contenders.iter().zip(times) {
            figures.add(self.state, contender, (What::Add, median(adds)));
            figures.add(self.state, contender, (What::Del, median(dels)));
        }
        figures
    }

    /// Whether calls are made side by side.
    pub(crate) fn is_burst(&self) -> bool {
        self.burst
    }

    /// Where the time of `contender`'s calls goes, as text.
    pub(crate) fn profile(&'static self, contender: &Contender, rounds: usize) -> String {
        self.site(contender).run(move |place| {
            place.add_and_del();
            profile::of(&place.seat, &place.measured.1, rounds)
        })
    }

    fn site(&'static self, contender: &Contender) -> Site<Place> {
        let contender = contender.clone();
        Site::new(move || Place::new(contender, self))
    }
}

impl Place {
    /// The state of the scenario; the containers stay while they are kept.
    fn new(contender: Contender, scenario: &Scenario) -> Self {
        let host = Host::new();
        let seat = Seat::new(&host, contender, scenario.masquerade);
        let attach = |number: u16| {
            let (container, attachment) = container(&host, &format!("other{number}"), number);
            seat.call("ADD", &attachment);
            container
        };
        let others = (0..scenario.others).map(attach).collect();
        seat.hold(scenario.held);
        Self { seat, measured: container(&host, "measured", 1000), _others: others, host }
    }

    fn add_and_del(&self) -> (Duration, Duration) {
        let of = |command| self.seat.call(command, &self.measured.1);
        (of("ADD"), of("DEL"))
    }

    /// A first attachment; then the memory of another one, in MiB.
    fn begin(&self) -> f64 {
        self.add_and_del();
        let memory = self.seat.memory(&self.measured.1);
        self.seat.call("DEL", &self.measured.1);
        memory
    }
}

/// The times of ADDs and of DELs, contender by contender.
type Times = Vec<(Vec<Duration>, Vec<Duration>)>;

fn bursts(sites: &mut [Site<Place>]) -> Times {
    let mut times = vec![(Vec::new(), Vec::new()); sites.len()];
    for _ in 0..BURSTS {
        for (site, (adds, dels)) in sites.iter_mut().zip(&mut times) {
            let (add, del) = site.run(|Place { seat, host, .. }| {
                let containers: Vec<_> = (0..BURST)
                    .map(|number| container(host, &format!("b{number}"), number))
                    .collect();
                let attachments: Vec<_> = containers.iter().map(|(_, one)| one).collect();
                (at_a_time(seat, "ADD", &attachments), at_a_time(seat, "DEL", &attachments))
            });
            adds.push(add);
            dels.push(del);
            // What a DEL left to the kernel is no burden on the next contender.
            std::thread::sleep(REST);
        }
    }
    times
}

fn container(host: &Host, name: &str, number: u16) -> (Container, Attachment) {
    let made = host.container(name);
    let attachment = Attachment::new(&made, number);
    (made, attachment)
}

/// One call of each of `attachments`, by a fixed number of callers side by side; the time of each, if they came
/// one after the other.
fn at_a_time(seat: &Seat, command: &str, attachments: &[&Attachment]) -> Duration {
    let begin = Instant::now();
    let left = Mutex::new(attachments.iter());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let next = left.lock().unwrap().next();
                    let Some(attachment) = next else { break };
                    seat.call(command, attachment);
                }
            });
        }
    });
    begin.elapsed() / u32::from(BURST)
}
