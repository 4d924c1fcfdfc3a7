//! The kernel's notifications that something of the network has changed: links and addresses of this
//! namespace, and its packet filter. What has changed is not told: whoever wakes looks himself.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::netfilter::NetfilterSocket;
use super::netlink::{Group, Netlink};
use super::nft::is_unsupported;
use crate::error::{Context, Result};

/// `NFNLGRP_NFTABLES` of linux/netfilter/nfnetlink.h.
const NFTABLES: u32 = 7;
/// More datagrams are left for the next time.
const MAX_DATAGRAMS: usize = 10_000;

/// A subscription.
#[derive(Debug)]
pub struct Changes {
    links: Netlink,
    /// `None` in a kernel without netfilter.
    rules: Option<NetfilterSocket>,
}

impl Changes {
    /// Subscribes. What changes from here on wakes.
    pub fn subscribe() -> Result<Self> {
        let mut links = Netlink::open()?;
        links.subscribe(&[Group::Link, Group::Ipv4Address, Group::Ipv6Address])?;
        let rules = match NetfilterSocket::open() {
            Ok(mut socket) => {
                socket.join_groups([NFTABLES])?;
                Some(socket)
            }
            Err(error) if is_unsupported(&error) => None,
            Err(error) => return Err(error),
        };
        Ok(Self { links, rules })
    }

    /// Waits until something has changed, or `other` can be read; `false` after `timeout`.
    pub fn wait(&mut self, other: Option<BorrowedFd<'_>>, timeout: Duration) -> Result<bool> {
        let deadline = Instant::now() + timeout;
        let has_come = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let rules = self.rules.as_ref().map(AsFd::as_fd);
            let all = [Some(self.links.as_fd()), rules, other];
            let mut fds: Vec<PollFd<'_>> =
                all.into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            match poll(&mut fds, timeout) {
                Ok(ready) => break ready > 0,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno).context("wait for changes"),
            }
        };
        self.drain();
        Ok(has_come)
    }

    /// Takes what has come. That something can't be read says as much as what it says.
    fn drain(&mut self) {
        let now = Instant::now();
        for _ in 0..MAX_DATAGRAMS {
            if matches!(self.links.next_objects(now), Ok(None)) {
                break;
            }
        }
        for _ in 0..MAX_DATAGRAMS {
            let Some(rules) = &mut self.rules else { break };
            if matches!(rules.next_objects(now), Ok(None)) {
                break;
            }
        }
    }
}
