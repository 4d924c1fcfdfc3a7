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

/// Attachments of a busy host.
const MANY: usize = 500;
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

    fn rounds(&self, container: &Container, config: &Value) -> Times {
        let [add, del] = ["ADD", "DEL"].map(|command| self.call(command, container, config));
        let timed = |call: &Call| {
            let begin = Instant::now();
            let answer = call.run();
            let time = begin.elapsed();
            answer.expect_success();
            time
        };
        timed(&add);
        timed(&del);
        let times: Vec<_> = (0..ROUNDS).map(|_| (timed(&add), timed(&del))).collect();
        Times {
            add: median(times.iter().map(|(add, _)| *add)),
            del: median(times.iter().map(|(_, del)| *del)),
        }
    }

    /// Without and with `ipMasq`, with no attachment and with many.
    fn measure(&self) -> [[Times; 2]; 2] {
        let host = Host::new();
        let configs = [self.config(&host, false), self.config(&host, true)];
        let measured = host.container("measured");
        let alone = [0, 1].map(|masquerade| self.rounds(&measured, &configs[masquerade]));
        let others: Vec<Container> =
            (0..MANY).map(|number| host.container(&format!("other{number}"))).collect();
        for other in &others {
            self.call("ADD", other, &configs[1]).run().expect_success();
        }
        [alone, [0, 1].map(|masquerade| self.rounds(&measured, &configs[masquerade]))]
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

fn print(name: &str, measured: [[Times; 2]; 2]) {
    for (command, pick) in [("ADD", (|t| t.add) as fn(Times) -> Duration), ("DEL", |t| t.del)] {
        let [[plain, masq], [plain_many, masq_many]] =
            measured.map(|row| row.map(|times| milliseconds(pick(times))));
        println!(
            "{name:<22} {command}  {plain:>8.2} {masq:>8.2} {:>8.2} {plain_many:>10.2} {masq_many:>8.2} {:>8.2} {:>9.2}",
            masq - plain,
            masq_many - plain_many,
            masq_many / masq,
        );
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
    println!("median milliseconds; \"adds\" is what ipMasq adds; growth is {MANY} against none\n");
    println!(
        "{:<22} call {:>8} {:>8} {:>8} {:>10} {:>8} {:>8} {:>9}",
        "", "plain", "ipMasq", "adds", "plain, 500", "ipMasq", "adds", "growth"
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
