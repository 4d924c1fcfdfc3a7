//! The floor: only what the kernel must do for an attachment and for its end, in one process. What
//! a plugin takes longer than this is its own.
//!
//! `floor add NETNS HOST-INTERFACE BRIDGE-INDEX ADDRESS/LENGTH GATEWAY` makes the pair, gives the
//! container interface its address, brings it up and adds the default route; `floor del
//! HOST-INTERFACE` removes the pair. Checks nothing, undoes nothing.

use std::error::Error;
use std::fs::File;
use std::process::ExitCode;

use cni_common::sys::Netlink;
use cni_common::sys::pair::{NewEnd, NewPair};
use cni_common::types::Mac;
use cni_common::types::net::{DuplicateDetection, LinkRoute};
use ipnetwork::IpNetwork;
use nix::sched::{CloneFlags, setns};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["add", netns, name, bridge, address, gateway] => {
            Floor { netns, name, bridge, address, gateway }.add()
        }
        ["del", name] => del(name),
        _ => {
            Err("usage: floor add NETNS NAME BRIDGE-INDEX ADDRESS GATEWAY | floor del NAME".into())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(_error) => ExitCode::FAILURE,
    }
}

/// What `floor add` is told.
struct Floor<'a> {
    netns: &'a str,
    name: &'a str,
    bridge: &'a str,
    address: &'a str,
    gateway: &'a str,
}

impl Floor<'_> {
    fn add(&self) -> Outcome {
        let netns = File::open(self.netns)?;
        let address: IpNetwork = self.address.parse()?;
        let [.., a, b] = std::process::id().to_be_bytes();
        Netlink::open()?.create_pair(&NewPair {
            host: NewEnd { name: self.name, mac: Mac::local([2, 0, 0, 1, a, b]) },
            master: Some(self.bridge.parse()?),
            peer: NewEnd { name: "eth0", mac: Mac::local([2, 0, 0, 2, a, b]) },
            netns: Some(&netns),
            mtu: None,
        })?;
        setns(&netns, CloneFlags::CLONE_NEWNET)?;
        let mut container = Netlink::open()?;
        let index = container.index_of("eth0")?;
        container.add_address(index, address, DuplicateDetection::Skipped)?;
        container.set_link_up("eth0")?;
        let default = LinkRoute {
            dst: "0.0.0.0/0".parse()?,
            gateways: vec![self.gateway.parse()?],
            mtu: None,
            advmss: None,
            priority: None,
            table: None,
            scope: None,
        };
        Ok(container.add_route(index, &default)?)
    }
}

fn del(name: &str) -> Outcome {
    Netlink::open()?.remove_link(name)?;
    Ok(())
}
