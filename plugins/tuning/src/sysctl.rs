//! The names of sysctls, as configurations spell them. Pure.

use cni_common::types::IfName;
use cni_common::{Code, Error, Result};

/// A sysctl that is to have a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl {
    /// The key as it is written in the configuration.
    pub key: String,
    /// The path below `/proc/sys/net`.
    pub path: String,
    /// What is written there.
    pub value: String,
}

/// The path below `/proc/sys/net` of the sysctl that `key` names.
///
/// Dots separate the words of a name and so may slashes. A name whose first separator is a slash is a
/// path, in which dots are part of the words: `net/ipv4/conf/eth0.5/arp_notify`. The first `IFNAME`
/// stands for the interface. Whatever is not below `net` is refused: it would be the host's.
pub(crate) fn path_of(key: &str, ifname: &IfName) -> Result<String> {
    let slash_first = key.find(['.', '/']).is_some_and(|at| key.get(at..=at) == Some("/"));
    let spelled = if slash_first { key.to_owned() } else { key.replace('.', "/") };
    let spelled = spelled.replacen("IFNAME", ifname.as_str(), 1);
    let mut words = vec!["proc", "sys"];
    for word in spelled.split('/') {
        match word {
            "" | "." => {}
            ".." => drop(words.pop()),
            word => words.push(word),
        }
    }
    match words.as_slice() {
        ["proc", "sys", "net", below @ ..] if !below.is_empty() => Ok(below.join("/")),
        _ => Err(Error::new(Code::InvalidConfig, format!("invalid net sysctl key: {spelled:?}"))
            .with_details(format!("sysctl {key:?}"))),
    }
}

/// Whether two values are the same to the kernel, which separates numbers by tabs.
pub(crate) fn is_same_value(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_path_below_net() {
        let path = |key: &str, ifname: &str| path_of(key, &ifname.parse().unwrap()).unwrap();
        assert_eq!(path("net.core.somaxconn", "eth0"), "core/somaxconn");
        assert_eq!(path("net/core/somaxconn", "eth0"), "core/somaxconn");
        assert_eq!(
            path("net.ipv4.conf.IFNAME.arp_notify", "eth0.5"),
            "ipv4/conf/eth0.5/arp_notify"
        );
        assert_eq!(path("net.ipv4/conf.all.x", "eth0"), "ipv4/conf/all/x");
        assert_eq!(path("net/ipv4/conf/eth0.5/arp_notify", "eth0"), "ipv4/conf/eth0.5/arp_notify");
        assert_eq!(path("/net//ipv4/./x", "eth0"), "ipv4/x");
        assert_eq!(path("net/IFNAME/IFNAME", "eth0"), "eth0/IFNAME");
    }

    #[test]
    fn what_is_not_below_net_is_refused() {
        for (key, shown) in [
            ("kernel.pid_max", "kernel/pid_max"),
            ("net", "net"),
            ("", ""),
            ("net/../kernel/pid_max", "net/../kernel/pid_max"),
            ("net/..", "net/.."),
            ("network.x", "network/x"),
            ("../../etc/passwd", "//////etc/passwd"),
            ("/../../etc/passwd", "/../../etc/passwd"),
        ] {
            let error = path_of(key, &"eth0".parse().unwrap()).unwrap_err();
            assert!(error.is(Code::InvalidConfig));
            assert_eq!(error.message(), format!("invalid net sysctl key: {shown:?}"), "{key}");
        }
    }

    #[test]
    fn the_kernels_tabs_are_a_persons_blanks() {
        assert!(is_same_value("4096 131072  6291456", "4096\t131072\t6291456\n"));
        assert!(!is_same_value("1", "11") && !is_same_value("1 2", "1"));
    }
}
