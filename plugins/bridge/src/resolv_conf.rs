//! `/etc/netns/<name>/resolv.conf`, which `ip netns exec <name>` puts over `/etc/resolv.conf`.
//!
//! Only what this plugin wrote is replaced or removed: its first line names the attachment.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use cni_common::error::{Code, Error, Result};
use cni_common::names;
use cni_common::sys::file;
use cni_common::types::{Attachment, NetworkName};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

/// Where `ip netns` looks (ip-netns(8)).
const ROOT: &str = "/etc/netns";
/// Where `ip netns` keeps its namespaces; `/var/run` is `/run` on every host of today.
const NETNS_DIRECTORIES: [&str; 2] = ["/run/netns", "/var/run/netns"];

/// No configuration's `dns` makes a longer one: it is read from no more than that.
const MAX_BYTES: usize = 2 << 20;

/// The bit of a folder's mode that says that it was made here (sticky), so that it goes with its last
/// file. It means nothing where only the owner may write.
const MADE_HERE: u32 = 0o1000;

/// The file for the namespace at `netns`, if it is one of `ip netns`.
pub(crate) fn path(netns: &Path) -> Option<PathBuf> {
    let directory = netns.parent()?;
    let is_named = NETNS_DIRECTORIES.iter().any(|known| directory == Path::new(known));
    let name = netns.file_name().filter(|_| is_named)?;
    Some(Path::new(ROOT).join(name).join("resolv.conf"))
}

/// The first line of the file of an attachment.
pub(crate) fn marker(attachment: &Attachment) -> String {
    format!("# {attachment}: written by the bridge CNI plugin")
}

/// Where the file of an attachment is while it is being written: not among those that
/// `ip netns exec` shows, and found by DEL whatever became of its ADD.
pub(crate) fn unfinished(attachment: &Attachment) -> PathBuf {
    Path::new(ROOT).join(format!(".{}", names::host_interface(attachment)))
}

/// Fails with code 101 if a file is there that is somebody else's; the first line of `text` tells.
pub(crate) fn refuse_foreign(path: &Path, text: &str) -> Result<()> {
    let marker = text.lines().next().unwrap_or_default();
    if first_line(path)?.is_none_or(|found| found == marker) {
        return Ok(());
    }
    let message = format!("{} exists and is not this attachment's", path.display());
    Err(Error::new(Code::Conflict, message).with_details("\"netnsResolvConf\": true"))
}

/// Writes the file, whole or not at all, by way of `unfinished`.
pub(crate) fn write(path: &Path, unfinished: &Path, text: &str) -> Result<()> {
    for directory in [Some(Path::new(ROOT)), path.parent()].into_iter().flatten() {
        create_directory(directory)?;
    }
    // Whatever has the name, it is not written into.
    remove_file(unfinished)?;
    let written = fs::File::create_new(unfinished)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(unfinished, path));
    written.map_err(|error| Error::io("write", path, &error))
}

/// Removes the file, what may be left of writing it, and its folders as far as they are empty.
pub(crate) fn remove(path: &Path, unfinished: &Path) -> Result<()> {
    remove_file(unfinished)?;
    remove_with_directory(path)
}

fn remove_with_directory(path: &Path) -> Result<()> {
    remove_file(path)?;
    for directory in path.ancestors().skip(1).take(2) {
        // Made by somebody else, or not empty: somebody else's files are in it.
        if !is_made_here(directory) || fs::remove_dir(directory).is_err() {
            break;
        }
    }
    Ok(())
}

/// Makes a folder if it is missing, with the mark of what was made here.
fn create_directory(directory: &Path) -> Result<()> {
    match fs::DirBuilder::new().mode(MADE_HERE | 0o755).create(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::io("create", directory, &error))
        }
        _ => Ok(()),
    }
}

fn is_made_here(directory: &Path) -> bool {
    fs::symlink_metadata(directory).is_ok_and(|found| found.mode() & MADE_HERE != 0)
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", path, &error))
        }
        _ => Ok(()),
    }
}

/// Removes the file of an attachment, wherever it is, and what may be left of writing it.
/// `netns` is the namespace's path, if it is known.
pub(crate) fn remove_of(attachment: &Attachment, netns: Option<&Path>) -> Result<()> {
    remove_file(&unfinished(attachment))?;
    let marker = marker(attachment);
    remove_marked(|line| line == marker)?;
    let Some(path) = netns.and_then(path) else { return Ok(()) };
    match first_line(&path)? {
        // An ADD that was killed may have come no further than to its folder.
        None if !path.exists() => remove_with_directory(&path),
        Some(line) if line == marker => remove_with_directory(&path),
        _foreign => Ok(()),
    }
}

/// All files here that `is_stale` takes for its own, by their first line.
pub(crate) fn remove_marked(is_stale: impl Fn(&str) -> bool) -> Result<()> {
    let list = |errno: Errno| Error::io("list", Path::new(ROOT), &errno.into());
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let open = || match Dir::open(ROOT, flags, Mode::empty()) {
        Err(Errno::EINTR) => Dir::open(ROOT, flags, Mode::empty()),
        other => other,
    };
    let mut directory = match open() {
        Ok(directory) => directory,
        Err(Errno::ENOENT) => return Ok(()),
        Err(errno) => return Err(list(errno)),
    };
    for entry in directory.iter() {
        let entry = entry.map_err(list)?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let path = Path::new(ROOT).join(name).join("resolv.conf");
        let line = match first_line(&path) {
            // What somebody else left there that can't be read is no reason to fail for ever.
            Err(error) if !is_want_of_resources(&error) => None,
            other => other?,
        };
        if line.is_some_and(|line| is_stale(&line)) {
            remove_with_directory(&path)?;
        }
    }
    Ok(())
}

/// The first line of a file; `None` if there is no such file, empty for what can't be ours.
fn first_line(path: &Path) -> Result<Option<String>> {
    match file::read_text(path, MAX_BYTES) {
        Ok(text) => Ok(Some(text.lines().next().unwrap_or_default().to_owned())),
        // A link that leads nowhere is somebody's all the same.
        Err(error) if error.is_not_found() => {
            Ok(fs::symlink_metadata(path).ok().map(|_link| String::new()))
        }
        // No plain file, or longer than any of ours.
        Err(error) if error.raw_errno().is_none() => Ok(Some(String::new())),
        Err(error) => Err(error),
    }
}

fn is_want_of_resources(error: &Error) -> bool {
    matches!(error.raw_errno(), Some(Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE))
}

/// Whether a first line is that of some attachment of this network.
pub(crate) fn is_marker_of(network: &str, line: &str) -> bool {
    line.strip_prefix("# ").is_some_and(|rest| rest.starts_with(&format!("{network}/")))
        && line.ends_with(": written by the bridge CNI plugin")
}

/// The attachment of this network that a first line names.
pub(crate) fn attachment_of(network: &NetworkName, line: &str) -> Option<Attachment> {
    let rest = line.strip_prefix("# ")?.strip_suffix(": written by the bridge CNI plugin")?;
    let (container, ifname) =
        rest.strip_prefix(network.as_str())?.strip_prefix('/')?.split_once('/')?;
    Some(Attachment {
        network: network.clone(),
        container: container.parse().ok()?,
        ifname: ifname.parse().ok()?,
    })
}
