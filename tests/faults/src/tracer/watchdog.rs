//! Ends what takes too long: a tracer that waits for its threads has no eye on the clock.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[derive(Default)]
struct Watched {
    processes: Vec<Pid>,
    bitten: bool,
}

/// Kills what it watches when the time is over, unless it is dropped before.
pub(super) struct Watchdog {
    watched: Arc<Mutex<Watched>>,
    _asleep: Sender<()>,
}

impl Watchdog {
    pub(super) fn start(limit: Duration) -> Self {
        let watched = Arc::new(Mutex::new(Watched::default()));
        let (asleep, woken) = channel();
        let inside = Arc::clone(&watched);
        thread::spawn(move || {
            use std::sync::mpsc::RecvTimeoutError::Timeout;
            if woken.recv_timeout(limit) == Err(Timeout) {
                let mut watched = inside.lock().expect("the watchdog's list");
                watched.bitten = true;
                for process in &watched.processes {
                    kill(*process, Signal::SIGKILL).ok();
                }
            }
        });
        Self { watched, _asleep: asleep }
    }

    /// Also ends `process`.
    pub(super) fn watch(&self, process: Pid) {
        self.watched.lock().expect("the watchdog's list").processes.push(process);
    }

    /// `process` has ended: its number may become another's.
    pub(super) fn forget(&self, process: Pid) {
        let mut watched = self.watched.lock().expect("the watchdog's list");
        watched.processes.retain(|known| *known != process);
    }

    pub(super) fn has_bitten(&self) -> bool {
        self.watched.lock().expect("the watchdog's list").bitten
    }
}
