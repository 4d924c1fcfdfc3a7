//! What is kept of an attachment, in libcni's form. Pure.
//!
//! A JSON object of kind `cniCacheV1`. In it `config` is the network list in base64, and `cniArgs` a list of
//! pairs, because libcni has bytes and pairs there (`cachedInfo` in libcni/api.go).

use serde_json::{Map, Value, json};

use crate::{Attachment, base64};

/// The form (`CNICacheV1` in libcni).
pub(crate) const KIND: &str = "cniCacheV1";

/// What is known of an attachment to a network.
#[derive(Clone, Debug, PartialEq)]
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

impl Cached {
    /// What a file says; `None` when it does not say which attachment it is about.
    pub fn parse(text: &str) -> Option<Self> {
        let mut entry: Map<String, Value> = serde_json::from_str(text).ok()?;
        let text =
            |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
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
        Some(Self { network, attachment, config, result: entry.remove("result") })
    }

    /// The text of a file that says this.
    pub fn print(&self) -> String {
        let Attachment { container_id, netns, ifname, args, capability_args } = &self.attachment;
        let config = self.config.as_ref().map(Value::to_string).unwrap_or_default();
        let mut entry = json!({
            "kind": KIND,
            "containerId": container_id,
            "config": base64::encode(config.as_bytes()),
            "ifName": ifname,
            "networkName": self.network,
        });
        // Where there is nothing to be said, libcni leaves the key out.
        let mut also = |key: &str, value: Value, is_empty: bool| {
            if let (Value::Object(entry), false) = (&mut entry, is_empty) {
                entry.insert(key.to_owned(), value);
            }
        };
        also("result", json!(self.result), self.result.is_none());
        also("netns", json!(netns), netns.is_empty());
        also("cniArgs", json!(pairs(args)), args.is_empty());
        also("capabilityArgs", json!(capability_args), capability_args.is_empty());
        entry.to_string()
    }
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
