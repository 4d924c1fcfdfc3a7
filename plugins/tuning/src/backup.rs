//! The text that values are kept as for DEL: the reference's, which either suite restores. Pure.

use cni_common::spec::Object;
use cni_common::types::{LinkAttributes, Mac};
use serde::Serialize;

/// More than the text ever has.
pub const MAX_BYTES: usize = 4096;

#[derive(Serialize)]
struct Text {
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    promisc: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allmulti: Option<bool>,
    #[serde(rename = "txQLen", skip_serializing_if = "Option::is_none")]
    tx_queue_length: Option<u32>,
}

/// JSON, indented by one space.
pub fn print(attributes: &LinkAttributes) -> String {
    let text = Text {
        mac: attributes.mac.map(|mac| mac.to_string()),
        promisc: attributes.promiscuous,
        mtu: attributes.mtu,
        allmulti: attributes.all_multicast,
        tx_queue_length: attributes.tx_queue_length,
    };
    let mut printed = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut printed, format);
    // Strings and numbers: writing these to memory can't fail.
    text.serialize(&mut serializer).ok();
    String::from_utf8_lossy(&printed).into_owned()
}

/// What of the text can be read; nothing of one that is not such a text. A value that no interface
/// can have is left out: it would stop all others from being restored.
pub fn parse(text: &str) -> LinkAttributes {
    let Ok(keys) = Object::parse(text, "backup") else { return LinkAttributes::default() };
    let number = |key: &str| {
        let number = keys.integer(key).ok().flatten()?;
        i32::try_from(number).ok().and_then(|number| u32::try_from(number).ok())
    };
    let flag = |key: &str| keys.value(key).and_then(|value| value.flag().ok());
    LinkAttributes {
        mac: keys.string("mac").ok().flatten().and_then(|text| text.parse::<Mac>().ok()),
        promiscuous: flag("promisc"),
        mtu: number("mtu").filter(|mtu| *mtu != 0),
        all_multicast: flag("allmulti"),
        tx_queue_length: number("txQLen"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_kept_is_in_the_text() {
        let all = LinkAttributes {
            mac: Some(Mac::new([2, 0, 0, 0, 0, 0xa])),
            promiscuous: Some(false),
            mtu: Some(1500),
            all_multicast: Some(true),
            tx_queue_length: Some(0),
        };
        let text = "{\n \"mac\": \"02:00:00:00:00:0a\",\n \"promisc\": false,\n \"mtu\": 1500,\n \
                    \"allmulti\": true,\n \"txQLen\": 0\n}";
        assert_eq!(print(&all), text);
        assert_eq!(parse(text), all);
        let mtu = LinkAttributes { mtu: Some(9000), ..Default::default() };
        assert_eq!(print(&mtu), "{\n \"mtu\": 9000\n}");
        assert_eq!(parse(&print(&mtu)), mtu);
    }

    #[test]
    fn what_can_not_be_read_is_left_out() {
        for text in
            ["", "null", "[]", "{", "{}", r#"{"mac":7,"mtu":-1,"promisc":"x","txQLen":1e9999}"#]
        {
            assert!(parse(text).is_empty(), "{text}");
        }
        let some = parse(r#"{"mac":"x","mtu":1400,"allmulti":null,"other":[1]}"#);
        assert_eq!(some, LinkAttributes { mtu: Some(1400), ..Default::default() });
    }
}
