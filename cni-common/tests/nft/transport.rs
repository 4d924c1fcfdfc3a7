//! Batches and dumps of every size.

use cni_common::nft::{Element, KeyType, Operation, Set, Value};
use cni_common::sys::nft::Nft;
use testsupport::Host;

use crate::TABLE;

fn addresses() -> Set {
    Set::new("addresses", &[KeyType::Ipv4], "")
}

fn element(number: u32) -> Element {
    let ip = std::net::Ipv4Addr::from(0x0a00_0000 + number);
    Element::new(vec![Value::Ip(ip.into())], format!("network/container-{number:064}/eth0"))
}

#[test]
fn a_transaction_may_be_larger_than_the_send_buffer_of_a_new_socket() {
    const ELEMENTS: u32 = 3000;
    let _host = Host::new();
    let mut nft = Nft::open().unwrap();
    let name = || "addresses".to_owned();
    let mut operations =
        vec![Operation::AddTable(TABLE, String::new()), Operation::AddSet(TABLE, addresses())];
    operations.extend((0..ELEMENTS).map(|i| Operation::CreateElement(TABLE, name(), element(i))));
    nft.commit(&operations, None).unwrap();
    let found = nft.search_elements((TABLE, &addresses()), usize::MAX, |_| true).unwrap();
    assert_eq!(found.len(), ELEMENTS as usize);
    assert_eq!(nft.find_element(TABLE, &addresses(), &element(7).key).unwrap(), Some(element(7)));
}

#[test]
fn a_refused_transaction_says_which_operation_and_changes_nothing() {
    let _host = Host::new();
    let mut nft = Nft::open().unwrap();
    let operations = [
        Operation::AddTable(TABLE, String::new()),
        Operation::AddSet(TABLE, addresses()),
        Operation::DeleteElement(TABLE, "addresses".to_owned(), element(1).key),
        Operation::DeleteChain(TABLE, "none".to_owned()),
    ];
    let refusal = nft.commit(&operations, None).unwrap_err();
    assert_eq!(refusal.operation, Some(2), "{refusal:?}");
    assert_eq!(refusal.error.raw_errno(), Some(nix::errno::Errno::ENOENT));
    assert!(!nft.has_table(TABLE).unwrap());
}

#[test]
fn a_transaction_on_an_older_generation_is_refused() {
    let _host = Host::new();
    let mut nft = Nft::open().unwrap();
    let before = nft.generation().unwrap();
    nft.commit(&[Operation::AddTable(TABLE, String::new())], before).unwrap();
    let refusal = nft.commit(&[Operation::DeleteTable(TABLE)], before).unwrap_err();
    assert!(refusal.is_changed(), "{refusal:?}");
}
