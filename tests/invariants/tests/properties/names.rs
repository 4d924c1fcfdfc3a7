//! Names that are checked once: container ID, network, interface, MAC address, VLAN.

use cni_common::Code;
use cni_common::types::{ContainerId, IfName, Mac, NetworkName, VlanId};
use proptest::prelude::*;

/// `^[a-zA-Z0-9][a-zA-Z0-9_.\-]*$`, written down once more.
fn is_identifier(text: &str) -> bool {
    text.char_indices().all(|(at, c)| c.is_ascii_alphanumeric() || (at > 0 && "_.-".contains(c)))
        && !text.is_empty()
}

/// What the kernel's `dev_valid_name` takes, and whatever white space Unicode has besides.
fn is_link_name(text: &str) -> bool {
    (1..16).contains(&text.len())
        && ![".", ".."].contains(&text)
        && text.chars().all(|c| !matches!(c, '/' | ':' | '\0') && !c.is_whitespace())
}

/// Mostly nearly right texts.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9_.\\-]{0,18}",
        "[a-z0-9][a-z0-9/:. \\-]{0,16}",
        "\\PC{0,12}",
        any::<String>()
    ]
}

proptest! {
    #![proptest_config(super::cases(4096))]

    #[test]
    fn identifiers_follow_the_pattern(text in text()) {
        match text.parse::<ContainerId>() {
            Ok(id) => prop_assert!(is_identifier(&text) && id.as_str() == text),
            Err(error) => {
                prop_assert!(!is_identifier(&text) && error.is(Code::InvalidEnvironment));
                prop_assert_eq!(error.details(), Some(text.as_str()));
            }
        }
        match text.parse::<NetworkName>() {
            Ok(name) => prop_assert!(is_identifier(&text) && name.as_str() == text),
            Err(error) => prop_assert!(!is_identifier(&text) && error.is(Code::InvalidConfig)),
        }
    }

    #[test]
    fn interface_names_are_those_of_the_kernel(text in text()) {
        match text.parse::<IfName>() {
            Ok(name) => prop_assert!(is_link_name(&text) && name.as_str() == text),
            Err(error) => {
                prop_assert!(!is_link_name(&text) && error.is(Code::InvalidEnvironment));
                prop_assert_eq!(error.details(), Some(text.as_str()));
            }
        }
    }

    #[test]
    fn vlans_are_1_to_4094(id in prop_oneof![any::<i64>(), -2_i64..5000]) {
        prop_assert_eq!(VlanId::new(id).map(|vlan| i64::from(vlan.get())), (1..4095).contains(&id).then_some(id));
    }

    #[test]
    fn mac_addresses_are_read_as_printed(octets: [u8; 6]) {
        let mac = Mac::new(octets);
        prop_assert_eq!(mac.to_string().parse::<Mac>().unwrap(), mac);
        prop_assert_eq!(mac.to_string().replace(':', "-").to_uppercase().parse::<Mac>().unwrap(), mac);
        prop_assert_eq!(mac.is_assignable(), octets != [0; 6] && octets[0] & 1 == 0);
        prop_assert!(Mac::local(octets).is_assignable());
    }

    #[test]
    fn what_is_no_mac_address_is_named(text in prop_oneof!["[0-9a-fg:\\-+]{0,18}", any::<String>()]) {
        let parts: Vec<&str> = text.split([':', '-']).collect();
        let mixed = text.contains(':') && text.contains('-');
        let is_hex = |part: &&str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
        let expected = parts.len() == 6 && !mixed && parts.iter().all(is_hex);
        match text.parse::<Mac>() {
            Ok(_) => prop_assert!(expected, "{:?}", text),
            Err(error) => {
                prop_assert!(!expected && error.message().contains(&format!("{text:?}")), "{}", error);
            }
        }
    }
}
