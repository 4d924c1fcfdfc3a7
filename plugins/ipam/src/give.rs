//! ADD: one address out of every range set, all of them or none.

use std::net::IpAddr;

use cni_common::spec::{CniResult, Dns, Ip};
use cni_common::types::Attachment;
use cni_common::{Code, Context, Error, Result};
use ipnetwork::IpNetwork;

use crate::allocate;
use crate::config::Config;
use crate::range::{RangeSet, Span};
use crate::resolv;
use crate::room::Room;
use crate::store::{Holder, Pool};

/// Gives the attachment its addresses.
pub(crate) fn give(config: &Config, attachment: &Attachment) -> Result<CniResult> {
    // What can fail without a trace goes first.
    let dns = read_dns(config)?;
    let mut pool = Pool::create(&config.place)?;
    let mut giving = Giving { config, attachment, pool: &mut pool, given: Vec::new() };
    match giving.all() {
        Ok(()) => {}
        Err(error) => {
            let failures = giving.take_back();
            pool.settle();
            return Err(error.with_undo_failures(failures));
        }
    }
    let ips = giving.given.iter().map(|(_, ip)| ip.clone()).collect();
    pool.settle();
    Ok(CniResult { interfaces: Vec::new(), ips, routes: config.routes.clone(), dns })
}

fn read_dns(config: &Config) -> Result<Dns> {
    let Some(path) = &config.resolv_conf else { return Ok(Dns::default()) };
    let text = std::fs::read_to_string(path).map_err(|error| Error::io("read", path, &error))?;
    Ok(resolv::parse(&text))
}

/// An ADD under way.
struct Giving<'a> {
    config: &'a Config,
    attachment: &'a Attachment,
    pool: &'a mut Pool,
    given: Vec<(IpAddr, Ip)>,
}

impl Giving<'_> {
    fn all(&mut self) -> Result<()> {
        let mut requested = self.config.requested.clone();
        for (index, set) in self.config.sets.iter().enumerate() {
            let wish = requested.iter().position(|ip| set.range_of(*ip).is_some());
            let wish = wish.map(|position| requested.remove(position));
            self.one(index, set, wish)
                .with_context(|| format!("failed to allocate for range {index}"))?;
        }
        if requested.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = requested.iter().map(ToString::to_string).collect();
        let message = format!("failed to allocate all requested IPs: {}", list.join(" "));
        Err(Error::new(Code::InvalidConfig, message))
    }

    fn one(&mut self, index: usize, set: &RangeSet, wish: Option<IpAddr>) -> Result<()> {
        self.refuse_duplicate(set)?;
        let ip = match wish {
            Some(ip) => self.requested(set, ip)?,
            None => self.next(index, set)?,
        };
        let Some(range) = set.range_of(ip) else {
            return Err(Error::new(Code::Internal, format!("{ip} is not in range set {set}")));
        };
        let address = IpNetwork::new(ip, range.subnet.prefix())
            .map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let gateway = Some(range.gateway);
        self.given.push((ip, Ip { interface: None, address, gateway }));
        // The round robin may lose its place; the address is given all the same.
        self.pool
            .set_last_given(index, ip)
            .unwrap_or_else(|error| cni_common::log::debug(|| error.to_string()));
        Ok(())
    }

    fn refuse_duplicate(&mut self, set: &RangeSet) -> Result<()> {
        let (container, ifname) = (&self.attachment.container, &self.attachment.ifname);
        let held = self.pool.held_by(container, ifname)?;
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
        if self.take(ip)? {
            return Ok(ip);
        }
        let holder = self.pool.holder(ip)?.unwrap_or(Holder::Unknown);
        if self.reclaim_one(ip, &holder)? && self.take(ip)? {
            return Ok(ip);
        }
        Err(refused(format!("held by {}", holder.name())))
    }

    /// Frees one address that is proved to be nobody's any more.
    fn reclaim_one(&mut self, ip: IpAddr, holder: &Holder) -> Result<bool> {
        if !Room::is_reclaimable(self.pool, ip, holder) {
            return Ok(false);
        }
        Room::log_reclaim(ip, holder);
        self.pool.reclaim(ip)?;
        self.pool.survey()?;
        Ok(true)
    }

    fn next(&mut self, index: usize, set: &RangeSet) -> Result<IpAddr> {
        let spans = allocate::order(set, self.pool.last_given(index)?);
        if let Some(ip) = self.first_taken(&spans)? {
            return Ok(ip);
        }
        if Room::reclaim(self.pool, set)? > 0
            && let Some(ip) = self.first_taken(&spans)?
        {
            return Ok(ip);
        }
        let message = format!("no IP addresses available in range set: {set}");
        let room = Room::of(self.pool, set)?;
        Err(Error::new(Code::Exhausted, message).with_details(room.advice(self.pool.path())))
    }

    /// Takes the first free address of `spans`.
    fn first_taken(&mut self, spans: &[Span]) -> Result<Option<IpAddr>> {
        // Every miss makes the index know one file more, so this ends.
        while let Some(ip) = self.pool.first_free(spans)? {
            if self.take(ip)? {
                return Ok(Some(ip));
            }
        }
        Ok(None)
    }

    fn take(&mut self, ip: IpAddr) -> Result<bool> {
        self.pool.take(ip, &self.attachment.container, &self.attachment.ifname)
    }

    fn take_back(&mut self) -> Vec<Error> {
        let (container, ifname) = (&self.attachment.container, &self.attachment.ifname);
        let pool = &mut *self.pool;
        let given = self.given.drain(..).rev();
        given.filter_map(|(ip, _)| pool.release(ip, container, ifname).err()).collect()
    }
}
