//! Whom a call is about.

use serde_json::{Map, Value, json};

/// One interface of one container in a network, as a runtime knows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attachment {
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_NETNS`; empty for a DEL after the namespace is gone.
    pub netns: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// `CNI_ARGS`.
    pub args: String,
    /// The capability arguments, by the capabilities' names.
    pub capability_args: Map<String, Value>,
}

impl Attachment {
    /// `eth0` of a container, whose network namespace has the path `netns`.
    pub fn new(container_id: &str, netns: &str) -> Self {
        Self {
            container_id: container_id.to_owned(),
            netns: netns.to_owned(),
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

    /// The same with these capability arguments, and no others.
    #[must_use]
    pub fn capabilities<N: Into<String>>(
        mut self,
        by_name: impl IntoIterator<Item = (N, Value)>,
    ) -> Self {
        self.capability_args =
            by_name.into_iter().map(|(name, value)| (name.into(), value)).collect();
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
