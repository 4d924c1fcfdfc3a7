//! What holds for every input of every parser, whatever bytes it is made of. For tests only.
//!
//! Each function takes the bytes of one input and panics if something that must hold does not:
//! that nothing panics, that an error has a code of the parser's own and says something, that what is
//! accepted is what its type promises, and that what is printed is read as the same again. The fuzz
//! targets in `tests/fuzz/` call them with made inputs, `tests/findings.rs` with those that once broke one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "only tests call this crate, and a broken invariant is a panic"
)]

mod cache;
mod configuration;
mod dbus;
mod kernel;
mod leases;
mod log;
mod packet_filter;
mod plugins;
mod words;

pub use cache::cache;
pub use configuration::{config_bridge, config_host_local, request, result};
pub use dbus::{dbus_address, dbus_message};
pub use kernel::{conntrack_answer, netlink_answer, nft_answer, traffic_answer};
pub use leases::{lease, pool};
pub use log::log;
pub use packet_filter::{config_firewall, config_portmap, iptables_save};
pub use plugins::{allow_list, backup, config_bandwidth, config_static, config_tuning};
pub use words::{cni_args, resolv_conf};

use cni_common::{Code, Error};

/// A function of this crate.
pub type Invariant = fn(&[u8]);

/// All of them, by the names that the fuzz targets and the folders of inputs have.
pub const ALL: [(&str, Invariant); 24] = [
    ("allow-list", allow_list),
    ("backup", backup),
    ("cache", cache),
    ("cni-args", cni_args),
    ("config-bandwidth", config_bandwidth),
    ("config-bridge", config_bridge),
    ("config-firewall", config_firewall),
    ("config-host-local", config_host_local),
    ("config-portmap", config_portmap),
    ("config-static", config_static),
    ("config-tuning", config_tuning),
    ("conntrack-answer", conntrack_answer),
    ("dbus-address", dbus_address),
    ("dbus-message", dbus_message),
    ("iptables-save", iptables_save),
    ("lease", lease),
    ("log", log),
    ("netlink-answer", netlink_answer),
    ("nft-answer", nft_answer),
    ("pool", pool),
    ("request", request),
    ("resolv-conf", resolv_conf),
    ("result", result),
    ("traffic-answer", traffic_answer),
];

/// An error that a caller can do something with: one of `codes`, and it says something.
#[track_caller]
fn is_sound(error: &Error, codes: &[Code]) {
    assert!(codes.iter().any(|code| error.is(*code)), "{error:?}");
    assert!(!error.message().trim().is_empty(), "{error:?}");
}

/// `data` as text, if it is, in two parts around the first NUL; all of it is the first without one.
fn halves(data: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(data).ok()?;
    Some(text.split_once('\0').unwrap_or((text, "")))
}
