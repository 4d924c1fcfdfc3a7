//! Network lists that can't work here.

use super::{Finding, Seen};
use crate::plugins;

/// Looks at the folder of lists.
pub(super) fn look(seen: &Seen, findings: &mut Vec<Finding>) {
    for (path, fault) in &seen.networks.faults {
        findings.push(Finding {
            kind: "unusable-list",
            network: String::new(),
            subject: path.display().to_string(),
            fault: fault.clone().into(),
            means: "runtimes pass it over, or take another network in its place",
            mend: format!("correct or remove {}", path.display()),
        });
    }
    for network in seen.networks.all.values() {
        let Some((path, list)) = &network.list else { continue };
        let mut faults: Vec<String> = network.faults.iter().map(ToString::to_string).collect();
        for plugin in list.plugins() {
            let ipam = plugin.ipam_type();
            for kind in std::iter::once(plugin.kind()).chain(ipam) {
                if plugins::find(kind).is_none() {
                    let folders: Vec<String> =
                        plugins::folders().iter().map(|one| one.display().to_string()).collect();
                    faults.push(format!("no plugin {kind:?} in {}", folders.join(":")));
                }
            }
        }
        faults.dedup();
        if !faults.is_empty() {
            findings.push(Finding {
                kind: "unusable-list",
                network: network.name.to_string(),
                subject: path.display().to_string(),
                fault: faults.join("; ").into(),
                means: "every ADD of the network fails",
                mend: format!("correct {}, or install what it names", path.display()),
            });
        }
    }
}
