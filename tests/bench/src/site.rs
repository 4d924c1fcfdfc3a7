//! A host on a thread of its own, for one contender: what the others made is not there.

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two contenders' turns, for what the kernel still does after a call that has ended.
const PAUSE: Duration = Duration::from_millis(40);

type Job<P> = Box<dyn FnOnce(&P) + Send>;

/// A thread that keeps a place on its own host, and works there when it is told to.
pub(crate) struct Site<P> {
    /// `None` while it ends.
    jobs: Option<Sender<Job<P>>>,
    thread: Option<JoinHandle<()>>,
}

impl<P: 'static> Site<P> {
    /// `make` makes the thread a host, and the place on it.
    pub(crate) fn new(make: impl FnOnce() -> P + Send + 'static) -> Self {
        let (jobs, told) = channel::<Job<P>>();
        let thread = std::thread::spawn(move || {
            let place = make();
            told.iter().for_each(|job| job(&place));
        });
        Self { jobs: Some(jobs), thread: Some(thread) }
    }

    /// Does something there, and waits for it; a panic there is one here.
    pub(crate) fn run<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&P) -> T + Send + 'static,
    ) -> T {
        let (answer, answered) = channel();
        let job = Box::new(move |place: &P| {
            answer.send(work(place)).ok();
        });
        if let Some(jobs) = &self.jobs {
            jobs.send(job).ok();
        }
        match answered.recv() {
            Ok(done) => done,
            Err(_ended) => match self.thread.take().map(JoinHandle::join) {
                Some(Err(panicked)) => std::panic::resume_unwind(panicked),
                _ended => panic!("the thread of a host ended"),
            },
        }
    }
}

impl<P> Drop for Site<P> {
    fn drop(&mut self) {
        self.jobs = None;
        // A panic of its own was shown there.
        self.thread.take().map(JoinHandle::join);
    }
}

/// Calls at each site by turns, so that none has the quieter machine, `rounds` times; fewer at a site whose calls
/// took longer than `limit` together. What each call returned, site by site.
pub(crate) fn by_turns<P: 'static, T: Send + 'static>(
    sites: &mut [Site<P>],
    (rounds, limit): (usize, Duration),
    call: fn(&P) -> T,
) -> Vec<Vec<T>> {
    let mut results: Vec<Vec<T>> = sites.iter().map(|_| Vec::new()).collect();
    let mut spent = vec![Duration::ZERO; sites.len()];
    for _ in 0..rounds {
        for ((site, results), spent) in sites.iter_mut().zip(&mut results).zip(&mut spent) {
            if *spent < limit {
                let begin = Instant::now();
                results.push(site.run(call));
                *spent += begin.elapsed();
                pause();
            }
        }
    }
    results
}

/// The time between two contenders' turns. The processor is kept awake: in life a runtime is at work right
/// before it calls a plugin, and after a sleep every call begins slowly, by how much differs.
fn pause() {
    let begin = Instant::now();
    while begin.elapsed() < PAUSE {
        std::hint::spin_loop();
    }
}
