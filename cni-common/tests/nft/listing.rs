//! What others have.

use cni_common::nft::{Family, Policy, Verdict};
use cni_common::sys::nft::Nft;
use testsupport::Host;

#[test]
fn a_chain_of_others_that_drops_is_named_with_its_rules() {
    let host = Host::new();
    let text = "table ip mine { chain pass { type filter hook forward priority 5; policy drop; \
                ip saddr 10.0.0.1 accept comment \"the friend\"; \
                tcp dport 22 jump more; drop; }; chain more { return; }; }; \
                table arp quiet { chain in { type filter hook input priority 0; }; }";
    host.run(["nft", text]);
    let mut nft = Nft::open().unwrap();
    let tables: Vec<_> = nft.list_tables().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(tables, ["ip mine", "arp quiet"]);
    let chains = nft.list_chains().unwrap();
    let names: Vec<_> =
        chains.iter().map(|chain| format!("{} {}", chain.table, chain.name)).collect();
    assert_eq!(names, ["ip mine pass", "ip mine more", "arp quiet in"]);
    let pass = &chains[0];
    let hook = pass.hook.as_ref().unwrap();
    assert_eq!((hook.kind.as_str(), hook.number, hook.priority), ("filter", 2, 5));
    assert_eq!(pass.policy, Some(Policy::Drop));
    assert_eq!((&chains[1].hook, chains[1].policy), (&None, None));
    assert_eq!(chains[2].table.family, Family::Arp);
    let rules = nft.list_rules_of(pass).unwrap();
    assert_eq!(rules[0].comment, "the friend");
    assert_eq!(rules[0].source(), Some("10.0.0.1".parse().unwrap()));
    assert_eq!(rules[1].target().as_deref(), Some("more"));
    assert_eq!(rules[2].verdict(), Some(Verdict::Drop));
    assert!(rules.iter().all(|rule| rule.handle > 0 && rule.table.name == "mine"));
}
