//! Following logs: woken by the kernel when one is written to, renamed or made anew.

use std::fs::File;
use std::io::{Read as _, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cni_common::log::Reader;
use cni_common::{Code, Error, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use super::calls::Calls;
use super::{CHUNK, Damage, Wanted, open, print};
use crate::exit::Exit;
use crate::output::Output;

/// When to look although nothing was told, in milliseconds: the log may be a link, whose end is made anew in another folder.
const IDLE_MS: u16 = 5000;

/// Shows calls as they end, until it is ended or nobody reads it any more.
pub(super) fn follow(files: &[PathBuf], wanted: &Wanted, output: Output) -> Result<Exit> {
    let notifications = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
        .map_err(|errno| Error::new(Code::Io, format!("watch logs: {errno}")))?;
    let mut logs = Vec::new();
    for path in files {
        logs.push(Log::at_end(path, &notifications)?);
    }
    while wait(&notifications)? {
        for log in &mut logs {
            if !log.show_new(&notifications, wanted, output)? {
                return Ok(Exit::OK);
            }
        }
    }
    Ok(Exit::OK)
}

/// Waits until something was told; `false` when nobody reads standard output any more.
fn wait(notifications: &OwnedFd) -> Result<bool> {
    let stdout = std::io::stdout();
    let mut fds = [
        PollFd::new(notifications.as_fd(), PollFlags::POLLIN),
        PollFd::new(stdout.as_fd(), PollFlags::empty()),
    ];
    match poll(&mut fds, PollTimeout::from(IDLE_MS)) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(Error::new(Code::Io, format!("wait for logs: {errno}"))),
    }
    let [_, stdout] = &fds;
    let is_left = stdout
        .revents()
        .is_some_and(|events| events.intersects(PollFlags::POLLERR | PollFlags::POLLNVAL));
    let mut buffer = [0; 4096];
    while rustix::io::read(notifications, &mut buffer).is_ok_and(|length| length > 0) {}
    Ok(!is_left)
}

/// A log that is followed.
struct Log {
    path: PathBuf,
    file: Option<File>,
    reader: Reader,
    calls: Calls,
    damage: Damage,
}

impl Log {
    /// What is in it already is passed over. It need not be there yet, but its folder must.
    fn at_end(path: &Path, notifications: &OwnedFd) -> Result<Self> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = parent.unwrap_or(Path::new("."));
        let flags = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        inotify::add_watch(notifications, folder, flags)
            .map_err(|errno| Error::io("watch", folder, &errno.into()))?;
        let (calls, damage) = (Calls::default(), Damage::new(path));
        let mut log =
            Self { path: path.to_owned(), file: None, reader: Reader::default(), calls, damage };
        log.open(notifications)?;
        if let Some(file) = &mut log.file {
            file.seek(SeekFrom::End(0)).map_err(|error| Error::io("read", path, &error))?;
        }
        Ok(log)
    }

    /// Opens what stands at its path, if something does; what was left of the former one comes to no end.
    fn open(&mut self, notifications: &OwnedFd) -> Result<()> {
        self.reader = Reader::default();
        // Watched first: what is written from here on wakes.
        let flags = WatchFlags::MODIFY
            | WatchFlags::MOVE_SELF
            | WatchFlags::DELETE_SELF
            | WatchFlags::ATTRIB;
        inotify::add_watch(notifications, &self.path, flags).ok();
        self.file = match open(&self.path) {
            Err(error) if error.is_not_found() => None,
            opened => Some(opened?),
        };
        Ok(())
    }

    /// Shows what has come; `false` when nobody reads it any more.
    fn show_new(
        &mut self,
        notifications: &OwnedFd,
        wanted: &Wanted,
        output: Output,
    ) -> Result<bool> {
        // Calls may go on in the file that is renamed while others begin in the new one.
        let mut is_read = self.show_rest(wanted, output)?;
        if is_read && self.is_replaced() {
            self.open(notifications)?;
            is_read = self.show_rest(wanted, output)?;
        }
        self.damage.complain();
        Ok(is_read)
    }

    fn is_replaced(&self) -> bool {
        let now = std::fs::metadata(&self.path).ok().map(|found| (found.dev(), found.ino()));
        let held = self.file.as_ref().and_then(|file| file.metadata().ok());
        now.is_some() && now != held.map(|found| (found.dev(), found.ino()))
    }

    fn show_rest(&mut self, wanted: &Wanted, output: Output) -> Result<bool> {
        let Some(file) = &mut self.file else { return Ok(true) };
        let fault = |error: std::io::Error| Error::io("read", &self.path, &error);
        let place = file.stream_position().map_err(fault)?;
        if file.metadata().map_err(fault)?.len() < place {
            // Emptied: it begins anew.
            file.rewind().map_err(fault)?;
            self.reader = Reader::default();
        }
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = file.read(&mut chunk).map_err(fault)?;
            if length == 0 {
                return Ok(true);
            }
            let found = self.reader.push(chunk.get(..length).unwrap_or_default());
            for line in self.damage.without(found) {
                if let Some(call) = self.calls.add(line)
                    && !print(&call, wanted, output)?
                {
                    return Ok(false);
                }
            }
        }
    }
}
