//! Thousands of ADDs and DELs of the whole chain, many at a time, mixed with CHECK, GC and STATUS, on
//! one pool and one bridge: no error, no address twice, nothing left, and no slower in the end than in the
//! beginning.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testsupport::{Call, Container, Host};

use crate::chain;
use crate::scene::POOLS;
use crate::state::State;

/// Calls at a time.
const AT_A_TIME: usize = 32;
/// So many pairs between two GCs.
const BETWEEN_GCS: usize = 100;
/// The host port of the first namespace; each has one of its own.
const FIRST_PORT: u16 = 10_000;
/// How much longer an ADD may take in the last quarter than in the first.
const MAX_SLOWDOWN: f64 = 1.2;
/// Errors that are printed; the rest are counted.
const MAX_SHOWN: usize = 10;

/// A container that comes and goes, in a namespace that has others before and after it; the host port is
/// the namespace's.
#[derive(Clone, Copy)]
struct Guest<'a> {
    id: &'a str,
    container: &'a Container,
    port: u16,
}

/// What is measured of one ADD, of all plugins together.
struct Measured {
    add: Duration,
    /// A call that does nothing, made right before: what the machine takes for any process now.
    nothing: Duration,
}

struct Churn {
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
    let forgotten = Guest { id: "forgotten", container: &forgotten, port: FIRST_PORT - 1 };
    let churn = Churn {
        pairs,
        next: AtomicUsize::new(0),
        gc: RwLock::new(()),
        held: Mutex::default(),
        attached: Mutex::default(),
        measured: Mutex::default(),
        errors: Mutex::default(),
    };
    // What stays for the next container.
    churn.attach(forgotten);
    churn.detach(forgotten);
    let before = State::of(&host, &[]);
    let start = Instant::now();
    thread::scope(|scope| {
        let places = containers.iter().zip(FIRST_PORT..);
        let churn = &churn;
        let workers: Vec<_> = places
            .map(|(container, port)| scope.spawn(move || churn.work(container, port)))
            .collect();
        let mut collected = 0;
        while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
            if churn.next.load(Ordering::Relaxed) / BETWEEN_GCS > collected {
                collected += 1;
                let id = format!("forgotten{collected}");
                churn.collect(Guest { id: &id, ..forgotten });
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
    fn error(&self, text: String) {
        self.errors.lock().expect("the errors").push(text);
    }

    /// One container after the other in a namespace of its own.
    fn work(&self, container: &Container, port: u16) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.pairs {
                return;
            }
            let guest = Guest { id: &format!("pair{number}"), container, port };
            let Some(result) = self.attach(guest) else { continue };
            self.each("CHECK", guest, &json!({ "prevResult": result }));
            if number.is_multiple_of(4) {
                self.each("STATUS", guest, &json!({}));
            }
            self.detach(guest);
        }
    }

    /// A call of all plugins, which has to succeed and to answer with nothing.
    fn each(&self, command: &str, guest: Guest<'_>, keys: &Value) {
        let mut plugins = chain::PLUGINS;
        if command == "DEL" {
            plugins.reverse();
        }
        for plugin in plugins {
            let answer = call(plugin, command, guest, keys).run();
            if answer.status() != Some(0) || !answer.stdout().is_empty() {
                self.error(format!("{command} of {plugin}: {answer}"));
            }
        }
    }

    /// ADD of the chain; what its last plugin answered.
    fn add(&self, guest: Guest<'_>) -> Option<Value> {
        let mut keys = json!({});
        for plugin in chain::PLUGINS {
            let answer = call(plugin, "ADD", guest, &keys).run();
            if answer.status() != Some(0) {
                self.error(format!("ADD of {plugin}: {answer}"));
                return None;
            }
            keys = json!({ "prevResult": answer.json() });
        }
        Some(keys["prevResult"].take())
    }

    fn attach(&self, guest: Guest<'_>) -> Option<Value> {
        let nothing = Call::new("bridge").command("VERSION");
        let start = Instant::now();
        nothing.run().expect_success();
        let nothing = start.elapsed();
        let _no_gc = self.gc.read().expect("the lock of GC");
        self.attached.lock().expect("the attached").insert(guest.id.to_owned());
        let start = Instant::now();
        let result = self.add(guest)?;
        let add = start.elapsed();
        self.measured.lock().expect("the times").push(Measured { add, nothing });
        let addresses: Vec<String> = addresses(&result);
        if addresses.len() != 2 {
            self.error(format!("not two addresses: {result}"));
        }
        let mut held = self.held.lock().expect("who has what");
        for address in addresses {
            if let Some(other) = held.insert(address.clone(), guest.id.to_owned()) {
                self.error(format!("{address} given to {} while {other} has it", guest.id));
            }
        }
        drop(held);
        Some(result)
    }

    fn detach(&self, guest: Guest<'_>) {
        let _no_gc = self.gc.read().expect("the lock of GC");
        // From here on the address may be another's.
        self.held.lock().expect("who has what").retain(|_, holder| holder != guest.id);
        self.each("DEL", guest, &json!({}));
        self.attached.lock().expect("the attached").remove(guest.id);
    }

    /// GC of an attachment that nobody names any more, and of nothing else.
    fn collect(&self, guest: Guest<'_>) {
        let Some(result) = self.add(guest) else { return };
        let _alone = self.gc.write().expect("the lock of GC");
        let valid: Vec<Value> = {
            let attached = self.attached.lock().expect("the attached");
            attached.iter().map(|id| json!({ "containerID": id, "ifname": "eth0" })).collect()
        };
        let keys = json!({ "cni.dev/valid-attachments": valid });
        self.each("GC", guest, &keys);
        for address in addresses(&result) {
            let file = PathBuf::from(POOLS).join("churn").join(&address);
            if fs::read_to_string(&file).is_ok_and(|content| content.starts_with(guest.id)) {
                self.error(format!("GC left {} to {}", file.display(), guest.id));
            }
        }
        if guest.container.run(["ip", "-oneline", "link"]).contains("eth0") {
            self.error(format!("GC left the interface of {}", guest.id));
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

/// A call of a plugin of the chain with more keys, on a pool so small that its addresses go round many
/// times.
fn call(plugin: &str, command: &str, guest: Guest<'_>, keys: &Value) -> Call {
    let mut config = chain::config(plugin, guest.port, None);
    config["name"] = "churn".into();
    config["cniVersion"] = "1.1.0".into();
    if plugin == "bridge" {
        config["macspoofchk"] = true.into();
        config["ipam"]["ranges"] =
            json!([[{ "subnet": "10.2.0.0/25" }], [{ "subnet": "fd00:2::/120" }]]);
    }
    if plugin == "tuning" {
        // What a container sends with another address than at first, macspoofchk drops.
        config["mac"] = Value::Null;
    }
    for (key, value) in keys.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    let call = Call::new(plugin).command(command).container_id(guest.id).netns(guest.container);
    call.ifname("eth0").config(config)
}
