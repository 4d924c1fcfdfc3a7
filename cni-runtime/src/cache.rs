//! What ADD answered, on disk, one file per attachment, in libcni's place: what either of them has
//! attached, the other one detaches.
//!
//! `<folder>/results/<network>-<container>-<interface>` is what [`Cached`] prints. A file of older
//! releases is the bare result.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::cached::{Cached, KIND};
use crate::{Attachment, Error, NetworkList, file};

/// The folder of results.
#[derive(Clone, Debug)]
pub struct Cache(PathBuf);

impl Cache {
    /// The cache in this folder, there or not; libcni's is `/var/lib/cni`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into().join("results"))
    }

    /// The file of an attachment, there or not.
    pub fn file(&self, network: &str, attachment: &Attachment) -> PathBuf {
        let Attachment { container_id, ifname, .. } = attachment;
        self.0.join(format!("{network}-{container_id}-{ifname}"))
    }

    /// Keeps what ADD answered.
    pub(crate) fn write(
        &self,
        list: &NetworkList,
        attachment: &Attachment,
        result: &Value,
    ) -> Result<(), Error> {
        let entry = Cached {
            network: list.name().to_owned(),
            attachment: attachment.clone(),
            config: Some(list.to_json()),
            result: Some(result.clone()),
        };
        let path = self.file(list.name(), attachment);
        let write = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            file.write_all(entry.print().as_bytes())
        };
        write().map_err(|error| Error::io("write", &path, error))
    }

    /// What ADD answered; `None` when that is not known, or the file can't be understood.
    pub fn result(&self, list: &NetworkList, attachment: &Attachment) -> Option<Value> {
        let text = file::read(&self.file(list.name(), attachment)).ok()?;
        let mut entry: Map<String, Value> = serde_json::from_str(&text).ok()?;
        if entry.get("kind").and_then(Value::as_str) == Some(KIND) {
            return entry.remove("result");
        }
        let is_result = entry.contains_key("cniVersion");
        is_result.then_some(Value::Object(entry))
    }

    /// Forgets what ADD answered; nothing known is not an error.
    pub(crate) fn remove(&self, list: &NetworkList, attachment: &Attachment) -> Result<(), Error> {
        let path = self.file(list.name(), attachment);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::io("remove", &path, error))
            }
            _ => Ok(()),
        }
    }

    /// Every attachment to a network that is known, in the order of the files' names. A file that
    /// can't be read or understood is none.
    ///
    /// # Errors
    /// When the folder is there and can't be read.
    pub fn attachments(&self, network: &str) -> Result<Vec<Attachment>, Error> {
        let entries = self.entries()?.into_iter();
        Ok(entries.filter(|one| one.network == network).map(|one| one.attachment).collect())
    }

    /// Every attachment that is known, in the order of the files' names. A file that can't be read or
    /// understood is none.
    ///
    /// # Errors
    /// When the folder is there and can't be read.
    pub fn entries(&self) -> Result<Vec<Cached>, Error> {
        let failed = |error| Error::io("read", &self.0, error);
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<_>>()
            .map_err(failed)?;
        paths.sort();
        let read = |path: &PathBuf| Cached::parse(&file::read(path).ok()?);
        Ok(paths.iter().filter_map(read).collect())
    }
}
