//! Setting sysctls, in both namespaces.

use cni_common::error::{Context, Error, Result};
use cni_common::log;
use cni_common::sys::sysctl::Folder;

use super::Machine;
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

    /// Sets all of `batch` in one visit to the namespace.
    pub(super) fn set_container_sysctls(&mut self, batch: &[Operation]) -> Result<()> {
        let sysctls = &mut self.container_sysctls;
        let mut visit = || -> Result<Vec<Undo>> {
            let sysctls = opened(sysctls)?;
            let mut undos = Vec::new();
            for operation in batch {
                log::debug(|| operation.to_string());
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
