//! Every value: committed, read back, and printed by `nft` as it prints its own.

use cni_common::nft::{
    BaseChain, ChainType, Comparison, ConnectionState, ConnectionStatus, Element, Field, Hook,
    IpVersion, KeyType, Operation, Policy, Presence, Rule, Set, Statement, Value, Verdict,
};
use cni_common::sys::nft::Nft;
use testsupport::Host;

use crate::TABLE;

fn ip(text: &str) -> Value {
    Value::Ip(text.parse().unwrap())
}

fn rule(statements: Vec<Statement>) -> Rule {
    Rule { statements, comment: String::new() }
}

fn base_chain(kind: ChainType, hook: Hook, policy: Policy) -> BaseChain {
    let name = format!("{kind}-{hook}");
    BaseChain { name, kind, hook, priority: -7, policy, comment: "for a test".to_owned() }
}

/// Makes the table, and the operations in it.
fn commit(operations: &[Operation]) -> Nft {
    let mut nft = Nft::open().unwrap();
    let table = Operation::AddTable(TABLE, "of a test".to_owned());
    nft.commit(&[&[table], operations].concat(), None).unwrap_or_else(|refusal| {
        let lines: Vec<_> = operations.iter().map(ToString::to_string).collect();
        panic!("{}\n{}", refusal.error, lines.join("\n"))
    });
    nft
}

/// What `nft` shows of the host, and what it shows when it was given the same operations as text.
fn listings(host: &Host, operations: &[Operation]) -> (String, String) {
    let ours = host.run(["nft", "list", "ruleset"]);
    let table = Operation::AddTable(TABLE, "of a test".to_owned());
    let lines: Vec<_> = [&[table], operations].concat().iter().map(ToString::to_string).collect();
    // `nft` can't create intervals one by one: it adds an element of its own each time.
    let text = lines.join("\n").replace("create element", "add element");
    host.run(["nft", &format!("flush ruleset\n{text}\n")]);
    let theirs = host.run(["nft", "list", "ruleset"]);
    (ours, theirs)
}

fn host_ports(version: IpVersion) -> (Set, Vec<Field>) {
    let (name, address, field) = match version {
        IpVersion::V4 => ("ports-4", KeyType::Ipv4, Field::Ip4Destination),
        IpVersion::V6 => ("ports-6", KeyType::Ipv6, Field::Ip6Destination),
    };
    let key = [address, KeyType::Protocol, KeyType::Port];
    let set = Set::new(name, &key, "host ports").to(&[address, KeyType::Port]);
    (set, vec![field, Field::L4Protocol, Field::DestinationPort])
}

#[test]
fn a_map_of_host_ports_translates_destinations_in_both_families() {
    let host = Host::new();
    let chain = base_chain(ChainType::Nat, Hook::Prerouting, Policy::Accept);
    let any = Set::new("any", &[KeyType::Protocol, KeyType::Port], "host ports of any address")
        .to(&[KeyType::Ipv4, KeyType::Port]);
    let rules = [
        (IpVersion::V4, host_ports(IpVersion::V4)),
        (IpVersion::V6, host_ports(IpVersion::V6)),
        (IpVersion::V4, (any.clone(), vec![Field::L4Protocol, Field::DestinationPort])),
    ]
    .map(|(version, (set, fields))| {
        rule(vec![
            Statement::DestinationIsLocal,
            Statement::Counter,
            Statement::DnatToMap(version, fields, set.name),
        ])
    });
    let element = |addresses: [&str; 2]| {
        Element::new(vec![ip(addresses[0]), Value::Protocol(6), Value::Port(8080)], "net/c1/eth0")
            .with_data(vec![ip(addresses[1]), Value::Port(80)])
    };
    let elements = [
        (host_ports(IpVersion::V4).0, element(["192.0.2.1", "10.1.0.2"])),
        (host_ports(IpVersion::V6).0, element(["2001:db8::1", "fd00::2"])),
        (
            any,
            Element::new(vec![Value::Protocol(17), Value::Port(53)], "net/c2/eth0")
                .with_data(vec![ip("10.1.0.3"), Value::Port(5353)]),
        ),
    ];
    let mut operations: Vec<_> =
        elements.iter().map(|(set, _)| Operation::AddSet(TABLE, set.clone())).collect();
    operations.push(Operation::AddChain(TABLE, chain.clone()));
    operations.extend(
        rules.iter().map(|rule| Operation::AddRule(TABLE, chain.name.clone(), rule.clone())),
    );
    operations.extend(
        elements.iter().map(|(set, element)| {
            Operation::CreateElement(TABLE, set.name.clone(), element.clone())
        }),
    );
    let mut nft = commit(&operations);

    for (set, element) in &elements {
        assert_eq!(nft.find_element(TABLE, set, &element.key).unwrap().as_ref(), Some(element));
    }
    let found = nft.list_rules(TABLE, &chain.name).unwrap();
    assert_eq!(found.len(), rules.len());
    for (found, rule) in found.iter().zip(&rules) {
        assert!(found.does(rule), "{found:?}");
        assert_eq!(rules.iter().filter(|other| found.does(other)).count(), 1);
    }
    let (ours, theirs) = listings(&host, &operations);
    assert_eq!(ours, theirs);
    assert!(ours.contains("dnat ip to ip daddr . meta l4proto . th dport map @ports-4"), "{ours}");
    assert!(
        ours.contains("192.0.2.1 . tcp . 8080 comment \"net/c1/eth0\" : 10.1.0.2 . 80"),
        "{ours}"
    );
}

