//! nf_tables over netlink: transactions and queries. Knows no chain, set or rule by name.
//!
//! A transaction is one batch sent at once; the kernel works on it within the `send`, so its
//! answers are there when that returns, and nothing here ever waits. A socket belongs to the
//! network namespace of the thread that opened it.

mod answer;
mod batch;
mod query;

use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;

pub use self::answer::{Answers, read_answers};
use super::attacher::{LOCK_FILE, NFTABLES_TURN};
use super::byte_lock::ByteLock;
use super::netfilter::NetfilterSocket;
use super::removal;
use crate::error::{Code, Error, Result};
use crate::log::Beside;
use crate::nft::{Generation, Operation};

/// How long a change that others keep getting in front of is tried again. Every lost race is
/// somebody else's progress, so only a flood of changes can reach it.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(20);
/// After how many lost races a change waits for its turn among those that have lost as many.
const RACES: usize = 3;

/// A connection to the packet filter of one network namespace.
#[derive(Debug)]
pub struct Nft {
    /// `None` in a kernel without netfilter, where there is nothing to be found.
    socket: Option<NetfilterSocket>,
    /// Sockets with a dump that was not read to its end. They are closed last: the kernel waits in that
    /// for what anybody has deleted.
    begun: Vec<NetfilterSocket>,
    /// Whether anything was deleted by it.
    has_deleted: bool,
}

impl Drop for Nft {
    fn drop(&mut self) {
        for socket in self.socket.take().into_iter().chain(self.begun.drain(..)) {
            removal::close(socket, self.has_deleted);
        }
    }
}

/// A transaction that was refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why; it says which operation.
    pub error: Error,
    /// Which operation, as its place in the transaction; `None` for the transaction itself.
    pub operation: Option<usize>,
}

impl Refusal {
    /// Whether the rule set was no longer of the expected generation.
    pub fn is_changed(&self) -> bool {
        self.operation.is_none() && self.error.raw_errno() == Some(Errno::ERESTART)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

impl Nft {
    /// Connects. In a kernel without nf_tables everything is absent and no change is supported.
    pub fn open() -> Result<Self> {
        let socket = match NetfilterSocket::open() {
            Ok(socket) => Some(socket),
            Err(error) if is_unsupported(&error) => None,
            Err(error) => return Err(error),
        };
        Ok(Self { socket, begun: Vec::new(), has_deleted: false })
    }

    /// Makes all the changes or none. With `expected`, only if nothing has changed since.
    pub fn commit(
        &mut self,
        operations: &[Operation],
        expected: Option<Generation>,
    ) -> Result<(), Refusal> {
        let Some(socket) = &mut self.socket else {
            let error = Error::errno(Code::Kernel, Errno::EPROTONOSUPPORT);
            return Err(Refusal {
                error: error.context("change the packet filter"),
                operation: None,
            });
        };
        let step = Beside::begin(|| shown(operations));
        let committed = transact(socket, operations, expected);
        step.end(&committed.as_ref().map_err(|refusal| refusal.error.clone()));
        self.has_deleted |= committed.is_ok() && operations.iter().any(Operation::is_deletion);
        committed
    }

    /// Looks, plans and changes as if nothing came between: `plan` is asked again when something
    /// did, whatever it was. A plan without operations is no transaction.
    pub fn change(
        &mut self,
        mut plan: impl FnMut(&mut Self) -> Result<Vec<Operation>>,
    ) -> Result<()> {
        self.repeat(|nft| {
            let generation = nft.generation()?;
            Ok((plan(nft)?, generation))
        })
    }

    /// The same for operations that can't hit anything else than what was looked at (rules by
    /// handle, chains that nothing leads to): `plan` is asked again only when such a thing is gone
    /// or used, so that the changes of others do no harm.
    pub fn change_unmistakable(
        &mut self,
        mut plan: impl FnMut(&mut Self) -> Result<Vec<Operation>>,
    ) -> Result<()> {
        self.repeat(|nft| Ok((plan(nft)?, None)))
    }

    fn repeat(
        &mut self,
        mut look: impl FnMut(&mut Self) -> Result<(Vec<Operation>, Option<Generation>)>,
    ) -> Result<()> {
        let started = Instant::now();
        let mut races = 0;
        // Held until the change is made.
        let mut _turn = None;
        loop {
            // Without it, of many at once on a slow machine some would lose every race to others.
            if races == RACES {
                let left = CHANGE_TIMEOUT.saturating_sub(started.elapsed());
                let turn = ByteLock::acquire(Path::new(LOCK_FILE), NFTABLES_TURN, left);
                _turn = turn.unwrap_or_default();
            }
            let (operations, expected) = look(self)?;
            if operations.is_empty() {
                return Ok(());
            }
            let Err(refusal) = self.commit(&operations, expected) else { return Ok(()) };
            let overtaken = match expected {
                Some(_) => refusal.is_changed(),
                None => matches!(refusal.error.raw_errno(), Some(Errno::ENOENT | Errno::EBUSY)),
            };
            if !overtaken {
                return Err(refusal.error);
            }
            if started.elapsed() > CHANGE_TIMEOUT {
                return Err(refusal.error.with_code(Code::TryAgainLater).context(format!(
                    "the packet filter kept changing for {} s",
                    CHANGE_TIMEOUT.as_secs()
                )));
            }
            races += 1;
        }
    }
}

/// Sends them until the kernel has made up its mind.
fn transact(
    socket: &mut NetfilterSocket,
    operations: &[Operation],
    expected: Option<Generation>,
) -> Result<(), Refusal> {
    let started = Instant::now();
    loop {
        let Err(refusal) = batch::transact(socket, operations, expected) else { return Ok(()) };
        // A signal, or a module that was being loaded: nothing was changed.
        let transient = matches!(refusal.error.raw_errno(), Some(Errno::EINTR | Errno::EAGAIN));
        if !transient || started.elapsed() > CHANGE_TIMEOUT {
            return Err(refusal);
        }
    }
}

/// The transaction as the log has it.
fn shown(operations: &[Operation]) -> String {
    let all: Vec<String> = operations.iter().map(ToString::to_string).collect();
    format!("nft {}", all.join("; "))
}

/// Whether the error says that the kernel lacks nf_tables, or something of it that was asked for.
pub fn is_unsupported(error: &Error) -> bool {
    use Errno::{EAFNOSUPPORT, ENOENT, ENOPROTOOPT, EOPNOTSUPP, EPROTONOSUPPORT};
    matches!(
        error.raw_errno(),
        Some(EAFNOSUPPORT | ENOENT | ENOPROTOOPT | EOPNOTSUPP | EPROTONOSUPPORT)
    )
}
