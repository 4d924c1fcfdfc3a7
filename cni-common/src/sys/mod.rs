//! Every effect on the machine: namespaces, links, files, processes. Nothing here knows a
//! configuration or a plugin.
//!
//! - [`netns`] - opening a network namespace, and doing something inside it
//! - `socket` - the transport of every netlink protocol: requests, dumps, batches, deadlines
//! - [`netlink`] - the rtnetlink protocol, and its notifications
//! - [`link`], [`pair`], `bridge_port`, `address`, `route` - what is asked and changed by it
//! - [`attacher`] - what proves that an attachment is dead
//! - [`byte_lock`] - locks on single bytes of one file
//! - [`changes`] - the notifications that something has changed
//! - [`conntrack`] - forgetting tracked connections
//! - [`dbus`] - the system's D-Bus: method calls and their answers
//! - `executable` - whether an executable is of a certain build
//! - [`lock`] - a file lock waited for in turn, with a deadline
//! - `ifb` - devices that traffic is shaped by
//! - [`iptables`] - the `iptables` programs, for those who want them
//! - [`nft`] - one nf_tables socket: transactions and queries
//! - `process` - a program with a deadline
//! - [`qdisc`] - queueing disciplines and filters
//! - [`removal`] - leaving what the kernel still does after a removal to a child process
//! - [`sysctl`] - `/proc/sys/net`

mod address;
pub mod attacher;
mod bridge_port;
pub mod byte_lock;
pub mod changes;
pub mod conntrack;
pub mod dbus;
pub(crate) mod executable;
pub mod file;
mod ifb;
pub mod iptables;
pub mod link;
pub mod lock;
mod netfilter;
pub mod netlink;
pub mod netns;
pub mod nft;
pub mod pair;
pub(crate) mod process;
pub mod qdisc;
pub mod removal;
mod route;
mod socket;
pub mod sysctl;

pub use netlink::Netlink;
pub use netns::Netns;
pub use qdisc::TrafficControl;
