//! Thousands of ADDs and DELs, many at a time, mixed with CHECK, GC and STATUS, on one pool and one
//! bridge: no error, no address twice, nothing left, and no slower in the end than in the beginning.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testsupport::{Answer, Call, Container, Host};

use crate::scene::POOLS;
use crate::state::State;

/// Calls at a time.
const AT_A_TIME: usize = 32;
/// So many pairs between two GCs.
const BETWEEN_GCS: usize = 100;
/// How much longer an ADD may take in the last quarter than in the first.
const MAX_SLOWDOWN: f64 = 1.2;
/// Errors that are printed; the rest are counted.
const MAX_SHOWN: usize = 10;

/// What is measured of one ADD.
struct Measured {
    add: Duration,
    /// A call that does nothing, made right before: what the machine takes for any process now.
    nothing: Duration,
}

struct Churn {
    config: Value,
    pairs: usize,
    next: AtomicUsize,
    /// Held for reading by ADD and DEL, for writing by GC: the specification forbids both at a time.
    gc: RwLock<()>,
    /// Who has which address.
    held: Mutex<HashMap<String, String>>,
    attached: Mutex<BTreeSet<String>>,
    measured: Mutex<Vec<Measured>>,
    errors: Mutex<Vec<String>>,
}

/// Makes `pairs` of ADD and DEL; whether all is well. The time is judged if `judge_time`.
pub(crate) fn churn(pairs: usize, time: Time) -> bool {
    let host = Host::new();
    host.run(["sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0"]);
    let containers: Vec<Container> =
        (0..AT_A_TIME).map(|number| host.container(&format!("c{number}"))).collect();
    let forgotten = host.container("forgotten");
    let churn = Churn {
        config: config(),
        pairs,
        next: AtomicUsize::new(0),
        gc: RwLock::new(()),
        held: Mutex::default(),
        attached: Mutex::default(),
        measured: Mutex::default(),
        errors: Mutex::default(),
    };
    // What stays for the next container.
    churn.call("ADD", "first", &forgotten).run().expect_success();
    churn.call("DEL", "first", &forgotten).run().expect_silent_success();
    let before = State::of(&host, &[]);
    let start = Instant::now();
    thread::scope(|scope| {
        let workers: Vec<_> =
            containers.iter().map(|own| scope.spawn(|| churn.work(own))).collect();
        let mut collected = 0;
        while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
            if churn.next.load(Ordering::Relaxed) / BETWEEN_GCS > collected {
                collected += 1;
                churn.collect(&format!("forgotten{collected}"), &forgotten);
            }
            thread::sleep(Duration::from_millis(2));
        }
    });
    let took = start.elapsed();
    let left = State::of(&host, &[]).difference(&[&before]);
    if !left.is_empty() {
        churn.error(format!("left in the end:\n{left}"));
    }
    churn.report(took, time)
}

/// Whether it matters how long calls take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Time {
    /// The run is long enough to tell.
    Judged,
    /// Printed only.
    Shown,
}

impl Churn {
    fn call(&self, command: &str, id: &str, container: &Container) -> Call {
        let call = Call::new("bridge").command(command).container_id(id).netns(container);
        call.ifname("eth0").config(&self.config)
    }

    fn error(&self, text: String) {
        self.errors.lock().expect("the errors").push(text);
    }

    /// Whether a call that answers with nothing succeeded.
    fn expect_silent(&self, answer: &Answer) -> bool {
        let fine = answer.status() == Some(0) && answer.stdout().is_empty();
        if !fine {
            self.error(answer.to_string());
        }
        fine
    }

