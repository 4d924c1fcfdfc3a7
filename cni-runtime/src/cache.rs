//! What ADD answered, on disk, one file per attachment, named as libcni names it.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::{Attachment, Error, NetworkList};

/// The folder of results.
#[derive(Clone, Debug)]
pub struct Cache(PathBuf);

impl Cache {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self(folder.join("results"))
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
        let entry = json!({
            "kind": "cniCacheV1",
            "containerId": attachment.container_id,
            "ifName": attachment.ifname,
            "netns": attachment.netns,
            "networkName": list.name(),
            "cniArgs": attachment.args,
            "capabilityArgs": attachment.capability_args,
            "config": list.to_json(),
            "result": result,
        });
        let path = self.file(list.name(), attachment);
        fs::create_dir_all(&self.0)
            .and_then(|()| fs::write(&path, entry.to_string()))
            .map_err(|error| Error::io("write", &path, error))
    }

    /// What ADD answered; `None` when that is not known, or the file can't be understood.
    pub(crate) fn result(&self, list: &NetworkList, attachment: &Attachment) -> Option<Value> {
        let text = fs::read_to_string(self.file(list.name(), attachment)).ok()?;
        let entry: Value = serde_json::from_str(&text).ok()?;
        entry.get("result").cloned()
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
        let read = |path: &PathBuf| serde_json::from_str(&fs::read_to_string(path).ok()?).ok();
        let entries = paths.iter().filter_map(read);
        Ok(entries.filter_map(|entry| attachment(&entry, network)).collect())
    }
}

/// The attachment that an entry is about; `None` when it is in another network.
fn attachment(entry: &Map<String, Value>, network: &str) -> Option<Attachment> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let arguments = entry.get("capabilityArgs").and_then(Value::as_object);
    (text("networkName") == network).then(|| Attachment {
        container_id: text("containerId"),
        netns: text("netns"),
        ifname: text("ifName"),
        args: text("cniArgs"),
        capability_args: arguments.cloned().unwrap_or_default(),
    })
}
