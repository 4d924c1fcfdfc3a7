//! ADD: from a checked configuration to an attachment, or to nothing at all.

mod interfaces;
mod leftover;
mod new_links;
mod unsettled;

use std::path::Path;

use cni_common::delegate::Delegate;
use cni_common::error::{Code, Error, Result};
use cni_common::log;
use cni_common::names;
use cni_common::skel::{Added, AttachmentRequest, Made, caught};
use cni_common::spec::CniResult;
use cni_common::sys::Netlink;
use cni_common::sys::attacher::Attacher;
use cni_common::types::Given;
use nix::errno::Errno;

use crate::apply::Machine;
use crate::config::BridgeConfig;
use crate::observe::observe;
use crate::operation::Operation;
use crate::plan::{self, Network, NewLinks, Observed, Plan, Recorded, ResolvConf, Situation};
use crate::rules::{Expected, Rules};
use crate::{dns, ipam, resolv_conf};

pub(crate) use new_links::new_links;
use unsettled::{Finished, Lease, Unsettled};

/// How often a plan is made anew when somebody makes or removes in between what it depends on.
const MAX_PLAN_RETRIES: u32 = 5;
/// The container interface's place among the result's interfaces: bridge, host end, container.
const CONTAINER_INTERFACE: i64 = 2;

/// Makes the attachment. Where others remove the bridge meanwhile, as an ADD does that made it and fails, it
/// begins again.
pub fn add(request: &AttachmentRequest<'_>) -> Result<Added> {
    let config = log::configuration_step(|| {
        BridgeConfig::parse(&request.request.config, &request.request.args()?)
    })?;
    let mut retries = 0;
    loop {
        match attempt(request, config.clone()) {
            Err(Failed { error, has_lost_bridge: true }) if retries < MAX_PLAN_RETRIES => {
                retries += 1;
                log::debug(|| format!("the bridge was removed by others: begin again ({error})"));
            }
            done => return done.map_err(|failed| failed.error),
        }
    }
}

/// An ADD that has failed and left nothing.
struct Failed {
    error: Error,
    /// Whether it would have found another bridge, or none, at its end.
    has_lost_bridge: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, has_lost_bridge: false }
    }
}

fn attempt(
    request: &AttachmentRequest<'_>,
    config: BridgeConfig,
) -> std::result::Result<Added, Failed> {
    let mut ipam = ipam::find(&request.request)?;
    let opened = request.open_netns()?;
    let lock = request.lock()?;
    let machine = Machine::new(Netlink::open()?, opened, config.bridge.as_str());
    let new_links = new_links(&request.attachment, &config)?;
    let attacher = lock.as_ref().and_then(|_held| Attacher::here(&new_links.ends.host));
    if let Some(ipam) = &mut ipam {
        ipam.set_attacher(attacher.clone());
    }
    let mut attaching = Attaching {
        rules: Rules::of(&request.attachment),
        resolv_conf: resolv_conf_file(request, &config, machine.netns.path()),
        observed: Observed::default(),
        machine,
        request,
        new_links,
        config,
        attacher,
        given: None,
        lease: Lease::None,
        asked_for: Expected::default(),
    };
    attaching.refuse_taken_interface()?;
    let attached = caught(|| attaching.attach(ipam.as_ref()));
    let Attaching { machine, rules, lease, asked_for, new_links, .. } = attaching;
    let ipam = ipam.filter(|_| lease == Lease::Allocated);
    let finished = Finished::of(request, new_links.ends.host);
    let mut made = Unsettled { machine, rules, expected: asked_for, ipam, finished, _lock: lock };
    match attached {
        Ok(result) => Ok(Added::new(result, made)),
        Err(error) => {
            let has_lost_bridge = error.raw_errno().is_some() && made.machine.has_lost_bridge();
            let failures = made.rollback();
            let has_lost_bridge = has_lost_bridge && failures.is_empty();
            Err(Failed { error: error.with_undo_failures(failures), has_lost_bridge })
        }
    }
}