    /// One container after the other in a namespace of its own.
    fn work(&self, container: &Container) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.pairs {
                return;
            }
            let id = format!("pair{number}");
            let Some(result) = self.attach(&id, container) else { continue };
            let mut config = self.config.clone();
            config["prevResult"] = result;
            self.expect_silent(&self.call("CHECK", &id, container).config(config).run());
            if number.is_multiple_of(4) {
                self.expect_silent(&self.call("STATUS", "", container).run());
            }
            self.detach(&id, container);
        }
    }

    fn attach(&self, id: &str, container: &Container) -> Option<Value> {
        let nothing = Call::new("bridge").command("VERSION");
        let start = Instant::now();
        nothing.run().expect_success();
        let nothing = start.elapsed();
        let _no_gc = self.gc.read().expect("the lock of GC");
        self.attached.lock().expect("the attached").insert(id.to_owned());
        let start = Instant::now();
        let answer = self.call("ADD", id, container).run();
        let add = start.elapsed();
        if answer.status() != Some(0) {
            self.error(answer.to_string());
            return None;
        }
        self.measured.lock().expect("the times").push(Measured { add, nothing });
        let result = answer.json();
        let addresses: Vec<String> = addresses(&result);
        if addresses.len() != 2 {
            self.error(format!("not two addresses: {answer}"));
        }
        let mut held = self.held.lock().expect("who has what");
        for address in addresses {
            if let Some(other) = held.insert(address.clone(), id.to_owned()) {
                self.error(format!("{address} given to {id} while {other} has it"));
            }
        }
        drop(held);
        Some(result)
    }

    fn detach(&self, id: &str, container: &Container) {
        let _no_gc = self.gc.read().expect("the lock of GC");
        // From here on the address may be another's.
        self.held.lock().expect("who has what").retain(|_, holder| holder != id);
        self.expect_silent(&self.call("DEL", id, container).run());
        self.attached.lock().expect("the attached").remove(id);
    }

    /// GC of an attachment that nobody names any more, and of nothing else.
    fn collect(&self, id: &str, container: &Container) {
        let answer = self.call("ADD", id, container).run();
        if answer.status() != Some(0) {
            return self.error(answer.to_string());
        }
        let _alone = self.gc.write().expect("the lock of GC");
        let valid: Vec<Value> = {
            let attached = self.attached.lock().expect("the attached");
            attached.iter().map(|id| json!({ "containerID": id, "ifname": "eth0" })).collect()
        };
        let mut config = self.config.clone();
        config["cni.dev/valid-attachments"] = Value::Array(valid);
        self.expect_silent(&self.call("GC", "", container).config(config).run());
        for address in addresses(&answer.json()) {
            let file = PathBuf::from(POOLS).join("churn").join(&address);
            if fs::read_to_string(&file).is_ok_and(|content| content.starts_with(id)) {
                self.error(format!("GC left {} to {id}", file.display()));
            }
        }
        if container.run(["ip", "-oneline", "link"]).contains("eth0") {
            self.error(format!("GC left the interface of {id}"));
        }
    }

    fn report(&self, took: Duration, time: Time) -> bool {
        let measured = self.measured.lock().expect("the times");
        // Until all have begun, nobody waits for anybody's DEL.
        let measured = measured.get(2 * AT_A_TIME..).unwrap_or_default();
        let quarter = measured.len() / 4;
        let median = |part: &[Measured], of: fn(&Measured) -> Duration| {
            let mut times: Vec<Duration> = part.iter().map(of).collect();
            times.sort_unstable();
            times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64()
        };
        let (first, last) = (&measured[..quarter], &measured[measured.len() - quarter..]);
        let ratio = |of| median(last, of) / median(first, of);
        let (add, nothing) = (ratio(|one| one.add), ratio(|one| one.nothing));
        println!(
            "churn: {} pairs in {took:.1?}, {AT_A_TIME} at a time; an ADD's median {:.1} ms in the first \
             quarter, {:.1} ms in the last: {add:.2} times; a call that does nothing: {nothing:.2} times",
            self.pairs,
            1e3 * median(first, |one| one.add),
            1e3 * median(last, |one| one.add),
        );
        let mut errors = self.errors.lock().expect("the errors");
        // Slower than before, and by more than the whole machine is.
        if time == Time::Judged && add > MAX_SLOWDOWN && add / nothing > MAX_SLOWDOWN {
            errors.push(format!("ADD takes {add:.2} times as long as in the beginning"));
        }
        for error in errors.iter().take(MAX_SHOWN) {
            println!("\nFAILED churn\n  {}", error.trim_end().replace('\n', "\n  "));
        }
        if errors.len() > MAX_SHOWN {
            println!("and {} more", errors.len() - MAX_SHOWN);
        }
        errors.is_empty()
    }
}

fn addresses(result: &Value) -> Vec<String> {
    let ips = result["ips"].as_array().into_iter().flatten();
    let text = |ip: &Value| ip["address"].as_str().unwrap_or_default().to_owned();
    ips.map(|ip| text(ip).split('/').next().unwrap_or_default().to_owned()).collect()
}

/// A pool so small that its addresses go round many times.
fn config() -> Value {
    json!({
        "cniVersion": "1.1.0",
        "name": "churn",
        "type": "bridge",
        "bridge": "cni0",
        "isDefaultGateway": true,
        "ipMasq": true,
        "ipMasqBackend": "nftables",
        "macspoofchk": true,
        "ipam": {
            "type": "host-local",
            "ranges": [[{ "subnet": "10.2.0.0/25" }], [{ "subnet": "fd00:2::/120" }]],
        },
    })
}
