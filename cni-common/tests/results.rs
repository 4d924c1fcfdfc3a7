//! Results in all seven versions, read in each and written in each.
//!
//! `testdata/common/result/<version>/<name>.json` is the result `name` as `version` says it. Read
//! from any version that says all of it, a result must be written as in the file of every version;
//! what an older version says of it is what is left after reading that one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use cni_common::spec::{CniResult, Object, Version};
use cni_common::{Code, Error};
use testsupport::golden;

/// A result, the first version that says all of it, and the first that can say it at all.
struct Case {
    name: &'static str,
    whole_since: Version,
    possible_since: Version,
}

const CASES: [Case; 7] = [
    // What an IPAM plugin answers; all that the two oldest versions know.
    Case {
        name: "one-address-of-each-family",
        whole_since: Version::V0_1_0,
        possible_since: Version::V0_1_0,
    },
    Case {
        name: "one-ipv4-address-and-nothing-else",
        whole_since: Version::V0_1_0,
        possible_since: Version::V0_1_0,
    },
    // What a bridge answers.
    Case { name: "bridge", whole_since: Version::V0_3_0, possible_since: Version::V0_1_0 },
    Case {
        name: "two-addresses-of-a-family",
        whole_since: Version::V0_3_0,
        possible_since: Version::V0_3_0,
    },
    // A layer 2 attachment.
    Case { name: "no-address", whole_since: Version::V0_3_0, possible_since: Version::V0_3_0 },
    Case { name: "nothing-at-all", whole_since: Version::V0_3_0, possible_since: Version::V0_3_0 },
    Case {
        name: "every-key-of-the-newest",
        whole_since: Version::V1_1_0,
        possible_since: Version::V0_1_0,
    },
];

fn file(version: Version, name: &str) -> String {
    format!("testdata/common/result/{version}/{name}.json")
}

fn parse(text: &str, version: Version) -> Result<CniResult, Error> {
    CniResult::parse(&Object::parse(text, "result").unwrap(), version)
}

#[test]
fn a_result_read_in_a_version_that_says_it_all_is_written_in_every_other() {
    for case in CASES {
        for from in Version::ALL.into_iter().filter(|from| *from >= case.whole_since) {
            let result = parse(&golden::read(&file(from, case.name)), from).unwrap();
            for to in Version::ALL.into_iter().filter(|to| *to >= case.possible_since) {
                golden::assert_matches(&file(to, case.name), &result.print(to).unwrap());
            }
        }
    }
}

#[test]
fn a_result_read_in_an_older_version_keeps_what_that_one_says() {
    for case in CASES {
        let older = |version: &Version| (case.possible_since..case.whole_since).contains(version);
        for from in Version::ALL.into_iter().filter(older) {
            let text = golden::read(&file(from, case.name));
            let result = parse(&text, from).unwrap();
            assert_eq!(result.print(from).unwrap(), text.trim_end(), "{} in {from}", case.name);
            // Upwards nothing more is lost: back down, it is the same again.
            let newest = result.print(Version::LATEST).unwrap();
            let back = parse(&newest, Version::LATEST).unwrap().print(from).unwrap();
            assert_eq!(back, text.trim_end(), "{} by {from} and back", case.name);
        }
    }
}

#[test]
fn a_conversion_that_would_lose_an_address_is_an_error() {
    for (name, message) in [
        ("two-addresses-of-a-family", "does not support more than 1 address per family"),
        ("no-address", "cannot convert: no valid IP addresses"),
        ("nothing-at-all", "cannot convert: no valid IP addresses"),
    ] {
        let newest = golden::read(&file(Version::LATEST, name));
        for version in [Version::V0_1_0, Version::V0_2_0] {
            let error = parse(&newest, Version::LATEST).unwrap().print(version).unwrap_err();
            assert!(error.is(Code::InvalidConfig));
            assert!(error.message().ends_with(message), "{error}");
        }
    }
    let two = golden::read(&file(Version::LATEST, "two-addresses-of-a-family"));
    let error = parse(&two, Version::LATEST).unwrap().print(Version::V0_2_0).unwrap_err();
    let whole = "CNI version 0.2.0 does not support more than 1 address per family";
    assert_eq!(error.message(), whole);
}

#[test]
fn every_file_is_one_of_the_cases() {
    for version in Version::ALL {
        let folder = golden::path(&format!("testdata/common/result/{version}"));
        let entries = std::fs::read_dir(folder).unwrap();
        let mut found: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        let possible = CASES.iter().filter(|case| version >= case.possible_since);
        let mut expected: Vec<std::ffi::OsString> =
            possible.map(|case| format!("{}.json", case.name).into()).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{version}");
    }
}

#[test]
fn what_callers_send_besides_is_read() {
    let text = r#"{"CNIVersion":"9","IPs":[null,{"version":"4","address":"10.0.0.2/24","gateway":""}],
        "routes":null,"dns":null,"interfaces":[],"unknown":{}}"#;
    let result = parse(text, Version::V0_4_0).unwrap();
    assert_eq!(result.ips.len(), 1);
    assert_eq!(result.ips.first().unwrap().gateway, None);
}

#[test]
fn a_result_that_says_no_address_where_one_belongs_is_refused_by_its_path() {
    for (text, message) in [
        (r#"{"ips":[{}]}"#, "ips[0].address: missing"),
        (
            r#"{"ips":[{"address":"10.0.0.2"}]}"#,
            "ips[0].address: the prefix length is missing, as in \"10.0.0.2/24\", got \"10.0.0.2\"",
        ),
        (
            r#"{"ips":[{"address":"10.0.0.2/24","gateway":"x"}]}"#,
            "ips[0].gateway: not valid, got \"x\"",
        ),
        (r#"{"routes":[{"gw":"10.0.0.1"}]}"#, "routes[0].dst: missing"),
    ] {
        let error = parse(text, Version::LATEST).unwrap_err();
        assert_eq!(error.message(), message);
        assert!(error.is(Code::InvalidConfig));
    }
    let old = parse(r#"{"ip6":{"gateway":"fd00::1"}}"#, Version::V0_2_0).unwrap_err();
    assert_eq!(old.message(), "ip6.ip: missing");
}
