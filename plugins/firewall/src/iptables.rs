//! Backend `iptables`: the reference's rules, in one change of each protocol's table.

use cni_common::packet_filter::iptables;
use cni_common::sys::iptables::Protocol;
use cni_common::{Context, Result};

use crate::config::{Config, IngressPolicy};
use crate::subject::Subject;
use crate::text::{self, TABLE, Wanted};

/// Makes the rules.
pub fn ensure(subject: &Subject, config: &Config) -> Result<()> {
    let doing = || format!("let pass what is forwarded for {}", subject.attachment);
    for protocol in subject.protocols() {
        let wanted = wanted(subject, protocol, config);
        let plan = |save: &str| Ok(Some(wanted.changes(save)).filter(|input| !input.is_empty()));
        let save = iptables::save(protocol, TABLE)?;
        iptables::change((protocol, TABLE), save, plan).with_context(doing)?;
    }
    Ok(())
}

/// What is missing, in the reference's words.
pub fn faults(subject: &Subject, config: &Config) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for protocol in subject.protocols() {
        let save = iptables::save(protocol, TABLE)?;
        faults.extend(wanted(subject, protocol, config).faults(&save));
    }
    Ok(faults)
}

fn wanted<'a>(subject: &'a Subject, protocol: Protocol, config: &'a Config) -> Wanted<'a> {
    let is_four = protocol == Protocol::Ipv4;
    let addresses = subject.addresses.iter().filter(|ip| ip.is_ipv4() == is_four);
    let bridge = subject.bridge.as_ref().filter(|_| config.policy != IngressPolicy::Open);
    Wanted {
        admin: &config.admin_chain,
        rules: addresses.flat_map(|ip| text::pair(*ip)).collect(),
        policy: bridge.map(|bridge| (bridge.as_str(), config.policy)),
    }
}
