//! What ADD answered, on disk, one file per attachment, as libcni keeps it.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Attachment, NetworkList};

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

    pub(crate) fn write(&self, list: &NetworkList, attachment: &Attachment, result: &Value) {
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
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// What ADD answered; `None` when that is not known, or the file can't be understood.
    pub(crate) fn result(&self, list: &NetworkList, attachment: &Attachment) -> Option<Value> {
        let text = fs::read_to_string(self.file(list.name(), attachment)).ok()?;
        let entry: Value = serde_json::from_str(&text).ok()?;
        entry.get("result").cloned()
    }

    pub(crate) fn forget(&self, list: &NetworkList, attachment: &Attachment) {
        match fs::remove_file(self.file(list.name(), attachment)) {
            Err(error) if error.kind() != ErrorKind::NotFound => panic!("forget a result: {error}"),
            _ => {}
        }
    }

    /// Every attachment to a network that is known, by its file's name.
    pub fn attachments(&self, network: &str) -> Vec<Attachment> {
        let Ok(entries) = fs::read_dir(&self.0) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let read = |path: &PathBuf| serde_json::from_str(&fs::read_to_string(path).ok()?).ok();
        let entries = paths.iter().filter_map(read);
        entries.filter(|entry: &Value| entry["networkName"] == network).map(attachment).collect()
    }
}

/// The attachment that an entry is about.
fn attachment(entry: Value) -> Attachment {
    let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    Attachment {
        container_id: text("containerId"),
        netns: text("netns"),
        ifname: text("ifName"),
        args: text("cniArgs"),
        capability_args: entry["capabilityArgs"].as_object().cloned().unwrap_or_default(),
    }
}
