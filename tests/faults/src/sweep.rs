//! All faults of all scenes, or a sample of them, on several hosts at a time.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::errnos;
use crate::fault::{Command, Fault, How};
use crate::scene::Kind;
use crate::site::Site;
use crate::summary::Summary;
use crate::trial::{Next, Trial, Verdict, shown};

/// How much of all faults is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Every system call, killed before and after, and failing with every error that fits it.
    Full,
    /// Every system call of each process by name, its first and its last occurrence, with one error
    /// each; and every n-th kill.
    Bounded,
}

/// Of the kills, the bounded form makes one in so many.
const STRIDE: usize = 6;
/// A place that other things' timing decides about may be missed; then the run is repeated.
const MAX_ATTEMPTS: usize = 3;

/// Faults still to be run, each with what follows if it kills.
type Queue = Mutex<VecDeque<(Fault, Next)>>;

/// Sweeps the commands of `selection` with `workers` hosts at a time.
pub(crate) fn sweep(selection: &[(Kind, Command)], extent: Extent, workers: usize) -> Summary {
    let shared = Shared { summary: Mutex::default(), done: AtomicUsize::new(0) };
    let mut queues: BTreeMap<Kind, Queue> = BTreeMap::new();
    for &which in selection {
        let faults = faults_of(which, extent, &shared.summary);
        let queue = queues.entry(which.0).or_default();
        queue.get_mut().expect("the queue").extend(faults);
    }
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| queues.iter().for_each(|(kind, queue)| shared.work(*kind, queue)));
        }
    });
    shared.summary.into_inner().expect("the summary")
}

/// The faults that `extent` has of one command, in a thread of its own as a host needs.
fn faults_of(
    (kind, command): (Kind, Command),
    extent: Extent,
    summary: &Mutex<Summary>,
) -> Vec<(Fault, Next)> {
    let listed = thread::scope(|scope| {
        let list = || {
            let trial = Trial::new(kind);
            // Waiting for the kernel takes calls only if there is need to wait: the plain run.
            let runs = (0..MAX_ATTEMPTS).map(|_| trial.list(command));
            runs.min_by_key(Vec::len).expect("a run without a fault")
        };
        scope.spawn(list).join().expect("a run without a fault")
    });
    let sites: Vec<Site> = listed.iter().map(|(site, _)| site.clone()).collect();
    let all: Vec<(Site, How)> = sites.iter().flat_map(hows).collect();
    let chosen = match extent {
        Extent::Full => all.clone(),
        Extent::Bounded => sample(&sites),
    };
    let mut summary = summary.lock().expect("the summary");
    summary.list((kind, command), sites.len(), all.len());
    let with_next = |(number, (site, how)): (usize, (Site, How))| {
        // Each place is killed at twice: one is followed by DEL, the other by a second ADD.
        let even = (number / 2 + usize::from(how == How::KillAfter)).is_multiple_of(2);
        let next = if even { Next::Del } else { Next::Retry };
        (Fault { kind, command, site, how }, next)
    };
    chosen.into_iter().enumerate().map(with_next).collect()
}

/// All that can happen at a place.
fn hows(site: &Site) -> Vec<(Site, How)> {
    let fails = errnos::fitting(&site.call).iter().map(|errno| How::Fail(*errno));
    let after = (!matches!(site.call.as_str(), "exit" | "exit_group")).then_some(How::KillAfter);
    let all = [How::Kill].into_iter().chain(after).chain(fails);
    all.map(|how| (site.clone(), how)).collect()
}

/// Every distinct call of each process at its first and last place, each with one error in turn, and
/// a share of the kills.
fn sample(sites: &[Site]) -> Vec<(Site, How)> {
    let mut chosen = Vec::new();
    let mut seen = HashSet::new();
    let mut turn = 0;
    let mut choose = |site: &Site| {
        let errnos = errnos::fitting(&site.call);
        if let Some(errno) = errnos.get(turn % errnos.len().max(1)) {
            chosen.push((site.clone(), How::Fail(*errno)));
            turn += 1;
        }
    };
    let pair = |site: &Site| (site.role.clone(), site.call.clone());
    sites.iter().filter(|site| seen.insert(pair(site))).for_each(&mut choose);
    seen.clear();
    let lasts = sites.iter().rev().filter(|site| seen.insert(pair(site)));
    lasts.filter(|site| site.nth > 1).for_each(&mut choose);
    let kills = sites.iter().enumerate().filter(|(number, _)| number.is_multiple_of(STRIDE));
    for (number, (_, site)) in kills.enumerate() {
        let how = if number.is_multiple_of(2) { How::Kill } else { How::KillAfter };
        chosen.extend(hows(site).into_iter().filter(|(_, possible)| *possible == how));
    }
    chosen
}

/// What the workers share.
struct Shared {
    summary: Mutex<Summary>,
    done: AtomicUsize,
}

impl Shared {
    fn work(&self, kind: Kind, queue: &Queue) {
        let next = || queue.lock().expect("the queue").pop_front();
        let mut fault = next();
        // A host is a thread's: a new one for each that a broken promise has spoiled.
        while fault.is_some() {
            let on_one_host = || {
                let trial = Trial::new(kind);
                while let Some((one, after)) = fault.take() {
                    let is_spoiled = self.try_one(&trial, &one, after);
                    fault = next();
                    if is_spoiled {
                        return;
                    }
                }
            };
            thread::scope(|scope| scope.spawn(on_one_host).join().expect("a host's thread"));
        }
    }

    /// Whether promises were broken.
    fn try_one(&self, trial: &Trial, fault: &Fault, next: Next) -> bool {
        let mut tried = 1;
        let (mut verdict, mut run) = trial.run(fault, next);
        while verdict == Verdict::NotReached && tried < MAX_ATTEMPTS {
            (verdict, run) = trial.run(fault, next);
            tried += 1;
        }
        if let Verdict::Broken(broken) = &verdict {
            let mut text = format!("\nFAILED {fault} ({})\n", shown(&run));
            for promise in broken {
                text.push_str(&format!("  {}\n", promise.trim_end().replace('\n', "\n  ")));
            }
            text.push_str(&format!("  again: scripts/faults --only '{fault}'"));
            println!("{text}");
        }
        let number = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if number.is_multiple_of(500) {
            println!("{number} faults so far");
        }
        self.summary.lock().expect("the summary").count(fault, &verdict, run.took);
        matches!(verdict, Verdict::Broken(_))
    }
}
