//! The files that values are kept in for DEL, and whose they are.
//!
//! `<dataDir>/<container>_<interface>.json` is the reference's, which either suite restores. It names
//! no network, so that GC could not tell another network's from a stale one: beside it this suite
//! keeps a symbolic link `<dataDir>/.causeway/<network>/<the same name>` to the container's
//! namespace.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use cni_common::sys::file;
use cni_common::types::{Attachment, LinkAttributes, NetworkName};
use cni_common::{Error, Result};
use nix::fcntl::OFlag;

use crate::backup;

/// The values kept for one attachment.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    file: PathBuf,
    owner: PathBuf,
}

impl Kept {
    /// Those of `attachment` below `data_dir`.
    pub(crate) fn of(data_dir: &Path, attachment: &Attachment) -> Self {
        let name = file_name(attachment.container.as_str(), attachment.ifname.as_str());
        Self::named(data_dir, &attachment.network, &name)
    }

    fn named(data_dir: &Path, network: &NetworkName, name: &str) -> Self {
        Self { file: data_dir.join(name), owner: owners(data_dir, network).join(name) }
    }

    /// The values; none of a file that can't be understood. `None` without a file.
    pub(crate) fn read(&self) -> Result<Option<LinkAttributes>> {
        match file::read_text(&self.file, backup::MAX_BYTES) {
            Ok(text) => Ok(Some(backup::parse(&text))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps `values`, for the container with the namespace at `netns`.
    pub(crate) fn write(&self, values: &LinkAttributes, netns: &Path) -> Result<()> {
        self.name_owner(netns)?;
        let failed = |error: std::io::Error| Error::io("write", &self.file, &error);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits())
            .open(&self.file)
            .map_err(failed)?;
        file.write_all(backup::print(values).as_bytes()).map_err(failed)
    }

    /// Makes the folders, too.
    fn name_owner(&self, netns: &Path) -> Result<()> {
        if let Some(folder) = self.owner.parent() {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|error| Error::io("create folder", folder, &error))?;
        }
        remove_file(&self.owner)?;
        symlink(netns, &self.owner).map_err(|error| Error::io("create", &self.owner, &error))
    }

    /// Removes what is there.
    pub(crate) fn remove(&self) -> Result<()> {
        remove_file(&self.file).and_then(|()| remove_file(&self.owner))
    }

    /// Puts back what an ADD found before it wrote: `before`, or nothing.
    pub(crate) fn restore(&self, before: Option<&LinkAttributes>, netns: &Path) -> Result<()> {
        before.map_or_else(|| self.remove(), |values| self.write(values, netns))
    }
}

/// What is kept below `data_dir` for attachments of `network`: the file's name, the values, and the
/// path of the namespace.
pub(crate) fn list(data_dir: &Path, network: &NetworkName) -> Result<Vec<(String, Kept, PathBuf)>> {
    let folder = owners(data_dir, network);
    let failed = |error: std::io::Error| Error::io("read folder", &folder, &error);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut kept = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        // What is no link is nobody's doing of this suite.
        let (Ok(name), Ok(netns)) = (entry.file_name().into_string(), fs::read_link(entry.path()))
        else {
            continue;
        };
        kept.push((name.clone(), Kept::named(data_dir, network, &name), netns));
    }
    Ok(kept)
}

/// The name of an attachment's file.
pub(crate) fn file_name(container: &str, ifname: &str) -> String {
    format!("{container}_{ifname}.json")
}

fn owners(data_dir: &Path, network: &NetworkName) -> PathBuf {
    data_dir.join(".causeway").join(network.as_str())
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", path, &error))
        }
        _ => Ok(()),
    }
}
