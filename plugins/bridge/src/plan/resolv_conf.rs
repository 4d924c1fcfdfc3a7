//! The resolv.conf of a named network namespace. Pure.

use std::path::PathBuf;

use cni_common::spec::Dns;
use cni_common::{Code, Error, Result};

use crate::operation::Operation;

/// Where a resolv.conf goes, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// Where it will be.
    pub path: PathBuf,
    /// Where it is until it is whole.
    pub unfinished: PathBuf,
    /// Its first line, which says whose it is.
    pub marker: String,
}

/// Writes the resolv.conf that `ip netns exec` puts in the place of the machine's.
pub(super) fn resolv_conf(file: &ResolvConf, dns: &Dns) -> Result<Operation> {
    let mut words = dns.nameservers.iter().chain(&dns.search).chain(&dns.options);
    let breaks = |word: &&String| word.contains(char::is_control);
    if let Some(word) = words.find(breaks).or(Some(&dns.domain).filter(breaks)) {
        let message = format!("dns: {word:?} holds a line break or another control character");
        return Err(
            Error::new(Code::InvalidConfig, message).with_details("\"netnsResolvConf\": true")
        );
    }
    let mut lines = vec![file.marker.clone()];
    if !dns.domain.is_empty() {
        lines.push(format!("domain {}", dns.domain));
    }
    if !dns.search.is_empty() {
        lines.push(format!("search {}", dns.search.join(" ")));
    }
    lines.extend(dns.nameservers.iter().map(|server| format!("nameserver {server}")));
    if !dns.options.is_empty() {
        lines.push(format!("options {}", dns.options.join(" ")));
    }
    lines.push(String::new());
    let (path, unfinished) = (file.path.clone(), file.unfinished.clone());
    Ok(Operation::WriteResolvConf { path, unfinished, text: lines.join("\n") })
}
