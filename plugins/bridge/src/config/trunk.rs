//! `vlanTrunk`: the VLANs that pass a port with their tag. Pure.

use cni_common::spec::Object;
use cni_common::types::VlanId;
use cni_common::{Code, Error, Result};

/// VLANs from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trunk {
    /// The lowest.
    pub first: VlanId,
    /// The highest.
    pub last: VlanId,
}

/// Reads `vlanTrunk`; what overlaps or touches is joined, in ascending order.
pub(super) fn parse(keys: &Object<'_>) -> Result<Vec<Trunk>> {
    let mut found = Vec::new();
    for item in keys.list("vlanTrunk")? {
        let object = item.object()?;
        let fault = |what: &str| {
            Error::new(Code::InvalidConfig, what).with_details(format!(
                "{}: {}",
                item.path(),
                item.text()
            ))
        };
        let id = |key: &str| match object.integer(key)? {
            None => Ok(None),
            Some(number) => VlanId::new(number)
                .map(Some)
                .ok_or_else(|| fault(&format!("incorrect trunk {key} parameter"))),
        };
        match (id("minID")?, id("maxID")?) {
            (Some(first), Some(last)) if first > last => {
                return Err(fault("minID is greater than maxID in trunk parameter"));
            }
            (Some(first), Some(last)) => found.push(Trunk { first, last }),
            (Some(_), None) => {
                return Err(fault(
                    "minID and maxID should be configured simultaneously, maxID is missing",
                ));
            }
            (None, Some(_)) => {
                return Err(fault(
                    "minID and maxID should be configured simultaneously, minID is missing",
                ));
            }
            (None, None) => {}
        }
        found.extend(id("id")?.map(|id| Trunk { first: id, last: id }));
    }
    Ok(joined(found))
}

fn joined(mut found: Vec<Trunk>) -> Vec<Trunk> {
    found.sort_unstable();
    let mut joined: Vec<Trunk> = Vec::new();
    for next in found {
        match joined.last_mut() {
            Some(before) if next.first.get() <= before.last.get().saturating_add(1) => {
                before.last = before.last.max(next.last);
            }
            _ => joined.push(next),
        }
    }
    joined
}
