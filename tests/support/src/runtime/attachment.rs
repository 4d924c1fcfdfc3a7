//! Whom a call is about.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::container::Container;

/// One interface of one container in a network, as a runtime knows it.
#[derive(Clone, Debug, Default)]
pub struct Attachment {
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_NETNS`; empty for a DEL after the namespace is gone.
    pub netns: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// `CNI_ARGS`.
    pub args: String,
    /// What the runtime has to say on capabilities, by their names.
    pub capability_args: Map<String, Value>,
}

impl Attachment {
    /// `eth0` of a container that is named as its ID.
    pub fn new(container: &Container) -> Self {
        Self::of(container.name(), container.path())
    }

    /// `eth0` of a container.
    pub fn of(container_id: &str, netns: &Path) -> Self {
        Self {
            container_id: container_id.to_owned(),
            netns: netns.to_str().expect("the path of a namespace is text").to_owned(),
            ifname: "eth0".to_owned(),
            ..Self::default()
        }
    }

    /// The same with another interface name.
    #[must_use]
    pub fn ifname(mut self, name: &str) -> Self {
        name.clone_into(&mut self.ifname);
        self
    }

    /// The same with `CNI_ARGS`.
    #[must_use]
    pub fn args(mut self, args: &str) -> Self {
        args.clone_into(&mut self.args);
        self
    }

    /// The same with what there is to say on capabilities, an object.
    #[must_use]
    pub fn capabilities(mut self, by_name: &Value) -> Self {
        self.capability_args = by_name.as_object().expect("an object").clone();
        self
    }

    /// The same after the namespace is gone.
    #[must_use]
    pub fn without_netns(mut self) -> Self {
        self.netns.clear();
        self
    }

    /// Container and interface are the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.container_id == other.container_id && self.ifname == other.ifname
    }

    /// What GC calls it.
    pub(crate) fn key(&self) -> Value {
        json!({"containerID": self.container_id, "ifname": self.ifname})
    }
}
