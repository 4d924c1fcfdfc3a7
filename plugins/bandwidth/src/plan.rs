//! What has to be done for the configured limits, out of what is there. Pure.
//!
//! What a container receives is what the host interface sends: a token bucket stands at its root. What
//! it sends is what the host interface receives, and nothing waits there: a filter sends it by an ifb
//! device, at whose root the bucket stands. Where only some networks are limited, what the container
//! receives goes by such a device, too, since past the bucket at a root there is no way.

use cni_common::types::net::Link;
use cni_common::types::traffic::{
    Classifier, FoundFilter, Hook, Qdisc, ROOT_HANDLE, Selector, ShownBucket, Verdict,
};
use cni_common::{Code, Error, Result};
use ipnetwork::IpNetwork;

use crate::bucket::Shape;
use crate::config::{Config, Limit, Subnets};
use crate::operation::{Operation, Rule};

/// The places of this plugin's filters. All that chose no place come before them (the kernel gives such
/// filters 49152 and less): what is sent by an ifb device is seen by no filter after. Both hooks have
/// places of their own, as the kernel lists all u32 filters of a link that share one.
const FIRST_PRIORITY: u16 = 49_401;
const LAST_PRIORITY: u16 = 49_406;
/// What the kernel shows of a device that is gone.
const GONE: u32 = 0;

/// The places at a hook: for IPv4, IPv6 and all packets.
fn priorities(hook: Hook) -> [u16; 3] {
    let first = match hook {
        Hook::Sent => FIRST_PRIORITY,
        Hook::Received => FIRST_PRIORITY + 3,
    };
    [first, first + 1, first + 2]
}

/// What there is on the host of an attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The host interface.
    pub host: Link,
    /// What stands at its root, if it is not the kernel's own choice.
    pub root: Option<Qdisc>,
    /// What keeps its filters.
    pub classifier: Option<Classifier>,
    /// The filters of what it receives.
    pub received: Vec<FoundFilter>,
    /// The filters of what it sends.
    pub sent: Vec<FoundFilter>,
    /// The device for what the container sends.
    pub egress: Device,
    /// The device for what it receives.
    pub ingress: Device,
}

/// An ifb device of an attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The name that it has or is to have.
    pub name: String,
    /// What its alias is to say.
    pub alias: String,
    /// What is there.
    pub found: Option<FoundDevice>,
}

/// An ifb device that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundDevice {
    /// The link.
    pub link: Link,
    /// What stands at its root.
    pub root: Option<Qdisc>,
}

impl Device {
    /// Its index, if it is there.
    pub fn index(&self) -> Option<u32> {
        self.found.as_ref().map(|found| found.link.index)
    }
}

/// All operations, in their order: what may fail comes before what changes something that works.
pub fn plan(config: &Config, observed: &Observed) -> Result<Vec<Operation>> {
    let is_direct = config.subnets == Subnets::All;
    let directions = [
        Direction {
            device: &observed.egress,
            hook: Hook::Received,
            filters: &observed.received,
            limit: config.egress,
        },
        Direction {
            device: &observed.ingress,
            hook: Hook::Sent,
            filters: &observed.sent,
            limit: config.ingress.filter(|_| !is_direct),
        },
    ];
    let mut plan = Plan::new(config, &observed.host);
    let direct = config.ingress.filter(|_| is_direct);
    plan.root(&observed.host.name, observed.root.as_ref(), direct)?;
    for direction in &directions {
        plan.device(direction)?;
    }
    let is_replaced = plan.classifier(&directions, observed.classifier)?;
    for direction in &directions {
        if is_replaced || !direction.is_filtered(config) {
            plan.filters(direction, is_replaced);
        }
    }
    Ok([plan.creations, plan.filters, plan.changes, plan.removals].concat())
}

/// One way that packets take by a device.
struct Direction<'a> {
    device: &'a Device,
    hook: Hook,
    filters: &'a [FoundFilter],
    /// The limit, if packets are to take it.
    limit: Option<Limit>,
}

