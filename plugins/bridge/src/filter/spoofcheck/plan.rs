//! What the rule set should hold for a port whose frames are checked. Pure.
//!
//! Table `bridge causeway`: the ports that are guarded, the sender each may use, and a base chain
//! of two rules for all of them.

use cni_common::nft::{
    BaseChain, ChainType, Element, Field, Hook, KeyType, Operation, Policy, Presence, Rule, Set,
    Statement, Value, Verdict,
};
use cni_common::packet_filter::table::{self, BRIDGE as TABLE};
use cni_common::packet_filter::{Unit, Wanted, owner};
use cni_common::types::Mac;

use crate::filter::Subject;

/// `NF_BR_PRI_NAT_DST_BRIDGED`: before any chain that others usually have there.
const PRIORITY: i32 = -300;

/// The ports that are guarded.
pub(super) fn ports() -> Set {
    Set::new("guarded", &[KeyType::Ifname], "bridge ports whose frames are checked")
}

/// What may come in by them.
pub(super) fn senders() -> Set {
    let key = [KeyType::Ifname, KeyType::Ether];
    Set::new("senders", &key, "port . the container's own MAC address")
}

/// The chain.
pub(super) fn chain() -> BaseChain {
    BaseChain {
        name: "spoofcheck".to_owned(),
        kind: ChainType::Filter,
        hook: Hook::Prerouting,
        priority: PRIORITY,
        policy: Policy::Accept,
        comment: "guarded ports may send from the container's own MAC address only".to_owned(),
    }
}

/// Its rules.
pub(super) fn rules() -> [Rule; 2] {
    let drop = || Statement::Verdict(Verdict::Drop);
    let guarded = Statement::Lookup(vec![Field::InputName], Presence::In, ports().name);
    let foreign =
        |field| Statement::Lookup(vec![Field::InputName, field], Presence::NotIn, senders().name);
    [
        Rule {
            statements: vec![guarded.clone(), foreign(Field::EtherSource), drop()],
            comment: "frames from another address".to_owned(),
        },
        Rule {
            statements: vec![guarded, Statement::Arp, foreign(Field::ArpSender), drop()],
            comment: "ARP that speaks for another address".to_owned(),
        },
    ]
}

/// What is removed with the last guarded port.
pub(super) fn unit() -> Unit {
    Unit { table: TABLE, chains: vec![chain().name], sets: vec![ports(), senders()] }
}

/// The elements of a port.
pub(super) fn port_key(subject: &Subject<'_>) -> Vec<Value> {
    vec![Value::Name(subject.port.to_owned())]
}

/// The key of a port's allowed sender.
pub(super) fn sender_key(subject: &Subject<'_>, mac: Mac) -> Vec<Value> {
    vec![Value::Name(subject.port.to_owned()), Value::Mac(mac)]
}

/// All that is to be there for the attachment.
pub(super) fn wanted(subject: &Subject<'_>, mac: Mac) -> Wanted {
    let comment = owner::comment(subject.attachment);
    let name = chain().name;
    let mut base = vec![
        table::add_bridge(),
        Operation::AddSet(TABLE, ports()),
        Operation::AddSet(TABLE, senders()),
        Operation::AddChain(TABLE, chain()),
        Operation::FlushChain(TABLE, name.clone()),
    ];
    base.extend(rules().map(|rule| Operation::AddRule(TABLE, name.clone(), rule)));
    let element = |key| Element::new(key, comment.clone());
    Wanted {
        base,
        elements: vec![
            (TABLE, senders(), element(sender_key(subject, mac))),
            (TABLE, ports(), element(port_key(subject))),
        ],
    }
}

#[cfg(test)]
mod tests {
    use cni_common::types::Attachment;

    use super::*;

    #[test]
    fn the_transaction_reads_as_nft_lines() {
        let attachment = Attachment {
            network: "podman".parse().unwrap(),
            container: "3b1c0ffee5".parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
        };
        let subject = Subject { attachment: &attachment, port: "veth0123456789a" };
        let operations = wanted(&subject, "02:00:00:00:00:01".parse().unwrap()).operations();
        let text: String = operations.iter().map(|operation| format!("{operation}\n")).collect();
        testsupport::golden::assert_matches("testdata/bridge/filter/spoofcheck.nft", &text);
    }
}
