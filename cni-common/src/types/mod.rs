//! Values that are checked once, when they arrive, and trusted from then on. Pure.

mod attachment;
mod cidr;
mod container_id;
pub mod hash;
mod ifname;
mod link_attributes;
mod mac;
pub mod net;
mod network_name;
mod pool_record;
pub mod traffic;
mod vlan_id;

pub use attachment::Attachment;
pub use cidr::{first_address, parse_cidr, parse_ip};
pub use container_id::ContainerId;
pub use ifname::IfName;
pub use link_attributes::LinkAttributes;
pub use mac::Mac;
pub use network_name::NetworkName;
pub use pool_record::{Given, PoolRecord};
pub use vlan_id::VlanId;

/// The pattern of container IDs and network names: `^[a-zA-Z0-9][a-zA-Z0-9_.\-]*$`.
fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// Implements the reading side that all checked strings share.
macro_rules! checked_string {
    ($name:ident) => {
        impl $name {
            /// The checked text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
use checked_string;
