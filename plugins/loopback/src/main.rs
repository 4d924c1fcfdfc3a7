//! The plugin `loopback`: brings a container's `lo` up and says which addresses it then has.
//!
//! `lo` is the same interface for every caller, and runtimes call this plugin beside the network's
//! own ones on the same namespace: so it is changed in nothing but being up, and neither the value of
//! `CNI_IFNAME`, nor `CNI_ARGS`, nor `CNI_PATH` is looked at.

use std::process::ExitCode;

use cni_common::skel::{self, Added, AttachmentRequest, Made, Plugin, Request};
use cni_common::spec::{CniResult, Interface, Ip, ValidAttachments};
use cni_common::sys::Netlink;
use cni_common::types::net::Link;
use cni_common::{Code, Context, Error, Result};

fn main() -> ExitCode {
    skel::main(&Loopback)
}

struct Loopback;

impl Plugin for Loopback {
    fn name(&self) -> &'static str {
        "loopback"
    }

    fn purpose(&self) -> &'static str {
        env!("CARGO_PKG_DESCRIPTION")
    }

    fn reads_ifname(&self) -> bool {
        false
    }

    fn add(&self, request: &AttachmentRequest<'_>) -> Result<Added> {
        let previous = request.request.config.prev_result()?;
        let (netns, mut netlink) = request.open_netns()?;
        let lo = find_lo(&mut netlink)?;
        Added::attempt(SetUp { netlink, lo }, |SetUp { netlink, lo }| {
            // Also when it is up: a caller that is just setting it up has its addresses only when the
            // kernel is through with that, and this waits for it.
            set_up(netlink, lo)?;
            let own = result_of(netlink, lo, &netns.path().to_string_lossy())?;
            // A plugin before this one said what the attachment is: that stands.
            Ok(previous.unwrap_or(own))
        })
    }

    fn del(&self, request: &AttachmentRequest<'_>) -> Result<()> {
        // No namespace, no lo: what DEL is to bring about is so already.
        let Some(netns) = request.open_netns_if_present()? else { return Ok(()) };
        let Some(mut netlink) = netns.netlink_if_netns()? else { return Ok(()) };
        let lo = find_lo(&mut netlink)?;
        set_down(&mut netlink, &lo)
    }

    fn check(&self, request: &AttachmentRequest<'_>) -> Result<()> {
        let lo = find_lo(&mut request.open_netns()?.1)?;
        match lo.is_up {
            true => Ok(()),
            false => Err(Error::new(Code::CheckFailed, "loopback interface is down")),
        }
    }

    fn gc(&self, _: &Request<'_>, _: Option<&ValidAttachments<'_>>) -> Result<()> {
        // Nothing of an attachment lies outside its container's namespace.
        Ok(())
    }

    fn status(&self, _: &Request<'_>) -> Result<()> {
        // Every kernel with namespaces gives each of them its lo.
        Ok(())
    }
}

fn find_lo(netlink: &mut Netlink) -> Result<Link> {
    let found = netlink.find_link("lo")?;
    found.ok_or_else(|| Error::new(Code::InvalidNetns, "the namespace has no interface \"lo\""))
}

fn set_up(netlink: &mut Netlink, lo: &Link) -> Result<()> {
    netlink.set_link_up(&lo.name).context("set \"lo\" up")
}

fn set_down(netlink: &mut Netlink, lo: &Link) -> Result<()> {
    netlink.set_link_down(&lo.name).context("set \"lo\" down")
}

/// `lo` as it was found, to be as it was when ADD fails.
struct SetUp {
    netlink: Netlink,
    lo: Link,
}

impl Made for SetUp {
    fn rollback(&mut self) -> Vec<Error> {
        let Self { netlink, lo } = self;
        let outcome = if lo.is_up { Ok(()) } else { set_down(netlink, lo) };
        outcome.err().into_iter().collect()
    }
}

/// What `lo` is now that it is up. Which addresses that gave it is the kernel's to say: there is
/// no ::1 where IPv6 is off.
fn result_of(netlink: &mut Netlink, lo: &Link, sandbox: &str) -> Result<CniResult> {
    let addresses = netlink.list_addresses(lo.index)?;
    // Others that someone put on lo are not this plugin's to report.
    let loopback = addresses.into_iter().map(|found| found.address);
    let ips = loopback.filter(|address| address.ip().is_loopback()).map(|address| Ip {
        interface: Some(0),
        address,
        gateway: None,
    });
    Ok(CniResult {
        interfaces: vec![Interface {
            name: lo.name.clone(),
            mac: "00:00:00:00:00:00".to_owned(),
            sandbox: sandbox.to_owned(),
            ..Interface::default()
        }],
        ips: ips.collect(),
        ..CniResult::default()
    })
}
