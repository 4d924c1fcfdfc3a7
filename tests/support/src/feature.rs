//! What this machine's kernel can do, asked of the kernel itself; and the tests that could not run.
//!
//! Every question is asked in a namespace of its own. A test that needs what is missing says so:
//!
//! ```no_run
//! # use testsupport::{feature, not_run};
//! if !feature::vlan_filtering() {
//!     return not_run("vlan: this kernel has no VLAN filtering");
//! }
//! ```

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::thread;

use crate::namespace;
use crate::process;

/// Records that the calling test could not run, and why: a line in the file that
/// `CAUSEWAY_NOT_RUN` names (`scripts/test` prints it at the end), and on stderr. With
/// `CAUSEWAY_REQUIRE_ALL=1` the test fails instead.
pub fn not_run(reason: &str) {
    let test = thread::current().name().unwrap_or("unnamed test").to_owned();
    let line = format!("not run: {test}: {reason}\n");
    assert!(env::var_os("CAUSEWAY_REQUIRE_ALL").is_none_or(|value| value != "1"), "{line}");
    // Past cargo's capturing, which shows nothing of a test that does not fail.
    std::io::stderr().write_all(line.as_bytes()).expect("write to stderr");
    if let Some(path) = env::var_os("CAUSEWAY_NOT_RUN") {
        let file = OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// Bridges with VLAN filtering.
pub fn vlan_filtering() -> bool {
    works(&["ip link add probe0 type bridge vlan_filtering 1"])
}

/// IPv6 at all (a kernel may be started with `ipv6.disable=1`).
pub fn ipv6() -> bool {
    works(&["ip link set lo up", "ip address add fd00::1/64 dev lo"])
}

/// Masquerading by nf_tables in a table of family `inet`.
pub fn nftables_masquerade() -> bool {
    works(&[
        "nft add table inet probe",
        "nft add chain inet probe nat { type nat hook postrouting priority 100 ; }",
        "nft add rule inet probe nat masquerade",
    ])
}

/// nf_tables in a table of family `bridge`.
pub fn nftables_bridge() -> bool {
    works(&[
        "nft add table bridge probe",
        "nft add chain bridge probe input { type filter hook prerouting priority -300 ; }",
        "nft add rule bridge probe input iifname lo ether saddr 02:00:00:00:00:01 accept",
    ])
}

/// Masquerading by the `iptables` program, whichever backend it has.
pub fn iptables_masquerade() -> bool {
    works(&["iptables -w -t nat -A POSTROUTING -s 10.0.0.0/8 -m comment --comment x -j MASQUERADE"])
}

/// Whether all `lines` succeed, one after the other, in a new network namespace.
fn works(lines: &[&str]) -> bool {
    let succeeds = |line: &&str| {
        let words: Vec<&str> = line.split(' ').collect();
        process::finish(&mut process::command(&words), b"", process::LIMIT).status == Some(0)
    };
    namespace::inside_new(|| lines.iter().all(succeeds))
}
