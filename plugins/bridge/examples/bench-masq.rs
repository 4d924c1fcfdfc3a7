//! What `ipMasq` adds to a call, by the number of attachments that are masqueraded: both backends of
//! this suite's `bridge` beside the reference's, in one run. `scripts/bench masq` builds and runs it.
//!
//! Only the ratios mean something on another machine.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement that can't be made ends the program"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testsupport::{Call, Container, Host};

/// Other attachments on the host: the first one of a host pays for the kernel's connection tracking.
const OTHERS: [usize; 3] = [0, 1, 500];
/// Calls of each kind whose median is taken.
const ROUNDS: usize = 41;

/// One suite with one backend, on a host of its own.
struct Contender {
    name: &'static str,
    folder: PathBuf,
    /// `ipMasqBackend`, where the suite knows it.
    backend: Option<&'static str>,
}

/// Median times of an ADD and a DEL.
#[derive(Clone, Copy)]
struct Times {
    add: Duration,
    del: Duration,
}

impl Contender {
    fn config(&self, host: &Host, masquerade: bool) -> Value {
        let mut config = json!({
            "cniVersion": "0.4.0",
            "name": "bench",
            "type": "bridge",
            "isGateway": true,
            "ipMasq": masquerade,
            "ipam": {
                "type": "host-local",
                "subnet": "10.88.0.0/16",
                "routes": [{ "dst": "0.0.0.0/0" }],
                "dataDir": host.temp_dir(),
            },
        });
        if let Some(backend) = self.backend {
            config["ipMasqBackend"] = json!(backend);
        }
        config
    }

    fn call(&self, command: &str, container: &Container, config: &Value) -> Call {
        Call::of(self.folder.join("bridge"))
            .command(command)
            .container_id(container.name())
            .netns(container)
            .ifname("eth0")
            .env("CNI_PATH", &self.folder)
            .config(config)
    }

    /// Without and with `ipMasq`, by turns, so that neither has the quieter machine.
    fn rounds(&self, container: &Container, configs: &[Value; 2]) -> [Times; 2] {
        let timed = |command: &str, config: &Value| {
            let call = self.call(command, container, config);
            let begin = Instant::now();
            let answer = call.run();
            let time = begin.elapsed();
            answer.expect_success();
            time
        };
        let pair = |config: &Value| (timed("ADD", config), timed("DEL", config));
        // What is made once is not measured.
        configs.iter().map(pair).for_each(drop);
        let rounds: Vec<_> = (0..ROUNDS).map(|_| configs.each_ref().map(pair)).collect();
        [0, 1].map(|masquerade| Times {
            add: median(rounds.iter().map(|round| round[masquerade].0)),
            del: median(rounds.iter().map(|round| round[masquerade].1)),
        })
    }

    /// Beside each of the numbers of other attachments, all masqueraded.
    fn measure(&self) -> [[Times; 2]; OTHERS.len()] {
        let host = Host::new();
        let configs = [self.config(&host, false), self.config(&host, true)];
        let measured = host.container("measured");
        let mut others: Vec<Container> = Vec::new();
        OTHERS.map(|count| {
            while others.len() < count {
                let other = host.container(&format!("other{}", others.len()));
                self.call("ADD", &other, &configs[1]).run().expect_success();
                others.push(other);
            }
            self.rounds(&measured, &configs)
        })
    }
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.collect();
    times.sort();
    times[times.len() / 2]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn print(name: &str, measured: [[Times; 2]; OTHERS.len()]) {
    for (command, pick) in [("ADD", (|t| t.add) as fn(Times) -> Duration), ("DEL", |t| t.del)] {
        let times = measured.map(|row| row.map(|times| milliseconds(pick(times))));
        for (others, [plain, masq]) in OTHERS.iter().zip(times) {
            let growth = masq / times[1][1];
            println!(
                "{name:<20} {command} {others:>7} {plain:>10.2} {masq:>10.2} {:>8.2} {growth:>8.2}",
                masq - plain
            );
        }
    }
}

fn main() {
    let folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [ours, reference] = folders.as_slice() else {
        println!("usage: bench-masq FOLDER-OF-OURS FOLDER-OF-THE-REFERENCE");
        std::process::exit(2);
    };
    let of = |name, folder: &Path, backend| Contender { name, folder: folder.to_owned(), backend };
    let contenders = [
        of("ours, nftables", ours, Some("nftables")),
        of("ours, iptables", ours, Some("iptables")),
        of("reference, iptables", reference, None),
    ];
    println!("median milliseconds; \"adds\" is what ipMasq adds, growth is against 1 other\n");
    println!(
        "{:<20} call {:>6} {:>10} {:>10} {:>8} {:>8}",
        "", "others", "plain", "ipMasq", "adds", "growth"
    );
    for contender in contenders {
        let name = contender.name;
        // Each on a thread, which is what a host is.
        let measured = std::thread::spawn(move || contender.measure()).join();
        match measured {
            Ok(measured) => print(name, measured),
            Err(_panic) => std::process::exit(1),
        }
    }
}