/// The resolv.conf that the configuration asks for, if the namespace has a name.
fn resolv_conf_file(
    request: &AttachmentRequest<'_>,
    config: &BridgeConfig,
    netns: &Path,
) -> Option<ResolvConf> {
    let path = resolv_conf::path(netns).filter(|_| config.netns_resolv_conf)?;
    let attachment = &request.attachment;
    let unfinished = resolv_conf::unfinished(attachment);
    Some(ResolvConf { path, unfinished, marker: resolv_conf::marker(attachment) })
}

struct Attaching<'a> {
    machine: Machine,
    request: &'a AttachmentRequest<'a>,
    config: BridgeConfig,
    new_links: NewLinks,
    resolv_conf: Option<ResolvConf>,
    observed: Observed,
    rules: Rules,
    /// Who makes the attachment, where that can be told.
    attacher: Option<Attacher>,
    /// What the pool's record says of the addresses, where there is one.
    given: Option<Given>,
    /// What this run may hold of the IPAM plugin's addresses.
    lease: Lease,
    /// The rules that this run has asked for so far.
    asked_for: Expected,
}

impl Attaching<'_> {
    fn attach(&mut self, ipam: Option<&Delegate>) -> Result<CniResult> {
        let (mut result, network) = match ipam {
            None => self.attach_with(self.completed(CniResult::default())?)?,
            Some(ipam) if ipam.is_in_process() => {
                let running = ipam.start_add()?;
                let result = self.result_past_stale_lease(running, ipam)?;
                self.attach_with(self.completed(result)?)?
            }
            Some(ipam) => self.attach_beside(ipam)?,
        };
        self.attach_network(&result, network)?;
        result.interfaces = self.interfaces(&result)?;
        Ok(result)
    }

    /// Makes the links, with all that follows planned.
    fn attach_with(&mut self, result: CniResult) -> Result<(CniResult, Network)> {
        let plan = self.attach_links(Some(&result))?;
        Ok((result, plan.network.unwrap_or_default()))
    }

    /// Makes the links while an IPAM plugin that only gives addresses runs: they need none. Any
    /// other finds the container interface there, as with the reference.
    fn attach_beside(&mut self, ipam: &Delegate) -> Result<(CniResult, Network)> {
        let result = match self.config.ipam_only_allocates() {
            true => {
                let running = ipam.start_add()?;
                let links = self.attach_links(None);
                let result = self.result_past_stale_lease(running, ipam);
                links.and(result)?
            }
            false => {
                self.attach_links(None)?;
                let running = ipam.start_add()?;
                self.result_past_stale_lease(running, ipam)?
            }
        };
        let result = self.completed(result)?;
        let network = self.plan(Some(&result))?.network.unwrap_or_default();
        Ok((result, network))
    }

    /// The IPAM's result with what the configuration adds to it.
    fn completed(&self, mut result: CniResult) -> Result<CniResult> {
        if self.config.ipam.is_some() && result.ips.is_empty() {
            return Err(Error::new(Code::Delegate, "IPAM plugin returned missing IP config"));
        }
        plan::complete_result(&self.config, &mut result, CONTAINER_INTERFACE)?;
        let dns = std::mem::take(&mut result.dns);
        let config = &self.request.request.config;
        result.dns = dns::merged(config, self.config.dns.as_ref(), dns)?;
        Ok(result)
    }

    fn observe(&mut self) -> Result<()> {
        let recorded_mac = match self.recorded() {
            Recorded::By { bridge_mac, is_first_use: true } => Some(bridge_mac),
            _ => None,
        };
        let host = &mut self.machine.host;
        let look = || observe(host, &self.config, &self.new_links, recorded_mac);
        self.observed = log::step(|| format!("look at {}", self.config.bridge.as_str()), look)?;
        self.machine.forget_indices();
        if let Some(found) = &self.observed.bridge {
            self.machine.learn_index(self.config.bridge.as_str(), found.link.index);
        }
        Ok(())
    }

    fn plan(&self, result: Option<&CniResult>) -> Result<Plan> {
        plan::plan(&Situation {
            config: &self.config,
            new_links: &self.new_links,
            observed: &self.observed,
            result,
            resolv_conf: self.resolv_conf.as_ref(),
            recorded: self.recorded(),
        })
    }

    /// What is known of those who may remember the addresses.
    fn recorded(&self) -> Recorded {
        let (Some(given), Some(attacher)) = (self.given, &self.attacher) else {
            return Recorded::Nothing;
        };
        let bridge = &self.config.bridge;
        let bridge_mac = names::recorded_bridge_mac(given.record, bridge, attacher.netns());
        Recorded::By { bridge_mac, is_first_use: given.is_first_use }
    }

    /// Makes bridge and pair and brings both ends up; returns what was planned.
    fn attach_links(&mut self, result: Option<&CniResult>) -> Result<Plan> {
        let mut plan = self.make_links(result)?;
        self.asked_for.guard = self.config.mac_spoof_check;
        self.rules.guard(&self.config, self.new_links.ends.container_mac)?;
        self.machine.apply(std::mem::take(&mut plan.container_link))?;
        if result.is_none() {
            // Asked while the addresses are not there yet.
            self.machine.learn_container_index(&self.new_links.ends.container)?;
        }
        Ok(plan)
    }

    fn make_links(&mut self, result: Option<&CniResult>) -> Result<Plan> {
        for _ in 0..=MAX_PLAN_RETRIES {
            match self.observe() {
                // Removed as soon as it was found.
                Err(error) if error.raw_errno() == Some(Errno::ENODEV) => continue,
                done => done?,
            }
            let mut plan = self.plan(result)?;
            match self.machine.apply(std::mem::take(&mut plan.bridge)) {
                // Another ADD made it at the same moment, or one that failed removed it.
                Err(error) if error.is_exists() || error.is_not_found() => continue,
                done => done?,
            }
            match self.machine.apply(std::mem::take(&mut plan.pair)) {
                // Between two steps somebody removed the bridge, as an ADD that failed may.
                Err(error) if error.raw_errno() == Some(Errno::ENODEV) => {}
                Err(error) if error.raw_errno() == Some(Errno::EOPNOTSUPP) => {
                    self.remove_pair_without_bridge(error)?;
                }
                done => return done.map(|()| plan),
            }
        }
        let bridge = self.config.bridge.as_str();
        let message = format!("bridge {bridge:?} was made and removed again and again by others");
        Err(Error::new(Code::Conflict, message))
    }

    /// Removes the pair if the bridge was removed as soon as it was a port; `error` if that is not why a
    /// step that is for ports failed.
    fn remove_pair_without_bridge(&mut self, error: Error) -> Result<()> {
        let ends = &self.new_links.ends;
        match self.machine.host.find_link(&ends.host)? {
            Some(link) if link.mac == Some(ends.host_mac) && link.master.is_none() => {
                self.machine.host.remove_link(&ends.host)?;
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Addresses, rules, routes, forwarding.
    fn attach_network(&mut self, result: &CniResult, network: Network) -> Result<()> {
        let network = self.make_vlan_gateway(result, network)?;
        self.machine.apply(network.gateway)?;
        self.asked_for.masquerade = self.config.masquerade.is_some();
        self.rules.masquerade(&self.config, result)?;
        let Network { container, forwarding, announcement, resolv_conf, .. } = network;
        for operations in [container, forwarding, announcement, resolv_conf] {
            self.machine.apply(operations)?;
        }
        Ok(())
    }

    /// Makes the VLAN gateway interface; returns the plan for what is there then.
    fn make_vlan_gateway(&mut self, result: &CniResult, mut network: Network) -> Result<Network> {
        let mut retries = 0;
        loop {
            let operations: Vec<Operation> = std::mem::take(&mut network.vlan_gateway);
            match self.machine.apply(operations) {
                Ok(()) => return Ok(network),
                // Another ADD made it at the same moment.
                Err(error) if error.is_exists() && retries < MAX_PLAN_RETRIES => {
                    retries += 1;
                    self.observe()?;
                    network = self.plan(Some(result))?.network.unwrap_or_default();
                }
                Err(error) => return Err(error),
            }
        }
    }
}
