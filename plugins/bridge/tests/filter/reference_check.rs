//! CHECK of what the reference made: complete rules pass, incomplete ones are named.

use causeway_bridge::filter::masquerade::{self, Backend};
use causeway_bridge::filter::spoofcheck;
use cni_common::types::Mac;
use testsupport::{Container, Host};

use crate::world::{Owner, networks, run};

const REFERENCE: &str = "/usr/lib/cni/bridge";
const TWO: [&str; 2] = ["10.88.0.5/16", "fd88::5/64"];

fn hash(host: &Host, text: &str) -> String {
    host.run(["sh", "-c", &format!("printf %s {text} | sha512sum")])[..16].to_owned()
}

/// The layout of release 1.9.1, for attachment net/c1/eth0 with both addresses.
fn masquerading(host: &Host) {
    let comment =
        format!("{}-{}, net: net, if: eth0, id: c1", hash(host, "net"), hash(host, "eth0:c1"));
    let text = format!(
        "table inet cni_plugins_masquerade {{\n\
         chain masq_checks {{\n\
         ip saddr == 10.88.0.5 ip daddr != 10.88.0.0/16 masquerade comment \"{comment}\"\n\
         ip6 saddr == fd88::5 ip6 daddr != fd88::/64 masquerade comment \"{comment}\"\n}}\n\
         chain postrouting {{\n type nat hook postrouting priority srcnat;\n\
         ip daddr == 224.0.0.0/4 return\n ip6 daddr == ff00::/8 return\n\
         goto masq_checks\n}}\n}}\n"
    );
    let file = host.temp_dir().join("reference.nft");
    std::fs::write(&file, text).unwrap();
    host.run(["nft", "-f", file.to_str().unwrap()]);
}

/// An ADD by the reference, whose MAC address is given.
fn add_by_reference(host: &Host, container: &Container) -> Mac {
    let config = format!(
        r#"{{"cniVersion":"1.0.0","name":"net","type":"bridge","bridge":"cni0","isGateway":true,
        "ipMasq":true,"macspoofchk":true,"ipam":{{"type":"host-local","dataDir":"{}",
        "ranges":[[{{"subnet":"10.88.0.0/16"}}],[{{"subnet":"fd88::/64"}}]]}}}}"#,
        host.temp_dir().join("leases").display()
    );
    let file = host.temp_dir().join("config");
    std::fs::write(&file, config).unwrap();
    let line = format!(
        "CNI_COMMAND=ADD CNI_CONTAINERID=c1 CNI_NETNS={} CNI_IFNAME=eth0 CNI_PATH=/usr/lib/cni \
         {REFERENCE} < {}",
        container.path().display(),
        file.display()
    );
    host.run(["sh", "-c", &line]);
    let link = container.run(["ip", "-o", "link", "show", "eth0"]);
    link.split("link/ether ").nth(1).unwrap()[..17].parse().unwrap()
}

#[test]
fn the_references_masquerading_on_nftables_passes_when_it_is_complete() {
    let host = Host::new();
    let (owner, addresses) = (Owner::new("net", "c1", "veth1"), networks(&TWO));
    masquerading(&host);
    for backend in [Backend::Nftables, Backend::Automatic] {
        masquerade::check(backend, &owner.subject(), &addresses).unwrap();
    }
    // Another container's own rules beside it change nothing.
    let other = Owner::new("net", "c2", "veth2");
    masquerade::ensure(Backend::Nftables, &other.subject(), &networks(&["10.88.0.6/16"])).unwrap();
    masquerade::check(Backend::Automatic, &owner.subject(), &addresses).unwrap();
    // Nor do they stand for those of a container that has none.
    let third = Owner::new("net", "c3", "veth3");
    masquerade::check(Backend::Automatic, &third.subject(), &addresses).unwrap_err();
}

#[test]
fn what_the_references_masquerading_on_nftables_lacks_is_named() {
    let table = "inet cni_plugins_masquerade";
    for (line, fault) in [
        (
            format!("nft flush chain {table} postrouting"),
            "postrouting: no rule leads to masq_checks",
        ),
        (
            format!("nft flush chain {table} postrouting; nft delete chain {table} postrouting"),
            "chain inet cni_plugins_masquerade postrouting: missing",
        ),
        (
            format!(
                "nft delete rule {table} masq_checks handle \
                 $(nft -a list chain {table} masq_checks | sed -n 's/.*fd88::5.*handle //p')"
            ),
            "masq_checks: the rule for fd88::5 is missing",
        ),
    ] {
        let host = Host::new();
        masquerading(&host);
        host.run(["sh", "-c", &line]);
        for backend in [Backend::Nftables, Backend::Automatic] {
            let owner = Owner::new("net", "c1", "veth1");
            let error = masquerade::check(backend, &owner.subject(), &networks(&TWO)).unwrap_err();
            let text = format!("{error}");
            assert!(text.contains("by the reference plugin") && text.contains(fault), "{text}");
        }
    }
}

#[test]
fn what_the_reference_itself_made_passes_and_what_it_then_lacks_is_named() {
    if !std::path::Path::new(REFERENCE).exists() {
        return testsupport::not_run("the reference plugin is not installed in /usr/lib/cni");
    }
    let addresses = networks(&["10.88.0.2/16", "fd88::2/64"]);
    let owner = Owner::new("net", "c1", "veth1");
    let chain = "bridge nat cni-br-iface-c1-eth0";
    for (line, fault) in [
        ("true".to_owned(), ""),
        ("nft flush chain bridge nat PREROUTING".to_owned(), "PREROUTING: no rule leads to"),
        (format!("nft flush chain {chain}"), "the jump to cni-br-iface-c1-eth0-mac is missing"),
        (format!("nft flush chain {chain}-mac"), "the rule \"drop\" is missing"),
        (
            format!("nft flush chain {chain}-mac; nft add rule {chain}-mac drop"),
            "return\" is missing",
        ),
        (
            format!("nft flush chain {chain}; nft delete chain {chain}-mac"),
            "chain bridge nat cni-br-iface-c1-eth0-mac: missing",
        ),
    ] {
        let host = Host::new();
        let container = host.container("c1");
        let mac = add_by_reference(&host, &container);
        host.run(["sh", "-c", &line]);
        masquerade::check(Backend::Automatic, &owner.subject(), &addresses).unwrap();
        match spoofcheck::check(&owner.subject(), mac) {
            Ok(()) => assert_eq!(fault, ""),
            Err(error) => {
                let text = error.to_string();
                assert!(!fault.is_empty() && text.contains(fault), "{fault}: {text}");
                assert!(text.contains("by the reference plugin"), "{text}");
            }
        }
        run(&host, "iptables -t nat -F POSTROUTING");
        let error = masquerade::check(Backend::Automatic, &owner.subject(), &addresses);
        let text = error.unwrap_err().to_string();
        assert!(text.contains("iptables table nat: the rule \"-A POSTROUTING"), "{text}");
    }
}
