//! Setting sysctls, in both namespaces.

use cni_common::error::{Context, Error, Result};
use cni_common::log;
use cni_common::sys::sysctl::Folder;

use super::{Machine, wrong_operation};
use crate::operation::{Operation, SharedUndo, Undo};

impl Machine {
    /// Sets a sysctl of the plugin's own namespace if that can be done.
    pub(super) fn set_host_sysctl(&mut self, name: &str, value: &str) {
        let set = opened(&mut self.host_sysctls).and_then(|folder| folder.set(name, value));
        set.unwrap_or_else(pass_over);
    }

    pub(super) fn enable_forwarding(&mut self, name: &'static str) -> Result<()> {
        let sysctls = opened(&mut self.host_sysctls)?;
        match sysctls.find(name)?.as_deref() {
            Some("1" | "2") => Ok(()),
            _ => {
                sysctls.set(name, "1").context("enable forwarding").map_err(|error| {
                    let key = name.replace('/', ".");
                    error.with_details(format!("set net.{key} to 1 on the host beforehand"))
                })?;
                // With a bridge that was there before, forwarding may be somebody else's wish too.
                let made_bridge = self
                    .journal
                    .steps()
                    .any(|undo| matches!(undo, Undo::Shared(SharedUndo::RemoveBridge(_))));
                if made_bridge {
                    self.journal.note(Undo::Shared(SharedUndo::DisableForwarding(name)));
                }
                Ok(())
            }
        }
    }

    /// Does both: `sysctl` is the `arp_notify` of the interface that `up` brings up.
    pub(super) fn set_container_up(&mut self, sysctl: &Operation, up: &Operation) -> Result<()> {
        let Operation::ContainerUp { name } = up else { return Err(wrong_operation(up)) };
        let container = &mut self.container;
        let mut set = || container.set_link_up_with_arp_notify(name);
        log::step(|| format!("{sysctl}; {up}"), || set().with_context(|| up.to_string()))
    }

    /// Sets all of `batch` in one visit to the namespace.
    pub(super) fn set_container_sysctls(&mut self, batch: &[Operation]) -> Result<()> {
        let all = || batch.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        log::step(all, || self.write_container_sysctls(batch))
    }

    fn write_container_sysctls(&mut self, batch: &[Operation]) -> Result<()> {
        let sysctls = &mut self.container_sysctls;
        let mut visit = || -> Result<Vec<Undo>> {
            let sysctls = opened(sysctls)?;
            let mut undos = Vec::new();
            for operation in batch {
                let Operation::Sysctl { name, value, .. } = operation else { continue };
                // Everything of the container interface goes with it; `lo` stays.
                let before =
                    if name.contains("/lo/") { sysctls.find(name).ok().flatten() } else { None };
                match (sysctls.set(name, value), before) {
                    (Ok(()), Some(before)) if before != *value => {
                        undos.push(Undo::RestoreSysctl(name.clone(), before));
                    }
                    (Ok(()), _) => {}
                    (Err(error), _) => pass_over(error),
                }
            }
            Ok(undos)
        };
        match self.netns.run(&mut visit)? {
            Ok(undos) => undos.into_iter().for_each(|undo| self.journal.note(undo)),
            Err(error) => pass_over(error),
        }
        Ok(())
    }
}

/// Takes the container interface's `arp_notify` out of `batch` if that interface comes up `next`: one message
/// does both, without a look into `/proc/sys`, where the entries of all namespaces are gone over.
pub(super) fn split_for_up(
    batch: Vec<Operation>,
    next: Option<&Operation>,
) -> (Option<Operation>, Vec<Operation>) {
    let Some(Operation::ContainerUp { name: link }) = next else { return (None, batch) };
    let key = format!("ipv4/conf/{link}/arp_notify");
    let is_it = |operation: &Operation| matches!(operation, Operation::Sysctl { name, value: "1", .. } if *name == key);
    let (mut with_up, others): (Vec<_>, Vec<_>) = batch.into_iter().partition(is_it);
    (with_up.pop(), others)
}

/// The folder, opened where it is not yet: as the thread's present namespace sees it.
fn opened(folder: &mut Option<Folder>) -> Result<&Folder> {
    match folder {
        Some(folder) => Ok(folder),
        none => Ok(none.insert(Folder::open()?)),
    }
}

/// Says in the log why a value could not be set: an attachment works without, or what it then can't do
/// fails by itself.
fn pass_over(error: Error) {
    log::debug(|| format!("passed over: {error}"));
}
