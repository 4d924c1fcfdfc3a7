//! ADD: one address out of every range set, all of them or none.

use std::net::IpAddr;

use cni_common::skel::caught;
use cni_common::spec::{CniResult, Dns, Ip};
use cni_common::sys::attacher::Attacher;
use cni_common::sys::file;
use cni_common::types::{Attachment, Given};
use cni_common::{Code, Context, Error, Result};
use ipnetwork::IpNetwork;

use crate::address::Span;
use crate::allocate;
use crate::config::Config;
use crate::range::RangeSet;
use crate::resolv;
use crate::store::{Holder, Pool};
use crate::usage::Usage;

/// More than any resolv.conf: the C library heeds three name servers and a few hundred bytes.
const MAX_RESOLV_CONF: usize = 64 << 10;

/// Allocates the addresses of the attachment, which `attacher` makes, if that is told. Tells what the
/// pool's record says of them, if it keeps one.
pub(crate) fn add(
    config: &Config,
    attachment: &Attachment,
    attacher: Option<&Attacher>,
) -> Result<(CniResult, Option<Given>)> {
    // What can fail without a trace goes first.
    let dns = read_dns(config)?;
    let mut pool = Pool::create(&config.location)?;
    pool.set_attacher(attacher);
    let mut allocation = Allocation { config, attachment, pool: &mut pool, allocated: Vec::new() };
    match caught(|| allocation.of_every_set()) {
        Ok(()) => {}
        Err(error) => {
            let failures = allocation.rollback();
            pool.save();
            return Err(error.with_undo_failures(failures));
        }
    }
    let ips = allocation.allocated.iter().map(|(_, ip)| ip.clone()).collect();
    pool.save();
    let result = CniResult { interfaces: Vec::new(), ips, routes: config.routes.clone(), dns };
    Ok((result, pool.given()))
}

/// The DNS that `resolvConf` names.
pub(crate) fn read_dns(config: &Config) -> Result<Dns> {
    let Some(path) = &config.resolv_conf else { return Ok(Dns::default()) };
    let text = file::read_text(path, MAX_RESOLV_CONF).context("ipam.resolvConf")?;
    Ok(resolv::parse(&text))
}

/// An ADD under way.
struct Allocation<'a> {
    config: &'a Config,
    attachment: &'a Attachment,
    pool: &'a mut Pool,
    allocated: Vec<(IpAddr, Ip)>,
}

