//! What one ADD makes and one DEL removes.

use std::fmt;

use super::{ContainerId, IfName, NetworkName};

/// The key of an attachment: everything that DEL and GC may know of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attachment {
    /// The network's name, out of the configuration.
    pub network: NetworkName,
    /// `CNI_CONTAINERID`.
    pub container: ContainerId,
    /// `CNI_IFNAME`.
    pub ifname: IfName,
}

impl fmt::Display for Attachment {
    /// `<network>/<container>/<ifname>`; none of the three can hold a slash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.network, self.container, self.ifname)
    }
}
