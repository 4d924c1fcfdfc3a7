//! A rule with what tries it, and the list of all of them.

use crate::checks::{
    add, chained, check, del, delegation, environment, errors, gc, ipam, result, version,
};
use crate::plugin::Role;
use crate::reply::Verdict;
use crate::spec::Levels;
use crate::stage::Stage;

/// A rule of the specification that binds plugins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check {
    /// What it is called in reports; it states the fact.
    pub(crate) name: &'static str,
    /// Where the rule stands, by the headings of 1.1.0 unless it says another version.
    pub(crate) section: &'static str,
    pub(crate) levels: Levels,
    pub(crate) roles: &'static [Role],
    pub(crate) run: fn(&Stage<'_>) -> Verdict,
}

pub(crate) const ALL: &[Role] = &[Role::Interface, Role::Loopback, Role::Chained, Role::Ipam];
pub(crate) const INTERFACE: &[Role] = &[Role::Interface];
pub(crate) const NOT_LOOPBACK: &[Role] = &[Role::Interface, Role::Chained, Role::Ipam];
pub(crate) const CHAINED: &[Role] = &[Role::Chained];
pub(crate) const IPAM: &[Role] = &[Role::Ipam];

/// Every rule, in the order of reports.
pub(crate) fn catalogue() -> impl Iterator<Item = &'static Check> {
    let all: [&[Check]; 11] = [
        &version::CHECKS,
        &environment::CHECKS,
        &errors::CHECKS,
        &add::CHECKS,
        &result::CHECKS,
        &chained::CHECKS,
        &ipam::CHECKS,
        &delegation::CHECKS,
        &check::CHECKS,
        &del::CHECKS,
        &gc::CHECKS,
    ];
    all.into_iter().flatten()
}
