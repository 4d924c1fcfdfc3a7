//! What an ADD changes of an interface, and which values it keeps for DEL. Pure.

use cni_common::types::LinkAttributes;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// What is to be set: what is configured and not so already.
    pub change: LinkAttributes,
    /// The values that the change replaces.
    pub replaced: LinkAttributes,
    /// The values that DEL restores.
    pub backup: LinkAttributes,
}

/// The plan for an interface that has `current` and shall have `wanted`. `kept` are the values that an
/// earlier ADD of the same attachment kept: they are from before anything was tuned, and stay. It may
/// have been another `tuning` of the same chain.
pub(crate) fn plan(
    wanted: &LinkAttributes,
    current: &LinkAttributes,
    kept: &LinkAttributes,
) -> Plan {
    let change = wanted.differing_from(current);
    Plan { replaced: current.only(&change), backup: kept.or(&current.only(wanted)), change }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mtu(mtu: u32) -> LinkAttributes {
        LinkAttributes { mtu: Some(mtu), ..LinkAttributes::default() }
    }

    fn with_queue(mut attributes: LinkAttributes, length: u32) -> LinkAttributes {
        attributes.tx_queue_length = Some(length);
        attributes
    }

    #[test]
    fn the_first_values_are_kept() {
        let current = with_queue(mtu(1500), 1000);
        let first = plan(&mtu(1400), &current, &LinkAttributes::default());
        assert_eq!(first, Plan { change: mtu(1400), replaced: mtu(1500), backup: mtu(1500) });
        let second = plan(&with_queue(mtu(1300), 7), &with_queue(mtu(1400), 1000), &first.backup);
        assert_eq!(second.replaced, with_queue(mtu(1400), 1000));
        assert_eq!(second.backup, with_queue(mtu(1500), 1000));
    }

    #[test]
    fn what_is_so_already_is_not_set() {
        let plan = plan(&mtu(1500), &with_queue(mtu(1500), 1000), &LinkAttributes::default());
        assert!(plan.change.is_empty() && plan.replaced.is_empty());
        assert_eq!(plan.backup, mtu(1500));
    }
}
