//! Where lines go. Nothing here fails, and nothing waits.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{SFlag, fstat};

/// Standard error, or a file.
pub(super) enum Sink {
    Stderr,
    File {
        file: File,
        /// The last line was not written to its end.
        is_cut: AtomicBool,
    },
}

impl Sink {
    /// The file at `path`, which is made if it is missing, for root alone to read; standard error where
    /// it can't be had.
    pub(super) fn file(path: &Path) -> Self {
        // A FIFO that nobody reads would never open, and one whose reader sleeps would never take a line.
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600).custom_flags(flags.bits());
        let Some(file) = options.open(path).ok().filter(is_fit) else { return Self::Stderr };
        // A file that grows beyond the process's limit is an error of `write`, and no end of the process.
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGXFSZ);
        signals.thread_block().ok();
        Self::File { file, is_cut: AtomicBool::new(false) }
    }

    /// Writes `line` and a line break by one call, so that lines of many processes never mix. One
    /// that can't be written is lost; there is nowhere to say so.
    pub(super) fn write(&self, line: &str) {
        match self {
            Self::Stderr => {
                nix::unistd::write(std::io::stderr(), format!("{line}\n").as_bytes()).ok();
            }
            Self::File { file, is_cut } => {
                // After the first half of a line that was all the disk had room for.
                let lead = if is_cut.load(Ordering::Relaxed) { "\n" } else { "" };
                let text = format!("{lead}{line}\n");
                if let Ok(written) = nix::unistd::write(file, text.as_bytes()) {
                    is_cut.store(written < text.len(), Ordering::Relaxed);
                }
            }
        }
    }
}

/// Whether lines may be put into it: not what stdout is, which carries the answer, and not a disk.
fn is_fit(file: &File) -> bool {
    let Ok(found) = fstat(file.as_fd()) else { return false };
    let kind = SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits());
    let is_stdout = fstat(std::io::stdout())
        .is_ok_and(|stdout| (stdout.st_dev, stdout.st_ino) == (found.st_dev, found.st_ino));
    [SFlag::S_IFREG, SFlag::S_IFIFO, SFlag::S_IFCHR].contains(&kind) && !is_stdout
}
