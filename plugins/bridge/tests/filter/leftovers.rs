//! What the reference plugin left: made by it where it is installed, else by `nft` in its words.

use causeway_bridge::filter::{masquerade, spoofcheck};
use cni_common::packet_filter::owner::Living;
use testsupport::Host;

use crate::world::{Owner, ruleset, run, with_valid};

const REFERENCE: &str = "/usr/lib/cni/bridge";

/// First 16 hex digits of the SHA-512 of: net, other, eth0:c1, eth0:c2.
fn masquerading(host: &Host) -> String {
    let hash = |text: &str| {
        let output = host.run(["sh", "-c", &format!("printf %s {text} | sha512sum")]);
        output[..16].to_owned()
    };
    let rule = |network: &str, container: &str| {
        let comment = format!(
            "{}-{}, net: {network}, if: eth0, id: {container}",
            hash(network),
            hash(&format!("eth0:{container}"))
        );
        format!("ip saddr == 10.88.0.5 ip daddr != 10.88.0.0/16 masquerade comment \"{comment}\"\n")
    };
    let rules = [rule("net", "c1"), rule("net", "c2"), rule("other", "c1")].concat();
    let text = format!(
        "table inet cni_plugins_masquerade {{\n chain masq_checks {{\n {rules} }}\n\
         chain postrouting {{\n type nat hook postrouting priority srcnat;\n \
         ip daddr != 224.0.0.0/4 goto masq_checks\n }}\n}}\n"
    );
    let file = host.temp_dir().join("reference.nft");
    std::fs::write(&file, text).unwrap();
    host.run(["nft", "-f", file.to_str().unwrap()]);
    ruleset(host)
}

#[test]
fn del_takes_the_references_nftables_rules_of_the_attachment() {
    let host = Host::new();
    assert_eq!(masquerading(&host).matches("masquerade comment").count(), 3);
    masquerade::remove(&Owner::new("net", "c1", "veth1").subject(), &[]).unwrap();
    let text = ruleset(&host);
    assert!(!text.contains("net: net, if: eth0, id: c1"), "{text}");
    assert_eq!(text.matches("masquerade comment").count(), 2, "{text}");
}

#[test]
fn gc_takes_the_references_stale_nftables_rules_of_the_network() {
    let host = Host::new();
    masquerading(&host);
    let network = "net".parse().unwrap();
    with_valid(&["c2"], |valid| {
        masquerade::gc(&network, (&Living::of(&network, valid), Some(valid)))
    })
    .unwrap();
    let text = ruleset(&host);
    assert!(text.contains("net: net, if: eth0, id: c2"), "{text}");
    assert!(text.contains("net: other, if: eth0, id: c1"), "{text}");
    assert_eq!(text.matches("masquerade comment").count(), 2, "{text}");
}

#[test]
fn del_takes_what_the_reference_itself_made() {
    if !std::path::Path::new(REFERENCE).exists() {
        return testsupport::not_run("the reference plugin is not installed in /usr/lib/cni");
    }
    let host = Host::new();
    let containers = ["c1", "c2"].map(|name| host.container(name));
    let data = host.temp_dir().join("leases");
    let config = format!(
        r#"{{"cniVersion":"1.0.0","name":"net","type":"bridge","bridge":"cni0","isGateway":true,
        "ipMasq":true,"macspoofchk":true,"ipam":{{"type":"host-local","dataDir":"{}",
        "ranges":[[{{"subnet":"10.88.0.0/16"}}],[{{"subnet":"fd88::/64"}}]]}}}}"#,
        data.display()
    );
    let file = host.temp_dir().join("config");
    std::fs::write(&file, config).unwrap();
    let add = |name: &str, path: &std::path::Path| {
        let line = format!(
            "CNI_COMMAND=ADD CNI_CONTAINERID={name} CNI_NETNS={} CNI_IFNAME=eth0 \
             CNI_PATH=/usr/lib/cni {REFERENCE} < {}",
            path.display(),
            file.display()
        );
        host.run(["sh", "-c", &line]);
    };
    add("c1", containers[0].path());
    let before = ruleset(&host);
    add("c2", containers[1].path());
    let text = ruleset(&host);
    assert!(text.contains("cni-br-iface-c2-eth0-mac") && text.contains("10.88.0.3"), "{text}");

    let owner = Owner::new("net", "c2", "veth2");
    masquerade::remove(&owner.subject(), &[]).unwrap();
    spoofcheck::remove(&owner.subject(), None).unwrap();
    let normal = |text: &str| {
        let words = text.split_whitespace();
        words.filter(|word| word.parse::<u64>().is_err()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(normal(&ruleset(&host)), normal(&before));
    assert!(run(&host, "iptables-save -t nat").contains("c1"));
}
