//! Bridges with an `ingressPolicy`: there while an attachment with a policy is on them.

use std::cell::RefCell;

use cni_common::Result;
use cni_common::nft::{Element, Operation, Value};
use cni_common::packet_filter::table::INET;
use cni_common::packet_filter::{ElementKey, element};
use cni_common::sys::nft::Nft;
use cni_common::undo::retry_once;

use crate::config::IngressPolicy;
use crate::plan;

/// Gives the bridge the policy, in place of another one. Called when the attachment is in the set of
/// those on the bridge already, so that no DEL of another one takes it away.
pub fn ensure(nft: &mut Nft, bridge: &str, policy: IngressPolicy) -> Result<()> {
    let wanted = plan::bridge_elements(bridge, policy);
    nft.change(|nft| {
        let mut changes = Vec::new();
        for (set, element) in &wanted {
            let found = nft.find_element(INET, set, &element.key)?;
            if found.as_ref() == Some(element) {
                continue;
            }
            let (name, key) = (set.name.clone(), element.key.clone());
            changes.extend(found.map(|_| Operation::DeleteElement(INET, name.clone(), key)));
            changes.push(Operation::CreateElement(INET, name, element.clone()));
        }
        let base = if changes.is_empty() { Vec::new() } else { plan::isolation_base() };
        Ok(base.into_iter().chain(changes).collect())
    })
}

/// Removes the bridges that no attachment with a policy is on, and with the last of them what keeps
/// bridges apart.
pub fn release(nft: &mut Nft) -> Result<()> {
    let sets = nft.list_sets(INET)?;
    if !sets.contains(&plan::bridges().name) {
        return Ok(());
    }
    let mut entries: Vec<ElementKey> = Vec::new();
    for set in [plan::bridges(), plan::within()] {
        let unused = |element: &Element| is_unused(&sets, element);
        entries.extend(element::search(nft, (INET, &set), usize::MAX, unused)?);
    }
    let looker = RefCell::new(Nft::open()?);
    // Again, as an ADD may have put an attachment there since.
    let is_unused_now = |element: &Element| {
        let sets = looker.try_borrow_mut().ok();
        let sets = sets.and_then(|mut nft| retry_once(|| nft.list_sets(INET)).ok());
        sets.is_some_and(|sets| is_unused(&sets, element))
    };
    element::remove(nft, &entries, &[plan::isolation_unit()], is_unused_now)
}

/// Whether the set of the attachments on the element's bridge is not there.
fn is_unused(sets: &[String], element: &Element) -> bool {
    let Some(Value::Name(bridge)) = element.key.first() else { return false };
    !sets.contains(&plan::on_bridge(bridge).name)
}