fn senders() -> Set {
    Set::new("senders", &[KeyType::Ifname, KeyType::Ipv4], "who may send")
}

fn compare(field: Field, comparison: Comparison, value: Value) -> Rule {
    rule(vec![Statement::Compare(field, comparison, value)])
}

/// Rules that look at a packet.
fn looks() -> Vec<Rule> {
    use {Comparison as C, Field as F, Statement as S};
    let cni0 = || Value::Name("cni0".to_owned());
    let interface = vec![F::InputName, F::Ip4Source];
    vec![
        rule(vec![S::Inside(F::Ip4Source, "10.1.0.0/16".parse().unwrap())]),
        rule(vec![S::Outside(F::Ip6Destination, "fd00::/64".parse().unwrap())]),
        rule(vec![S::Inside(F::Ip4Destination, "10.1.16.0/20".parse().unwrap())]),
        rule(vec![S::Outside(F::Ip4Source, "10.1.0.2/32".parse().unwrap())]),
        rule(vec![S::Inside(F::Ip6Source, "fe80::/10".parse().unwrap())]),
        rule(vec![S::Lookup(interface, Presence::NotIn, senders().name)]),
        compare(F::L4Protocol, C::Equal, Value::Protocol(6)),
        compare(F::Ip4Destination, C::Equal, ip("10.1.0.2")),
        compare(F::Ip6Source, C::NotEqual, ip("fd00::2")),
        compare(F::OutputName, C::NotEqual, cni0()),
        compare(F::InputName, C::Equal, cni0()),
        compare(F::Mark, C::Equal, Value::Mark(0x2000)),
        rule(vec![
            S::Compare(F::L4Protocol, C::Equal, Value::Protocol(17)),
            S::Compare(F::DestinationPort, C::Equal, Value::Port(53)),
        ]),
        rule(vec![
            S::Compare(F::L4Protocol, C::Equal, Value::Protocol(17)),
            S::Compare(F::SourcePort, C::Equal, Value::Port(53)),
        ]),
    ]
}

/// Rules that do something with a packet.
fn acts() -> Vec<Rule> {
    use {ConnectionState as State, ConnectionStatus as Status, Statement as S};
    let accept = || S::Verdict(Verdict::Accept);
    let established = S::ConnectionState(vec![State::Established, State::Related]);
    let others = "others".to_owned();
    vec![
        rule(vec![established, S::Counter, accept()]),
        rule(vec![S::ConnectionState(vec![State::Invalid]), S::Verdict(Verdict::Drop)]),
        rule(vec![S::ConnectionStatus(Status::DestinationTranslated), accept()]),
        rule(vec![S::ConnectionStatus(Status::SourceTranslated), accept()]),
        rule(vec![S::MarkHas(0x2000), S::Verdict(Verdict::Return)]),
        rule(vec![S::DestinationIsLocal, S::AddMark(0x2000)]),
        rule(vec![accept()]),
        rule(vec![S::Verdict(Verdict::Drop)]),
        rule(vec![S::Verdict(Verdict::Jump(others.clone()))]),
        rule(vec![S::Verdict(Verdict::Goto(others))]),
        rule(vec![S::Verdict(Verdict::Return)]),
        rule(vec![S::Verdict(Verdict::Continue)]),
    ]
}

