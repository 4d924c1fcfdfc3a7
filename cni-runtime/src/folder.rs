//! A folder of network lists, as libcni reads `/etc/cni/net.d`: in the order of the names, lists
//! (`.conflist`) before single plugins (`.conf`, `.json`).

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Error, NetworkList, file};

/// A file of the folder, and the list that it is, or why it is none.
pub type FoundList = (PathBuf, Result<NetworkList, Error>);

impl NetworkList {
    /// All lists in a folder. A file that is none is among them, with the reason.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn read_folder(folder: impl AsRef<Path>) -> Result<Vec<FoundList>, Error> {
        let folder = folder.as_ref();
        let failed = |error| Error::io("read", folder, error);
        let entries = fs::read_dir(folder).map_err(failed)?;
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<_>>()
            .map_err(failed)?;
        let order = |path: &PathBuf| match path.extension().and_then(|kind| kind.to_str()) {
            Some("conflist") => Some(0),
            Some("conf" | "json") => Some(1),
            _ => None,
        };
        paths.retain(|path| order(path).is_some());
        paths.sort_by_key(|path| (order(path), path.clone()));
        let read = |path: PathBuf| {
            let text = file::read(&path).map_err(|error| Error::io("read", &path, error));
            let list = text.and_then(|text| Self::parse(&path, &text));
            (path, list)
        };
        Ok(paths.into_iter().map(read).collect())
    }

    /// The list of the network of this name in a folder.
    ///
    /// # Errors
    /// When the folder can't be read, or has none of this name: then it says which there are, and
    /// which files are no lists.
    pub fn find_in(folder: impl AsRef<Path>, name: &str) -> Result<Self, Error> {
        let folder = folder.as_ref();
        let (mut names, mut faults) = (Vec::new(), Vec::new());
        for (path, list) in Self::read_folder(folder)? {
            match list {
                Ok(list) if list.name() == name => return Ok(list),
                Ok(list) => names.push(list.name().to_owned()),
                Err(error) => faults.push(format!("; {}: {error}", path.display())),
            }
        }
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let place = folder.display();
        let faults = faults.concat();
        Err(Error::new(format!("no network {name:?} in {place}; there is: {known}{faults}")))
    }
}
