//! What is measured, and on what kind of host. Knows nothing of how figures are shown.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use testsupport::{Container, Host};

use crate::contender::{Attachment, Contender, Seat};
use crate::figures::{Figures, State, What, median};
use crate::profile;

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

impl Scenario {
    /// Measures all contenders by turns, so that none has the quieter machine.
    pub(crate) fn measure(&self, contenders: &[Contender], rounds: usize) -> Figures {
        let host = Host::new();
        let seats: Vec<Seat> = (0..)
            .zip(contenders)
            .map(|(number, contender)| Seat::new(&host, contender.clone(), number, self.masquerade))
            .collect();
        let others: Vec<Container> =
            seats.iter().flat_map(|seat| self.furnish(&host, seat)).collect();
        let figures = match self.burst {
            true => self.bursts(&host, &seats),
            false => self.rounds(&host, &seats, rounds),
        };
        drop(others);
        figures
    }

    /// Whether calls are made side by side.
    pub(crate) fn is_burst(&self) -> bool {
        self.burst
    }

    /// Where the time of `contender`'s calls goes, as text.
    pub(crate) fn profile(&self, contender: Contender, rounds: usize) -> String {
        let host = Host::new();
        let seat = Seat::new(&host, contender, 0, self.masquerade);
        let others = self.furnish(&host, &seat);
        let (_measured, attachment) = container(&host, "measured", 1000);
        seat.call("ADD", &attachment);
        seat.call("DEL", &attachment);
        let shares = profile::of(&seat, &attachment, rounds);
        drop(others);
        shares
    }

    /// Brings a seat into the scenario's state; the containers stay while they are kept.
    fn furnish(&self, host: &Host, seat: &Seat) -> Vec<Container> {
        let attach = |number: u16| {
            let name = format!("{}-other{number}", seat.bridge());
            let (container, attachment) = container(host, &name, number);
            seat.call("ADD", &attachment);
            container
        };
        let others = (0..self.others).map(attach).collect();
        seat.hold(self.held);
        others
    }

    fn rounds(&self, host: &Host, seats: &[Seat], rounds: usize) -> Figures {
        let (_measured, attachment) = container(host, "measured", 1000);
        // What is found out or made once is not measured.
        let mut figures = Figures::default();
        for seat in seats {
            seat.call("ADD", &attachment);
            seat.call("DEL", &attachment);
            let memory = seat.memory(&attachment);
            seat.call("DEL", &attachment);
            figures.add(self.state, seat.contender(), (What::Memory, memory));
        }
        let mut times = vec![(Vec::new(), Vec::new(), Duration::ZERO); seats.len()];
        for _ in 0..rounds {
            for (seat, (adds, dels, total)) in seats.iter().zip(&mut times) {
                if *total < TIMEOUT {
                    let begin = Instant::now();
                    adds.push(seat.call("ADD", &attachment));
                    dels.push(seat.call("DEL", &attachment));
                    *total += begin.elapsed();
                }
            }
        }
        for (seat, (adds, dels, _total)) in seats.iter().zip(times) {
            figures.add(self.state, seat.contender(), (What::Add, median(adds)));
            figures.add(self.state, seat.contender(), (What::Del, median(dels)));
        }
        figures
    }

    fn bursts(&self, host: &Host, seats: &[Seat]) -> Figures {
        let mut figures = Figures::default();
        let containers: Vec<_> =
            (0..BURST).map(|number| container(host, &format!("b{number}"), number)).collect();
        let attachments: Vec<&Attachment> = containers.iter().map(|(_, one)| one).collect();
        let mut times = vec![(Vec::new(), Vec::new()); seats.len()];
        for _ in 0..BURSTS {
            for (seat, (adds, dels)) in seats.iter().zip(&mut times) {
                for (command, times) in [("ADD", adds), ("DEL", dels)] {
                    let begin = Instant::now();
                    at_a_time(seat, command, &attachments);
                    times.push(begin.elapsed() / u32::from(BURST));
                }
                // What a DEL left to the kernel is no burden on the next contender.
                std::thread::sleep(REST);
            }
        }
        for (seat, (adds, dels)) in seats.iter().zip(times) {
            figures.add(self.state, seat.contender(), (What::Add, median(adds)));
            figures.add(self.state, seat.contender(), (What::Del, median(dels)));
        }
        figures
    }
}

fn container(host: &Host, name: &str, number: u16) -> (Container, Attachment) {
    let made = host.container(name);
    let netns = made.path().to_owned();
    (made, Attachment { container: name.to_owned(), netns, number })
}

/// One call of each of `attachments`, by a fixed number of callers side by side.
fn at_a_time(seat: &Seat, command: &str, attachments: &[&Attachment]) {
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
}