impl Allocation<'_> {
    fn of_every_set(&mut self) -> Result<()> {
        let mut requested = self.config.requested.clone();
        for (index, set) in self.config.sets.iter().enumerate() {
            let wanted = requested.iter().position(|ip| set.range_of(*ip).is_some());
            let wanted = wanted.map(|position| requested.remove(position));
            self.of_one_set(index, set, wanted)
                .with_context(|| format!("failed to allocate for range {index}"))?;
        }
        if requested.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = requested.iter().map(ToString::to_string).collect();
        let message = format!("failed to allocate all requested IPs: {}", list.join(" "));
        Err(Error::new(Code::InvalidConfig, message))
    }

    fn of_one_set(&mut self, index: usize, set: &RangeSet, wanted: Option<IpAddr>) -> Result<()> {
        self.refuse_duplicate(set)?;
        let ip = match wanted {
            Some(ip) => self.requested(set, ip)?,
            None => self.next(index, set)?,
        };
        let Some(range) = set.range_of(ip) else {
            return Err(Error::new(Code::Internal, format!("{ip} is not in range set {set}")));
        };
        let address = IpNetwork::new(ip, range.subnet.prefix())
            .map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let gateway = Some(range.gateway);
        self.allocated.push((ip, Ip { interface: None, address, gateway }));
        if let (Some(pod), Some(history)) = (&self.config.pod, self.pool.history()) {
            history.note_pod(pod, index, ip);
        }
        // The round robin may lose its place; the address is allocated all the same.
        self.pool
            .set_last_reserved(index, ip)
            .unwrap_or_else(|error| cni_common::log::debug(|| error.to_string()));
        Ok(())
    }

    fn refuse_duplicate(&mut self, set: &RangeSet) -> Result<()> {
        let (container, ifname) = (&self.attachment.container, &self.attachment.ifname);
        let held = self.pool.held_by(container, ifname)?;
        // It may be a second ADD of the attachment.
        Error::join(self.pool.unread_of(self.attachment))?;
        match held.into_iter().find(|ip| set.range_of(*ip).is_some()) {
            None => Ok(()),
            Some(ip) => Err(Error::new(
                Code::Conflict,
                format!(
                    "{ip} has been allocated to {container}, duplicate allocation is not allowed"
                ),
            )),
        }
    }

    fn requested(&mut self, set: &RangeSet, ip: IpAddr) -> Result<IpAddr> {
        let refused = |details: String| {
            let message = format!("requested IP address {ip} is not available in range set {set}");
            Error::new(Code::Conflict, message).with_details(details)
        };
        let Some(range) = set.range_of(ip) else { return Err(refused("outside".to_owned())) };
        if range.gateway == ip {
            let message = format!("requested ip {ip} is subnet's gateway");
            return Err(Error::new(Code::InvalidConfig, message));
        }
        if allocate::is_excluded(range, ip) {
            return Err(refused("it is excluded by the configuration".to_owned()));
        }
        if self.reserve_or_reclaim(ip)? {
            return Ok(ip);
        }
        let holder = self.pool.holder(ip)?.unwrap_or(Holder::Unknown);
        Err(refused(format!("held by {}", holder.name())))
    }

    fn next(&mut self, index: usize, set: &RangeSet) -> Result<IpAddr> {
        if let Some(ip) = self.previous(index, set)? {
            return Ok(ip);
        }
        allocate::refuse_empty(set, Code::InvalidConfig)?;
        let spans = allocate::order(set, self.pool.last_reserved(index));
        if let Some(ip) = self.reserve_first(&spans)? {
            return Ok(ip);
        }
        if Usage::reclaim(self.pool, set)? > 0
            && let Some(ip) = self.reserve_first(&spans)?
        {
            return Ok(ip);
        }
        let message = format!("no IP addresses available in range set: {set}");
        let usage = Usage::of(self.pool, set)?;
        Err(Error::new(Code::Exhausted, message).with_details(usage.advice(self.pool.path())))
    }

    /// Reserves the address that the pod had before, if it still may be allocated.
    fn previous(&mut self, index: usize, set: &RangeSet) -> Result<Option<IpAddr>> {
        let (Some(pod), Some(history)) = (&self.config.pod, self.pool.history()) else {
            return Ok(None);
        };
        let before = history.address_of_pod(pod, index);
        match before.filter(|ip| allocate::is_allocatable(set, *ip)) {
            Some(ip) if self.reserve_or_reclaim(ip)? => Ok(Some(ip)),
            _ => Ok(None),
        }
    }

    /// Reserves the first free address of `spans` that is not cooling down; if all are, the one
    /// released longest ago.
    fn reserve_first(&mut self, spans: &[Span]) -> Result<Option<IpAddr>> {
        let mut rest = spans.to_vec();
        let mut oldest: Option<(u64, IpAddr)> = None;
        // Every round passes over an address or makes the index know one file more: this ends.
        loop {
            // With an address to fall back on, reading all files for a better one is too dear.
            let found = match oldest {
                Some(_) => self.pool.known_free(&rest),
                None => self.pool.first_free(&rest)?,
            };
            let Some(ip) = found else { break };
            let cooldown = self.config.cooldown;
            let history = self.pool.history();
            match history.and_then(|history| history.cooling_since(ip, cooldown)) {
                Some(since) => {
                    oldest = Some(oldest.map_or((since, ip), |old| old.min((since, ip))));
                    rest = allocate::after(&rest, ip);
                }
                None if self.reserve(ip)? => return Ok(Some(ip)),
                None => {}
            }
        }
        match oldest {
            Some((_, ip)) if self.reserve(ip)? => Ok(Some(ip)),
            // Somebody took it meanwhile, without the lock: the others are looked at again.
            Some(_) => self.reserve_first(spans),
            None => Ok(None),
        }
    }

    fn reserve_or_reclaim(&mut self, ip: IpAddr) -> Result<bool> {
        Ok(self.reserve(ip)? || (Usage::reclaim_one(self.pool, ip)? && self.reserve(ip)?))
    }

    fn reserve(&mut self, ip: IpAddr) -> Result<bool> {
        self.pool.reserve(ip, &self.attachment.container, &self.attachment.ifname)
    }

    fn rollback(&mut self) -> Vec<Error> {
        let (container, ifname) = (&self.attachment.container, &self.attachment.ifname);
        let pool = &mut *self.pool;
        let allocated = self.allocated.drain(..).rev();
        allocated.filter_map(|(ip, _)| pool.release(ip, container, ifname).err()).collect()
    }
}
