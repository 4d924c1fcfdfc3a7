//! What ADD answered, on disk, one file per attachment, in libcni's place and form: what either of them
//! has attached, the other one detaches.
//!
//! `<folder>/results/<network>-<container>-<interface>` is a JSON object of kind `cniCacheV1`. In it
//! `config` is the network list in base64, and `cniArgs` a list of pairs, because libcni has bytes and
//! pairs there (`cachedInfo` in libcni/api.go). A file of older releases is the bare result.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::{Attachment, Error, NetworkList, base64, file};

/// The form of the files (`CNICacheV1` in libcni).
const KIND: &str = "cniCacheV1";

/// The folder of results.
#[derive(Clone, Debug)]
pub struct Cache(PathBuf);

/// What is known of an attachment to a network.
#[derive(Clone, Debug)]
pub struct Cached {
    /// The network's name.
    pub network: String,
    /// The attachment, with the arguments that it was made with.
    pub attachment: Attachment,
    /// The network list or configuration as it was then; `None` if it can't be read.
    pub config: Option<Value>,
    /// What ADD answered.
    pub result: Option<Value>,
}

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
        let mut entry = json!({
            "kind": KIND,
            "containerId": attachment.container_id,
            "config": base64::encode(list.to_json().to_string().as_bytes()),
            "ifName": attachment.ifname,
            "networkName": list.name(),
            "result": result,
        });
        // Where there is nothing to be said, libcni leaves the key out.
        let mut also = |key: &str, value: Value, is_empty: bool| {
            if let (Value::Object(entry), false) = (&mut entry, is_empty) {
                entry.insert(key.to_owned(), value);
            }
        };
        also("netns", json!(attachment.netns), attachment.netns.is_empty());
        also("cniArgs", json!(pairs(&attachment.args)), attachment.args.is_empty());
        let capabilities = &attachment.capability_args;
        also("capabilityArgs", json!(capabilities), capabilities.is_empty());
        let path = self.file(list.name(), attachment);
        let write = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            file.write_all(entry.to_string().as_bytes())
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
        let read = |path: &PathBuf| serde_json::from_str(&file::read(path).ok()?).ok();
        Ok(paths.iter().filter_map(read).filter_map(cached).collect())
    }
}

/// What an entry says; `None` when it does not say which attachment it is about.
fn cached(mut entry: Map<String, Value>) -> Option<Cached> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (kind, network, ifname) = (text("kind"), text("networkName"), text("ifName"));
    if kind != KIND || network.is_empty() || ifname.is_empty() {
        return None;
    }
    let config = base64::decode(&text("config"));
    let config = config.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let attachment = Attachment {
        container_id: text("containerId"),
        netns: text("netns"),
        ifname,
        args: entry.get("cniArgs").map(joined).unwrap_or_default(),
        capability_args: match entry.remove("capabilityArgs") {
            Some(Value::Object(arguments)) => arguments,
            _ => Map::new(),
        },
    };
    Some(Cached { network, attachment, config, result: entry.remove("result") })
}

/// `CNI_ARGS` as pairs.
fn pairs(args: &str) -> Vec<[&str; 2]> {
    let pairs = args.split(';').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")).into()).collect()
}

/// Pairs as `CNI_ARGS`.
fn joined(pairs: &Value) -> String {
    let pair = |pair: &Value| {
        let word = |at: usize| pair.get(at).and_then(Value::as_str);
        Some(format!("{}={}", word(0)?, word(1)?))
    };
    let pairs = pairs.as_array().into_iter().flatten().filter_map(pair);
    pairs.collect::<Vec<String>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_pairs_and_back() {
        let args = "IgnoreUnknown=1;K8S_POD_NAME=web-0;EMPTY=";
        assert_eq!(joined(&json!(pairs(args))), args);
        assert_eq!(joined(&json!("IgnoreUnknown=1")), "");
    }
}
