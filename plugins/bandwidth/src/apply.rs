//! Does operations, notes how each is undone, and undoes them: all or nothing.

use std::fmt;

use cni_common::skel::Made;
use cni_common::sys::TrafficControl;
use cni_common::sys::byte_lock::ByteLock;
use cni_common::sys::qdisc::Existing;
use cni_common::types::net::Link;
use cni_common::types::traffic::{Filter, FoundFilter, Hook, ShownBucket, TokenBucket, Verdict};
use cni_common::undo::Journal;
use cni_common::{Code, Error, Result, log};
use nix::errno::Errno;

use crate::observe::Sockets;
use crate::operation::{Operation, Rule};
use crate::plan::{Observed, is_at_own_place};

/// How a step is undone. Links are told by their indices, devices to be removed by their names.
#[derive(Clone, Debug)]
enum Undo {
    RemoveIfb(String),
    RestoreAlias(u32, String),
    RestoreMtu(u32, u32),
    RemoveRoot(u32),
    RestoreRoot(u32, ShownBucket, Existing),
    RemoveUnusedClsact(u32),
    RemoveFiltersAt(u32, Hook, u16),
    RestoreFilters(u32, Hook, Vec<FoundFilter>),
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemoveIfb(name) => write!(f, "remove {name}"),
            Self::RestoreAlias(index, _) => write!(f, "restore the alias of link {index}"),
            Self::RestoreMtu(index, mtu) => write!(f, "restore MTU {mtu} of link {index}"),
            Self::RemoveRoot(index) => write!(f, "remove the root queue of link {index}"),
            Self::RestoreRoot(index, ..) => write!(f, "restore the root queue of link {index}"),
            Self::RemoveUnusedClsact(index) => write!(f, "remove clsact of link {index}"),
            Self::RemoveFiltersAt(index, hook, priority) => {
                write!(f, "remove {hook} filters of link {index} at {priority}")
            }
            Self::RestoreFilters(index, hook, _) => {
                write!(f, "restore {hook} filters of link {index}")
            }
        }
    }
}

/// The host, and what was done to it so far.
pub(crate) struct Machine {
    sockets: Sockets,
    /// The links that operations are about.
    links: Vec<Link>,
    journal: Journal<Undo>,
    _lock: Option<ByteLock>,
}

impl Machine {
    /// Nothing done yet; `lock` is held until the end.
    pub(crate) fn new(sockets: Sockets, observed: &Observed, lock: Option<ByteLock>) -> Self {
        let devices = [&observed.egress, &observed.ingress];
        let devices = devices.into_iter().filter_map(|device| device.found.as_ref());
        let links = devices.map(|found| found.link.clone()).chain([observed.host.clone()]);
        Self { sockets, links: links.collect(), journal: Journal::default(), _lock: lock }
    }

    /// Does `operations` in order; stops at the first that fails.
    pub(crate) fn apply(&mut self, operations: &[Operation]) -> Result<()> {
        operations.iter().try_for_each(|operation| {
            log::step(
                || operation.to_string(),
                || self.apply_one(operation).map_err(|error| error.context(operation)),
            )
        })
    }

    /// A link that an operation was about.
    pub(crate) fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    fn index(&self, name: &str) -> Result<u32> {
        let link = self.link(name);
        link.map(|link| link.index).ok_or_else(|| Error::errno(Code::Kernel, Errno::ENODEV))
    }

    fn apply_one(&mut self, operation: &Operation) -> Result<()> {
        match operation {
            Operation::CreateIfb { name, mtu } => self.create_ifb(name, *mtu),
            Operation::SetAlias { name, alias } => {
                let index = self.index(name)?;
                let former = self.link(name).map(|link| link.alias.clone()).unwrap_or_default();
                let set = self.sockets.host.set_alias(index, alias);
                self.noted(set, Undo::RestoreAlias(index, former))
            }
            Operation::SetIfbUp { name, mtu, former } => {
                let index = self.index(name)?;
                let set = self.sockets.host.set_mtu_and_up(index, *mtu);
                self.noted(set, Undo::RestoreMtu(index, *former))
            }
            Operation::SetRoot { link, shape, former } => {
                self.set_root(link, &shape.bucket, former.as_ref())
            }
            Operation::RemoveRoot { link, former } => {
                let index = self.index(link)?;
                let removed = self.sockets.traffic.remove_root(index);
                self.noted(removed, Undo::RestoreRoot(index, *former, Existing::Refuse))
            }
            Operation::CreateClsact { link } => self.create_clsact(link),
            Operation::RemoveClassifier { link, .. } => {
                let index = self.index(link)?;
                self.sockets.traffic.remove_classifier(index)
            }
            Operation::AddFilter { link, hook, rule } => self.add_filter(link, *hook, rule),
            Operation::RemoveFilters { link, hook, filters } => {
                let index = self.index(link)?;
                let removed = remove_filters(&mut self.sockets.traffic, (index, *hook), filters);
                self.noted(removed, Undo::RestoreFilters(index, *hook, filters.clone()))
            }
            Operation::RemoveIfb { name } => {
                self.sockets.host.remove_link(name).map(|_was_there| ())
            }
        }
    }