#[test]
fn every_statement_is_read_back_as_itself_and_as_no_other() {
    let host = Host::new();
    let chain = base_chain(ChainType::Filter, Hook::Forward, Policy::Drop);
    let rules = [looks(), acts()].concat();
    let mut operations = vec![
        Operation::AddSet(TABLE, senders()),
        Operation::AddRegularChain(TABLE, "others".to_owned(), "led to".to_owned()),
        Operation::AddChain(TABLE, chain.clone()),
    ];
    operations.extend(
        rules.iter().map(|rule| Operation::AddRule(TABLE, chain.name.clone(), rule.clone())),
    );
    let first = rule(vec![Statement::Counter]);
    operations.push(Operation::InsertRule(TABLE, chain.name.clone(), first.clone()));
    let mut nft = commit(&operations);

    let found = nft.list_rules(TABLE, &chain.name).unwrap();
    assert!(found[0].does(&first));
    assert_eq!(found.len(), rules.len() + 1);
    for (found, rule) in found[1..].iter().zip(&rules) {
        assert!(found.does(rule), "{rule}: {found:?}");
        assert_eq!(rules.iter().filter(|other| found.does(other)).count(), 1, "{rule}");
        let is_end = |statement: &Statement| match statement {
            Statement::Verdict(verdict) => Some(verdict.clone()),
            _ => None,
        };
        assert_eq!(found.verdict(), rule.statements.iter().find_map(is_end), "{rule}");
    }
    let (ours, theirs) = listings(&host, &operations);
    assert_eq!(ours, theirs);
    // What a saved rule set is when `nft` has loaded it again.
    let written = nft.list_rules(TABLE, &chain.name).unwrap();
    for (written, rule) in written[1..].iter().zip(&rules) {
        assert!(written.does(rule), "{rule}, by nft: {written:?}");
    }
    for text in [
        "ct state established,related counter",
        "fib daddr type local meta mark set",
        "policy drop",
        "jump others",
    ] {
        assert!(ours.contains(text), "{text}: {ours}");
    }
}

#[test]
fn a_map_of_verdicts_leads_to_chains() {
    let host = Host::new();
    let chain = base_chain(ChainType::Filter, Hook::Input, Policy::Accept);
    let map = Set::new("guests", &[KeyType::Ipv4], "what becomes of whom").to(&[KeyType::Verdict]);
    let verdicts = [
        Verdict::Accept,
        Verdict::Drop,
        Verdict::Return,
        Verdict::Jump("others".to_owned()),
        Verdict::Goto("others".to_owned()),
    ];
    let look = rule(vec![Statement::VerdictMap(vec![Field::Ip4Source], map.name.clone())]);
    let mut operations = vec![
        Operation::AddRegularChain(TABLE, "others".to_owned(), "led to".to_owned()),
        Operation::AddSet(TABLE, map.clone()),
        Operation::AddChain(TABLE, chain.clone()),
        Operation::AddRule(TABLE, chain.name.clone(), look.clone()),
    ];
    let elements: Vec<_> = verdicts
        .iter()
        .zip(1..)
        .map(|(verdict, number)| {
            Element::new(vec![ip(&format!("10.1.0.{number}"))], "net/c1/eth0")
                .with_data(vec![Value::Verdict(verdict.clone())])
        })
        .collect();
    operations.extend(
        elements
            .iter()
            .map(|element| Operation::CreateElement(TABLE, map.name.clone(), element.clone())),
    );
    let mut nft = commit(&operations);

    let mut found = nft.search_elements((TABLE, &map), usize::MAX, |_| true).unwrap();
    found.sort_by_key(|element| element.key[0].to_string());
    assert_eq!(found, elements);
    let rules = nft.list_rules(TABLE, &chain.name).unwrap();
    assert!(rules[0].does(&look) && rules[0].sets() == ["guests"]);
    let (ours, theirs) = listings(&host, &operations);
    assert_eq!(ours, theirs);
}

