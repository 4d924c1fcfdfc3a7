//! The three standard streams.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat, makedev};

use super::Command;
use crate::error::{Code, Error, Result};

/// More than any configuration with its `prevResult` needs.
const MAX_BYTES: u64 = 1 << 20;
/// GC's list names every attachment of a network, some 100 bytes each, twice: 60,000 of them.
const MAX_BYTES_GC: u64 = 12 << 20;

/// How long VERSION waits for a configuration that it need not get: a person who types the call
/// has a terminal for its stdin, which never ends.
const VERSION_TIMEOUT_MS: u16 = 500;

/// Reads stdin to its end; code 5 if that fails, 6 if there is too much of it.
pub(super) fn read(command: Command) -> Result<Vec<u8>> {
    if command == Command::Version {
        return Ok(read_if_any());
    }
    let max = if command == Command::Gc { MAX_BYTES_GC } else { MAX_BYTES };
    let mut bytes = Vec::new();
    match std::io::stdin().lock().take(max + 1).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() as u64 > max => Err(Error::new(
            Code::Decode,
            format!("network configuration: more than {max} bytes on stdin"),
        )),
        Ok(_) => Ok(bytes),
        Err(error) => Err(Error::new(Code::Io, format!("error reading from stdin: {error}"))),
    }
}

/// What is on stdin, as far as it comes and can be read.
fn read_if_any() -> Vec<u8> {
    let stdin = std::io::stdin();
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while (bytes.len() as u64) < MAX_BYTES {
        let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::from(VERSION_TIMEOUT_MS)) {
            Err(Errno::EINTR) => continue,
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        match nix::unistd::read(stdin.as_fd(), &mut chunk) {
            Err(Errno::EINTR) => {}
            Ok(0) | Err(_) => break,
            Ok(read) => bytes.extend_from_slice(chunk.get(..read).unwrap_or_default()),
        }
    }
    bytes
}

/// Writes `text` and a newline to stdout.
///
/// Not by `std::io::Stdout`, which takes a closed descriptor for a success.
pub(super) fn print(text: &str) -> Result<()> {
    let stdout = std::io::stdout();
    if is_closed(stdout.as_fd()) {
        return Err(closed());
    }
    let line = format!("{text}\n");
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match nix::unistd::write(stdout.as_fd(), rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) => {
                return Err(Error::errno(Code::Io, errno).context("write the answer to stdout"));
            }
        }
    }
    Ok(())
}

/// Whether a caller closed this stream.
///
/// Nothing is left of that when `main` begins: Rust's runtime opens `/dev/null` with `O_RDWR` in
/// place of closed streams (`sanitize_standard_fds` in std's `sys/pal/unix`), so that no file that is
/// opened later takes their numbers. Callers that want an answer thrown away open `/dev/null` for
/// writing alone: shells, Go's and Rust's libraries, systemd. One that was opened for both can't be
/// told from a closed stream, and counts as that: nobody reads the answer either way, and an
/// attachment that nobody knows of would stay.
fn is_closed(stream: BorrowedFd<'_>) -> bool {
    let is_null = fstat(stream).is_ok_and(|stat| {
        SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFCHR
            && stat.st_rdev == makedev(1, 3)
    });
    let flags = fcntl(stream, FcntlArg::F_GETFL).map(OFlag::from_bits_retain);
    is_null && flags.is_ok_and(|flags| flags & OFlag::O_ACCMODE == OFlag::O_RDWR)
}

/// A person who reads this on stderr may have meant `/dev/null`.
fn closed() -> Error {
    let error =
        Error::errno(Code::Io, Errno::EBADF).context("write the answer to stdout").with_details(
            "stdout is closed, or /dev/null opened for reading as well: open it with O_WRONLY",
        );
    writeln!(std::io::stderr(), "{error}").ok();
    error
}

/// Writes `text` to stderr as it is.
pub(super) fn print_aside(text: &str) -> Result<()> {
    std::io::stderr()
        .write_all(text.as_bytes())
        .map_err(|error| Error::new(Code::Io, format!("write to stderr: {error}")))
}
