//! A text over HTTP, until the process is told to end. It knows nothing of what the text says.
//!
//! Whoever connects may be slow, silent or hostile: the number of connections is limited, so is the time of
//! each, and one that has asked for nothing yet makes room for one that comes later.
//!
//! - `http`: one connection, as hyper speaks it.
//! - `stream`: its socket, with a deadline.

mod http;
mod stream;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cni_common::{Code, Error, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{Shutdown, shutdown};

use crate::output;

/// Connections that are served at a time. A server of metrics has one or two clients.
const MAX_CONNECTIONS: usize = 32;
/// How long the end waits for answers that are being given.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait for room before it is looked whether a signal has come.
const ROOM_PAUSE: Duration = Duration::from_millis(100);

/// Listens on the address, says so, and answers with the text that `read` returns, until SIGTERM or SIGINT.
pub(crate) fn serve(
    address: SocketAddr,
    read: impl Fn() -> Result<String> + Send + Sync + 'static,
) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::new(Code::Io, format!("listen on {address}: {error}"))
    };
    let ends = signals().map_err(|errno| failed(&errno))?;
    let listener = TcpListener::bind(address).map_err(|error| failed(&error))?;
    // A connection that has gone before it was accepted must not make `accept` wait.
    listener.set_nonblocking(true).map_err(|error| failed(&error))?;
    let bound = listener.local_addr().map_err(|error| failed(&error))?;
    output::print(&format!("listening on http://{bound}/metrics\n"))?;
    let served = Arc::new(Served { read, last: Mutex::default(), open: Open::default() });
    while !is_ended(&listener, &ends).map_err(|errno| failed(&errno))? {
        // Until then the connection waits in the kernel.
        if !served.open.has_room() {
            continue;
        }
        match listener.accept() {
            Ok((stream, _)) => admit(&served, stream),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            // No file descriptor is left.
            Err(_) => thread::sleep(ROOM_PAUSE),
        }
    }
    drop(listener);
    served.open.wait_for_answers();
    Ok(())
}

/// Where the signals that end it are read from. Every thread that is started later has them blocked, too.
fn signals() -> nix::Result<SignalFd> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    set.add(Signal::SIGINT);
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)
}