#[test]
fn intervals_of_one_field_and_of_several() {
    let host = Host::new();
    let one = Set::new("networks", &[KeyType::Ipv4], "whole networks").of_intervals();
    let several = Set::new("ports", &[KeyType::Ipv4, KeyType::Protocol, KeyType::Port], "ranges")
        .of_intervals();
    let mapped =
        Set::new("prices", &[KeyType::Port], "ranges to marks").of_intervals().to(&[KeyType::Mark]);
    let interval =
        |first: &str, last: &str| Element::new(vec![ip(first)], "n/c/e").up_to(vec![ip(last)]);
    let range = |first: u16, last: u16| {
        let key = |address, port| vec![ip(address), Value::Protocol(6), Value::Port(port)];
        Element::new(key("10.1.0.0", first), "n/c/e").up_to(key("10.1.0.255", last))
    };
    let price = |first, last, mark| {
        let element =
            Element::new(vec![Value::Port(first)], "n/c/e").up_to(vec![Value::Port(last)]);
        element.with_data(vec![Value::Mark(mark)])
    };
    let elements = [
        (
            &one,
            vec![
                interval("10.1.0.0", "10.1.255.255"),
                interval("10.2.0.0", "10.2.0.7"),
                interval("192.0.2.3", "192.0.2.3"),
                interval("240.0.0.0", "255.255.255.255"),
            ],
        ),
        (&several, vec![range(80, 80), range(8000, 8999)]),
        (&mapped, vec![price(1, 1023, 1), price(1024, 65535, 2)]),
    ];
    let mut operations: Vec<_> =
        elements.iter().map(|(set, _)| Operation::AddSet(TABLE, (*set).clone())).collect();
    for (set, list) in &elements {
        operations.extend(
            list.iter()
                .map(|element| Operation::CreateElement(TABLE, set.name.clone(), element.clone())),
        );
    }
    let mut nft = commit(&operations);
    for (set, list) in &elements {
        let mut found = nft.search_elements((TABLE, set), usize::MAX, |_| true).unwrap();
        found.sort_by_key(|element| format!("{:?}", element.key));
        let mut list = list.clone();
        list.sort_by_key(|element| format!("{:?}", element.key));
        assert_eq!(found, list, "{}", set.name);
        let gone: Vec<_> = list
            .iter()
            .map(|element| Operation::DeleteInterval(TABLE, set.name.clone(), element.clone()))
            .collect();
        nft.commit(&gone, None).unwrap();
        assert_eq!(nft.first_elements(TABLE, set).unwrap(), []);
    }
    host.run(["nft", "flush", "ruleset"]);
    commit(&operations);
    let (ours, theirs) = listings(&host, &operations);
    assert_eq!(ours, theirs);
    for text in ["10.1.0.0/16", "192.0.2.3 comment", "10.1.0.0/24 . tcp . 8000-8999", "1024-65535"]
    {
        assert!(ours.contains(text), "{text}: {ours}");
    }
}

#[test]
fn chains_of_every_hook_and_policy() {
    let host = Host::new();
    use {ChainType as Type, Hook as At, Policy as P};
    let chains = [
        base_chain(Type::Nat, At::Prerouting, P::Accept),
        base_chain(Type::Nat, At::Postrouting, P::Accept),
        base_chain(Type::Filter, At::Input, P::Drop),
        base_chain(Type::Filter, At::Forward, P::Drop),
        base_chain(Type::Filter, At::Output, P::Accept),
        base_chain(Type::Filter, At::Prerouting, P::Accept),
        base_chain(Type::Route, At::Output, P::Accept),
    ];
    let operations = chains.clone().map(|chain| Operation::AddChain(TABLE, chain));
    let mut nft = commit(&operations);
    for chain in &chains {
        let found = nft.find_chain(TABLE, &chain.name).unwrap().unwrap();
        assert!(found.is_placed_as(chain), "{found:?}");
        let hook = found.hook.unwrap();
        assert_eq!(Hook::of_number(hook.number), Some(chain.hook));
    }
    let (ours, theirs) = listings(&host, &operations);
    assert_eq!(ours, theirs);
}
