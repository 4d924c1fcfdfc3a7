//! Addresses at every edge.

use serde_json::{Value, json};

use crate::stage::{Stage, set};

#[test]
fn subnets_at_every_edge() {
    let stage = Stage::new();
    for (subnet, says) in [
        ("10.1.0.0/31", "too small to allocate from"),
        ("10.1.0.0/32", "too small to allocate from"),
        ("fd00::/127", "too small to allocate from"),
        ("fd00::/128", "too small to allocate from"),
        ("255.255.255.255/32", "too small to allocate from"),
        ("10.1.0.1/24", "host bits set"),
        ("0.0.0.1/0", "host bits set"),
        ("::1/0", "host bits set"),
        ("255.255.255.255/8", "host bits set"),
        ("::ffff:10.1.0.0/120", "IPv4 written as IPv6"),
        ("::ffff:0:0/96", "IPv4 written as IPv6"),
        ("10.1.0.0/33", "not valid"),
        ("fd00::/129", "not valid"),
        ("10.1.0.0/-1", "not valid"),
        ("10.1.0.0/+8", "not valid"),
        ("10.1.0.0/4294967304", "not valid"),
        ("10.1.0.0/24/24", "not valid"),
        ("10.1.0.0/255.255.255.0", "not valid"),
        ("10.1.0.0", "the prefix length is missing"),
        ("10.1.0.0/", "not valid"),
        ("/24", "not valid"),
        ("010.1.0.0/24", "not valid"),
        ("10.1.0/24", "not valid"),
        ("10.1.0.0.0/24", "not valid"),
        ("10.1.0.256/24", "not valid"),
        ("0x0a010000/24", "not valid"),
        ("fe80::%eth0/64", "not valid"),
        ("[fd00::]/64", "not valid"),
        ("fd00:::/64", "not valid"),
        ("fd00::1::/64", "not valid"),
        ("1:2:3:4:5:6:7:8:9/64", "not valid"),
        (" 10.1.0.0/24", "not valid"),
        ("10.1.0.0/24\n", "not valid"),
        ("\u{661}0.1.0.0/24", "not valid"),
    ] {
        for path in ["ipam.ranges.0.0.subnet", "ipam.subnet"] {
            let call =
                stage.call("host-local", "ADD").config(stage.with("host-local", path, subnet));
            let shown = json!(subnet.trim_end_matches("\n")).to_string();
            let shown = if says == "not valid" { shown.trim_end_matches('"') } else { "" };
            stage.refuses(&call, 7, &[says, shown]);
        }
    }
    stage.unchanged();
}

#[test]
fn ranges_outside_of_their_subnet() {
    let stage = Stage::new();
    for (key, address, says) in [
        ("rangeStart", "10.1.1.0", "RangeStart 10.1.1.0 not in network 10.1.0.0/24"),
        ("rangeStart", "0.0.0.0", "RangeStart 0.0.0.0 not in"),
        ("rangeStart", "fd00::1", "RangeStart fd00::1 not in"),
        ("rangeEnd", "10.0.255.255", "not in network 10.1.0.0/24"),
        ("rangeEnd", "255.255.255.255", "RangeEnd 255.255.255.255 not in"),
        ("rangeEnd", "::", "not in network 10.1.0.0/24"),
        ("rangeEnd", "10.1.0.0", "not in network 10.1.0.0/24"),
        ("rangeStart", "10.1.0.1/24", "not valid"),
        ("rangeEnd", "fe80::1%lo", "not valid"),
        ("gateway", "10.1.0.01", "not valid"),
        ("gateway", "10.1.0.1/24", "not valid"),
    ] {
        let path = format!("ipam.ranges.0.0.{key}");
        let call = stage.call("host-local", "ADD").config(stage.with("host-local", &path, address));
        stage.refuses(&call, 7, &[says]);
    }
    stage.unchanged();
}

#[test]
fn addresses_in_every_other_key() {
    let stage = Stage::new();
    let bad =
        ["10.1.0.999", "10.1.0.1%lo", "::1%lo", "1", "0x7f.1", "10.1.0.09", "", "fd00::/64/64"];
    for text in bad {
        for (path, value) in [
            ("runtimeConfig.ips", json!([text])),
            ("args.cni.ips", json!([text])),
            ("ipam.exclude", json!([text])),
            ("ipam.exclude", json!([format!("10.1.0.1-{text}")])),
            ("ipam.routes", json!([{"dst": text}])),
            ("runtimeConfig.ipRanges", json!([[{"subnet": text}]])),
        ] {
            let call =
                stage.call("host-local", "ADD").config(stage.with("host-local", path, value));
            stage.refuses(&call, 7, &[path, text]);
        }
        if !text.is_empty() {
            let routes = json!([{"dst": "10.0.0.0/8", "gw": text}]);
            let call = stage.call("host-local", "ADD").config(stage.with(
                "host-local",
                "ipam.routes",
                routes,
            ));
            stage.refuses(&call, 7, &["ipam.routes[0].gw", text]);
        }
    }
    stage.unchanged();
}

/// Ranges that touch the ends of the address space give what is in them, and then say that no more is.
#[test]
fn the_ends_of_the_address_space() {
    let stage = Stage::new();
    for (subnet, first, giving) in [
        ("0.0.0.0/0", "0.0.0.2/0", 3),
        ("0.0.0.0/30", "0.0.0.2/30", 1),
        ("255.255.255.252/30", "255.255.255.254/30", 1),
        ("::/0", "::2/0", 3),
        ("::/126", "::2/126", 2),
        (
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffc/126",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/126",
            2,
        ),
    ] {
        let mut config = stage.with("host-local", "ipam.ranges.0.0.subnet", subnet);
        set(&mut config, "name", subnet.replace([':', '/'], "-").trim_start_matches('-'));
        set(&mut config, "ipam.routes", Value::Null);
        let add = |number: usize| {
            let call = stage.call("host-local", "ADD").container_id(&format!("c{number}"));
            call.config(&config).measured()
        };
        for number in 0..giving {
            let (answer, usage) = add(number);
            let address = answer.expect_success().json()["ips"][0]["address"].clone();
            assert!(number > 0 || address == first, "{subnet}: {address}");
            crate::stage::small(usage, &answer);
        }
        if subnet.ends_with("/0") {
            continue;
        }
        let (answer, usage) = add(giving);
        crate::stage::refused(&answer, usage, 104, &["no IP addresses available"]);
    }
}
