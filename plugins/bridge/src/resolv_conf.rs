//! `/etc/netns/<name>/resolv.conf`, which `ip netns exec <name>` puts over `/etc/resolv.conf`.
//!
//! Only what this plugin wrote is replaced or removed: its first line names the attachment.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use cni_common::error::{Code, Error, Result};
use cni_common::types::Attachment;

/// Where `ip netns` looks (ip-netns(8)).
const ROOT: &str = "/etc/netns";
/// Where `ip netns` keeps its namespaces; `/var/run` is `/run` on every host of today.
const NETNS_DIRECTORIES: [&str; 2] = ["/run/netns", "/var/run/netns"];

/// The file for the namespace at `netns`, if it is one of `ip netns`.
pub fn path(netns: &Path) -> Option<PathBuf> {
    let directory = netns.parent()?;
    let is_named = NETNS_DIRECTORIES.iter().any(|known| directory == Path::new(known));
    let name = netns.file_name().filter(|_| is_named)?;
    Some(Path::new(ROOT).join(name).join("resolv.conf"))
}

/// The first line of the file of an attachment.
pub fn marker(attachment: &Attachment) -> String {
    format!("# {attachment}: written by the bridge CNI plugin")
}

/// Writes the file, whole or not at all. Code 101 if somebody else's is there.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let marker = text.lines().next().unwrap_or_default();
    match first_line(path) {
        Some(found) if found != marker => {
            return Err(Error::new(
                Code::Conflict,
                format!("{} exists and is not this attachment's", path.display()),
            )
            .with_details("\"netnsResolvConf\": true"));
        }
        _ => {}
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(|error| Error::io("create", directory, &error))?;
    }
    let unfinished = path.with_extension(format!("conf.{}", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&unfinished)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&unfinished, path));
    written.map_err(|error| {
        // What is half written is nobody's; that it can't be removed does not matter more.
        fs::remove_file(&unfinished).ok();
        Error::io("write", path, &error)
    })
}

/// Removes the file and its folders, as far as they are empty then.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io("remove", path, &error)),
    }
    for directory in path.ancestors().skip(1).take(2) {
        // Not empty: somebody else's files are in it.
        if fs::remove_dir(directory).is_err() {
            break;
        }
    }
    Ok(())
}

/// All files here that `is_stale` takes for its own, by their first line.
pub fn remove_marked(is_stale: impl Fn(&str) -> bool) -> Result<()> {
    let Ok(entries) = fs::read_dir(ROOT) else { return Ok(()) };
    for entry in entries.flatten() {
        let path = entry.path().join("resolv.conf");
        if first_line(&path).is_some_and(|line| is_stale(&line)) {
            remove(&path)?;
        }
    }
    Ok(())
}

fn first_line(path: &Path) -> Option<String> {
    let text = fs::read(path).ok()?;
    let line = text.split(|byte| *byte == b'\n').next()?;
    Some(String::from_utf8_lossy(line).into_owned())
}

/// Whether a first line is that of some attachment of this network.
pub fn is_marker_of(network: &str, line: &str) -> bool {
    line.strip_prefix("# ").is_some_and(|rest| rest.starts_with(&format!("{network}/")))
        && line.ends_with(": written by the bridge CNI plugin")
}
