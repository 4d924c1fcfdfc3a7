//! A socket with a deadline for all that is read and written, as hyper reads and writes it. Writing blocks;
//! reading is pending while nothing has come, and `Arrival` waits for it.

use std::cell::Cell;
use std::io::{Error, ErrorKind, Result, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Read, ReadBufCursor, Write};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};

/// Read at a time: a request is smaller.
const CHUNK: usize = 2048;

/// The socket.
pub(super) struct Stream {
    socket: TcpStream,
    deadline: Deadline,
}

/// When its time is over.
#[derive(Clone)]
pub(super) struct Deadline(Rc<Cell<Instant>>);

impl Deadline {
    /// From now on this long.
    pub(super) fn extend(&self, time: Duration) {
        self.0.set(Instant::now() + time);
    }

    fn left(&self) -> Result<Duration> {
        let left = self.0.get().saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

/// Waits for what the other side sends.
pub(super) struct Arrival {
    socket: TcpStream,
    deadline: Deadline,
}

impl Arrival {
    /// Waits until there is something to read, or the other side has closed.
    pub(super) fn wait(&self) -> Result<()> {
        let left = PollTimeout::try_from(self.deadline.left()?).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)], left) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Stream {
    /// Its time runs from now.
    pub(super) fn new(socket: TcpStream, time: Duration) -> Self {
        Self { socket, deadline: Deadline(Rc::new(Cell::new(Instant::now() + time))) }
    }

    /// For others to extend.
    pub(super) fn deadline(&self) -> Deadline {
        self.deadline.clone()
    }

    /// For others to wait.
    pub(super) fn arrival(&self) -> Result<Arrival> {
        Ok(Arrival { socket: self.socket.try_clone()?, deadline: self.deadline.clone() })
    }

    /// What has come; `None` if nothing has.
    fn read(&self, chunk: &mut [u8]) -> Result<Option<usize>> {
        self.deadline.left()?;
        match recv(self.socket.as_raw_fd(), chunk, MsgFlags::MSG_DONTWAIT) {
            Ok(count) => Ok(Some(count)),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    fn write(&self, bytes: &[u8]) -> Result<usize> {
        loop {
            self.socket.set_write_timeout(Some(self.deadline.left()?))?;
            match (&self.socket).write(bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The socket's own timeout.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(Error::from(ErrorKind::TimedOut));
                }
                done => return done,
            }
        }
    }
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<Result<()>> {
        let mut chunk = [0; CHUNK];
        let room = buffer.remaining().min(CHUNK);
        match self.read(chunk.get_mut(..room).unwrap_or_default()) {
            Ok(None) => Poll::Pending,
            Ok(Some(count)) => {
                buffer.put_slice(chunk.get(..count).unwrap_or_default());
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(self.socket.shutdown(Shutdown::Write))
    }
}