/// Waits for a connection; `true` when a signal has come.
fn is_ended(listener: &TcpListener, ends: &SignalFd) -> nix::Result<bool> {
    let mut fds = [ends.as_fd(), listener.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    match poll(&mut fds, PollTimeout::NONE) {
        Ok(_) => Ok(fds.first().and_then(PollFd::any).unwrap_or(false)),
        Err(Errno::EINTR) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Serves a connection on a thread of its own.
fn admit<F>(served: &Arc<Served<F>>, stream: TcpStream)
where
    F: Fn() -> Result<String> + Send + Sync + 'static,
{
    let Some(number) = served.open.enter(&stream) else { return };
    let own = Arc::clone(served);
    let talk = move || {
        let asked = || own.open.is_asking(number);
        http::converse(stream, &asked, &|| own.text());
        own.open.leave(number);
    };
    if thread::Builder::new().spawn(talk).is_err() {
        served.open.leave(number);
    }
}

/// What connections share.
struct Served<F> {
    read: F,
    /// The last text, and when its reading began.
    last: Mutex<Option<(Instant, String)>>,
    open: Open,
}

impl<F: Fn() -> Result<String>> Served<F> {
    /// The text, by a reading that began after this was called: those who come while one goes on share the
    /// next one.
    fn text(&self) -> Result<String> {
        let asked = Instant::now();
        let mut last = locked(&self.last);
        if let Some((_, text)) = last.as_ref().filter(|(begun, _)| *begun >= asked) {
            return Ok(text.clone());
        }
        let begun = Instant::now();
        let text = (self.read)()?;
        *last = Some((begun, text.clone()));
        Ok(text)
    }
}

/// The connections that are open.
#[derive(Default)]
struct Open {
    all: Mutex<Connections>,
    ended: Condvar,
}

#[derive(Default)]
struct Connections {
    count: usize,
    next: u64,
    /// Those that have asked for nothing yet, the oldest first.
    silent: BTreeMap<u64, OwnedFd>,
    /// The one that has been closed to make room, until its thread has ended.
    closed: Option<u64>,
}

impl Open {
    /// Whether there is room for one more, now or after a moment: of those that have asked for nothing the
    /// oldest makes room.
    fn has_room(&self) -> bool {
        let mut all = locked(&self.all);
        if all.count >= MAX_CONNECTIONS
            && all.closed.is_none()
            && let Some((number, oldest)) = all.silent.pop_first()
        {
            // It may have ended by itself.
            shutdown(oldest.as_raw_fd(), Shutdown::Both).ok();
            all.closed = Some(number);
        }
        let is_full = |all: &mut Connections| all.count >= MAX_CONNECTIONS;
        let waited = self.ended.wait_timeout_while(all, ROOM_PAUSE, is_full);
        let (all, _) = waited.unwrap_or_else(PoisonError::into_inner);
        all.count < MAX_CONNECTIONS
    }

    /// Counts a connection; `None` if the process has no room for it.
    fn enter(&self, stream: &impl AsFd) -> Option<u64> {
        let mut all = locked(&self.all);
        let number = all.next;
        let other = stream.as_fd().try_clone_to_owned().ok()?;
        all.silent.insert(number, other);
        all.next += 1;
        all.count += 1;
        Some(number)
    }

    /// The connection has asked for something.
    fn is_asking(&self, number: u64) {
        locked(&self.all).silent.remove(&number);
    }

    /// The connection is closed.
    fn leave(&self, number: u64) {
        let mut all = locked(&self.all);
        all.silent.remove(&number);
        all.count = all.count.saturating_sub(1);
        all.closed = all.closed.filter(|closed| *closed != number);
        self.ended.notify_all();
    }

    /// Waits until all who have asked have their answer, within reason.
    fn wait_for_answers(&self) {
        let are_asking = |all: &mut Connections| all.count > all.silent.len();
        // A thread that panicked has told so on standard error.
        self.ended.wait_timeout_while(locked(&self.all), END_TIMEOUT, are_asking).ok();
    }
}

/// A panic elsewhere leaves nothing half-done in what is shared here.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn a_reading_is_shared_only_by_those_who_asked_before_it_began() {
        let count = AtomicU32::new(0);
        let read = || {
            thread::sleep(Duration::from_millis(200));
            Ok(count.fetch_add(1, Ordering::SeqCst).to_string())
        };
        let served = Served { read, last: Mutex::default(), open: Open::default() };
        thread::scope(|scope| {
            let first = scope.spawn(|| served.text().unwrap());
            thread::sleep(Duration::from_millis(50));
            let later: Vec<_> = (0..8).map(|_| scope.spawn(|| served.text().unwrap())).collect();
            assert_eq!(first.join().unwrap(), "0");
            assert!(later.into_iter().all(|one| one.join().unwrap() == "1"));
        });
        assert_eq!(served.text().unwrap(), "2");
    }

    #[test]
    fn the_oldest_that_asks_for_nothing_makes_room() {
        let pair = || UnixStream::pair().unwrap();
        let open = Open::default();
        let all: Vec<_> = (0..MAX_CONNECTIONS).map(|_| pair()).collect();
        let numbers: Vec<_> = all.iter().map(|(_, ours)| open.enter(ours).unwrap()).collect();
        open.is_asking(numbers[0]);
        assert!(!open.has_room(), "it has not ended yet");
        let silent = || locked(&open.all).silent.keys().copied().min();
        assert_eq!(silent(), Some(numbers[2]), "the second had to go, the first has asked");
        assert!(!open.has_room());
        assert_eq!(silent(), Some(numbers[2]), "one at a time");
        open.leave(numbers[1]);
        assert!(open.has_room());
        assert_eq!(silent(), Some(numbers[2]));
    }
}