    /// Notes how a step is undone. Anything but the kernel's own refusal leaves open whether it was done.
    fn noted(&mut self, done: Result<()>, undo: Undo) -> Result<()> {
        if !done.as_ref().is_err_and(|error| error.is(Code::Kernel)) {
            self.journal.note(undo);
        }
        done
    }

    fn create_ifb(&mut self, name: &str, mtu: u32) -> Result<()> {
        let created = self.sockets.host.create_ifb(name, mtu);
        self.noted(created, Undo::RemoveIfb(name.to_owned()))?;
        let link = self.sockets.host.find_link(name)?;
        self.links.push(link.ok_or_else(|| Error::errno(Code::Kernel, Errno::ENODEV))?);
        Ok(())
    }

    fn set_root(
        &mut self,
        link: &str,
        bucket: &TokenBucket,
        former: Option<&ShownBucket>,
    ) -> Result<()> {
        let index = self.index(link)?;
        let existing = if former.is_some() { Existing::Change } else { Existing::Refuse };
        let set = self.sockets.traffic.set_root(index, bucket, existing);
        let set = set.map_err(|error| lacking(error, "tbf (module sch_tbf)"));
        let undo = match former {
            Some(former) => Undo::RestoreRoot(index, *former, Existing::Change),
            None => Undo::RemoveRoot(index),
        };
        self.noted(set, undo)
    }

    fn create_clsact(&mut self, link: &str) -> Result<()> {
        let index = self.index(link)?;
        match self.sockets.traffic.create_clsact(index) {
            // Somebody else was quicker.
            Err(error) if error.is_exists() => Ok(()),
            created => {
                let created =
                    created.map_err(|error| lacking(error, "clsact (module sch_ingress)"));
                self.noted(created, Undo::RemoveUnusedClsact(index))
            }
        }
    }

    fn add_filter(&mut self, link: &str, hook: Hook, rule: &Rule) -> Result<()> {
        let index = self.index(link)?;
        let verdict = match &rule.device {
            Some(device) => Verdict::Redirect(self.index(device)?),
            None => Verdict::Pass,
        };
        let filter = Filter { priority: rule.priority, selector: rule.selector, verdict };
        let added = self.sockets.traffic.add_filter(index, hook, &filter);
        let lacking = |error| lacking(error, "u32 or mirred (modules cls_u32, act_mirred)");
        let undo = Undo::RemoveFiltersAt(index, hook, filter.priority);
        self.noted(added.map_err(lacking), undo)
    }
}

/// Removes filters of one priority at a hook of the link with this index.
pub(crate) fn remove_filters(
    traffic: &mut TrafficControl,
    (index, hook): (u32, Hook),
    filters: &[FoundFilter],
) -> Result<()> {
    match filters {
        [] => Ok(()),
        // All at the place, as the kernel keeps a place whose filters are removed one by one.
        [first, ..] if is_at_own_place(first) => traffic.remove_filters(index, hook, first),
        others => others.iter().try_for_each(|one| traffic.remove_filter(index, hook, one)),
    }
}

/// The kernel says that a kind is unknown as it says that a thing is missing.
fn lacking(error: Error, what: &str) -> Error {
    match error.raw_errno() {
        Some(Errno::ENOENT | Errno::EOPNOTSUPP) => {
            error.with_details(format!("the kernel lacks {what}"))
        }
        _ => error,
    }
}

impl Made for Machine {
    fn rollback(&mut self) -> Vec<Error> {
        let Self { sockets, journal, .. } = self;
        journal.rollback(|step| {
            let doing = step.to_string();
            log::step(
                || format!("undo: {doing}"),
                || undo(sockets, step).map_err(|error| error.context(&doing)),
            )
        })
    }
}

fn undo(sockets: &mut Sockets, step: Undo) -> Result<()> {
    let Sockets { host, traffic } = sockets;
    match step {
        Undo::RemoveIfb(name) => host.remove_link(&name).map(|_was_there| ()),
        Undo::RestoreAlias(index, alias) => host.set_alias(index, &alias),
        Undo::RestoreMtu(index, mtu) => host.set_mtu_and_up(index, mtu),
        Undo::RemoveRoot(index) => traffic.remove_root(index),
        Undo::RestoreRoot(index, former, existing) => {
            match traffic.set_root(index, &former.bucket(), existing) {
                // It was not removed.
                Err(error) if error.is_exists() => Ok(()),
                restored => restored,
            }
        }
        Undo::RemoveUnusedClsact(index) => {
            for hook in [Hook::Received, Hook::Sent] {
                // Somebody else's by now.
                if !traffic.list_filters(index, hook)?.is_empty() {
                    return Ok(());
                }
            }
            traffic.remove_classifier(index)
        }
        Undo::RemoveFiltersAt(index, hook, priority) => {
            let mut found = traffic.list_filters(index, hook)?;
            found.retain(|found| found.priority == priority);
            remove_filters(traffic, (index, hook), &found)
        }
        Undo::RestoreFilters(index, hook, filters) => {
            let found = traffic.list_filters(index, hook)?;
            let missing = filters.iter().filter(|filter| !found.contains(filter));
            let mut missing = missing.filter_map(FoundFilter::filter);
            missing.try_for_each(|filter| traffic.add_filter(index, hook, &filter))
        }
    }
}