impl Direction<'_> {
    /// The filters that there are to be.
    fn rules(&self, config: &Config) -> Vec<Rule> {
        if self.limit.is_none() {
            return Vec::new();
        }
        let device = Some(self.device.name.clone());
        let [for_v4, for_v6, for_all] = priorities(self.hook);
        let of = |network: &IpNetwork, device: Option<String>| {
            let priority = if network.is_ipv4() { for_v4 } else { for_v6 };
            // The other one that the container talks to.
            let selector = match self.hook {
                Hook::Received => Selector::Destination(*network),
                Hook::Sent => Selector::Source(*network),
            };
            Rule { priority, selector, device }
        };
        let all = Rule { priority: for_all, selector: Selector::All, device: device.clone() };
        match &config.subnets {
            Subnets::All => vec![all],
            Subnets::Only(networks) => {
                networks.iter().map(|network| of(network, device.clone())).collect()
            }
            Subnets::Except(networks) => {
                networks.iter().map(|network| of(network, None)).chain([all]).collect()
            }
        }
    }

    /// The attachment's filters: at this plugin's places, or by the attachment's device.
    fn own_filters(&self) -> impl Iterator<Item = &FoundFilter> {
        let is_own = |filter: &&FoundFilter| is_own(filter, self.device.index());
        self.filters.iter().filter(is_own)
    }

    /// Whether the filters are as they are to be. One for all packets may have another place: the
    /// reference's has.
    fn is_filtered(&self, config: &Config) -> bool {
        let rules = self.rules(config);
        let found: Option<Vec<_>> = self.own_filters().map(FoundFilter::filter).collect();
        let Some(mut found) = found else { return false };
        if let ([rule], [filter]) = (rules.as_slice(), found.as_mut_slice())
            && rule.selector == Selector::All
        {
            filter.priority = rule.priority;
        }
        let is_of = |rule: &Rule, filter: &cni_common::types::traffic::Filter| {
            let verdict = match rule.device {
                None => Some(Verdict::Pass),
                Some(_) => self.device.index().map(Verdict::Redirect),
            };
            (rule.priority, rule.selector, verdict)
                == (filter.priority, filter.selector, Some(filter.verdict))
        };
        // Each has its own network, so that their order within a place means nothing.
        rules.len() == found.len()
            && rules.iter().all(|rule| found.iter().any(|filter| is_of(rule, filter)))
    }
}

/// Whether a filter is at one of this plugin's places, or sends packets by this device or by one that
/// is gone: those packets are lost, and nobody can want that.
pub fn is_own(filter: &FoundFilter, device: Option<u32>) -> bool {
    let is_by = |index| filter.redirects_to(index);
    is_at_own_place(filter) || device.is_some_and(is_by) || is_by(GONE)
}

/// Whether a filter is at one of this plugin's places. Nobody else's are there.
pub fn is_at_own_place(filter: &FoundFilter) -> bool {
    (FIRST_PRIORITY..=LAST_PRIORITY).contains(&filter.priority) && filter.kind == "u32"
}

/// The bucket of this plugin or the reference's at the root of a link.
pub fn own_root(root: &Qdisc) -> Option<ShownBucket> {
    root.bucket.filter(|_| root.handle == ROOT_HANDLE)
}

struct Plan<'a> {
    config: &'a Config,
    host: &'a Link,
    creations: Vec<Operation>,
    filters: Vec<Operation>,
    changes: Vec<Operation>,
    removals: Vec<Operation>,
}

impl<'a> Plan<'a> {
    fn new(config: &'a Config, host: &'a Link) -> Self {
        let [creations, filters, changes, removals] = [const { Vec::new() }; 4];
        Self { config, host, creations, filters, changes, removals }
    }

    /// Puts the limit's bucket at the root of a link, or takes one away that is there.
    fn root(&mut self, link: &str, found: Option<&Qdisc>, limit: Option<Limit>) -> Result<()> {
        let own = found.and_then(own_root);
        let link = link.to_owned();
        let Some(limit) = limit else {
            self.removals.extend(own.map(|former| Operation::RemoveRoot { link, former }));
            return Ok(());
        };
        if let (Some(found), None) = (found, own) {
            let message = format!("{link:?} has a queueing discipline already: {found}");
            return Err(Error::new(Code::Conflict, message));
        }
        let shape = Shape::of(&limit, self.config.latency, self.host.mtu);
        match own {
            Some(former) if shape.is(&former) => {}
            Some(_) => self.changes.push(Operation::SetRoot { link, shape, former: own }),
            None => self.creations.push(Operation::SetRoot { link, shape, former: None }),
        }
        Ok(())
    }

    fn device(&mut self, direction: &Direction<'_>) -> Result<()> {
        let Device { name, alias, found } = direction.device;
        let (name, alias, mtu) = (name.clone(), alias.clone(), self.host.mtu);
        let Some(limit) = direction.limit else {
            self.removals.extend(found.as_ref().map(|_| Operation::RemoveIfb { name }));
            return Ok(());
        };
        match found {
            None => {
                self.creations.push(Operation::CreateIfb { name: name.clone(), mtu });
                self.creations.push(Operation::SetAlias { name: name.clone(), alias });
                self.root(&name, None, Some(limit))
            }
            Some(found) => {
                let link = &found.link;
                if link.alias != alias {
                    self.creations.push(Operation::SetAlias { name: name.clone(), alias });
                }
                if link.mtu != mtu || !link.is_up {
                    let former = link.mtu;
                    self.creations.push(Operation::SetIfbUp { name: name.clone(), mtu, former });
                }
                self.root(&name, found.root.as_ref(), Some(limit))
            }
        }
    }

    /// Makes what keeps the filters, where some are to be added. `true` if the one that is there has to
    /// go before, and its filters with it.
    fn classifier(
        &mut self,
        directions: &[Direction<'_>; 2],
        found: Option<Classifier>,
    ) -> Result<bool> {
        let link = self.host.name.clone();
        let is_needed = |hook: Option<Hook>| {
            let mut wanted = directions.iter().filter(|one| one.limit.is_some());
            wanted.any(|one| hook.is_none_or(|hook| hook == one.hook))
        };
        match found {
            None if is_needed(None) => {
                self.creations.push(Operation::CreateClsact { link });
                Ok(false)
            }
            // It has no hook for what the link sends, and there can't be both.
            Some(kind @ Classifier::Ingress) if is_needed(Some(Hook::Sent)) => {
                if directions.iter().any(|one| one.own_filters().count() < one.filters.len()) {
                    let message =
                        format!("{link:?} has a queueing discipline ingress with filters already");
                    return Err(Error::new(Code::Conflict, message)
                        .with_details("limits of some subnets alone need clsact in its place"));
                }
                self.creations.push(Operation::RemoveClassifier { link: link.clone(), kind });
                self.creations.push(Operation::CreateClsact { link });
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// The filters of a direction, in place of those that are there unless they are gone.
    fn filters(&mut self, direction: &Direction<'_>, are_gone: bool) {
        let (link, hook) = (&self.host.name, direction.hook);
        if !are_gone {
            let own: Vec<FoundFilter> = direction.own_filters().cloned().collect();
            let removal = |filters| Operation::RemoveFilters { link: link.clone(), hook, filters };
            self.filters.extend(grouped(own).into_iter().map(removal));
        }
        let rules = direction.rules(self.config).into_iter();
        self.filters.extend(rules.map(|rule| Operation::AddFilter {
            link: link.clone(),
            hook,
            rule,
        }));
    }
}

/// Filters of one hook as they are removed: those at one of this plugin's places together, any other
/// one alone.
pub fn grouped(filters: Vec<FoundFilter>) -> Vec<Vec<FoundFilter>> {
    let mut groups: Vec<Vec<FoundFilter>> = Vec::new();
    for filter in filters {
        let is_beside = |one: &FoundFilter| is_at_own_place(one) && one.priority == filter.priority;
        match groups.iter_mut().find(|group| group.iter().all(is_beside)) {
            Some(group) => group.push(filter),
            None => groups.push(vec![filter]),
        }
    }
    groups
}
