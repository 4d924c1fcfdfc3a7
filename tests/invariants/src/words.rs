//! Line- and word-based texts: `CNI_ARGS` and resolv.conf.

use cni_common::Code;
use cni_common::spec::CniArgs;

/// The keys that mean something to some plugin of the suite.
const KNOWN: [&str; 8] = [
    "IgnoreUnknown",
    "IP",
    "MAC",
    "GATEWAY",
    "K8S_POD_NAME",
    "K8S_POD_NAMESPACE",
    "K8S_POD_INFRA_CONTAINER_ID",
    "K8S_POD_UID",
];

/// `CNI_ARGS`: accepted by the specification's few rules and by no other, and read as it is written.
pub fn cni_args(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let pairs: Option<Vec<(&str, &str)>> = text.split(';').map(pair).collect();
    let pairs = if text.is_empty() { Some(Vec::new()) } else { pairs };
    let last = |key: &str| {
        let found = pairs.iter().flatten().rev().find(|(name, _)| *name == key);
        found.map(|(_, value)| *value).filter(|value| !value.is_empty())
    };
    let ignores = match last("IgnoreUnknown").map(str::to_ascii_lowercase).as_deref() {
        None | Some("0" | "false") => Some(false),
        Some("1" | "true") => Some(true),
        Some(_) => None,
    };
    let known = pairs.iter().flatten().all(|(key, _)| KNOWN.contains(key));
    let expected = pairs.is_some() && ignores.is_some_and(|ignores| ignores || known);
    match CniArgs::parse(text) {
        Ok(args) => {
            assert!(expected, "{text:?} was accepted");
            for (key, _) in pairs.iter().flatten() {
                assert_eq!(args.get(key), last(key));
            }
            let pod = last("K8S_POD_NAMESPACE").zip(last("K8S_POD_NAME"));
            assert_eq!(args.pod(), pod.map(|(space, name)| format!("{space}/{name}")));
        }
        Err(error) => {
            assert!(!expected, "{text:?}: {error}");
            super::is_sound(&error, &[Code::InvalidEnvironment]);
        }
    }
}

fn pair(text: &str) -> Option<(&str, &str)> {
    let parts: Vec<&str> = text.split('=').collect();
    match parts.as_slice() {
        [key, value] => Some((key, value)),
        _ => None,
    }
}

/// resolv.conf: words without white space or comments, and the same when it is written again.
pub fn resolv_conf(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let dns = causeway_host_local::resolv::parse(&text);
    let is_word = |word: &String| {
        !word.is_empty() && !word.contains(char::is_whitespace) && !word.starts_with(['#', ';'])
    };
    let lists = [&dns.nameservers, &dns.search, &dns.options];
    assert!(lists.iter().all(|list| list.iter().all(is_word)), "{dns:?}");
    assert!(dns.domain.is_empty() || is_word(&dns.domain), "{dns:?}");
    let mut again = String::new();
    for server in &dns.nameservers {
        again.push_str(&format!("nameserver {server}\n"));
    }
    again.push_str(&format!("domain {}\n", dns.domain));
    again.push_str(&format!("search {}\n", dns.search.join(" ")));
    again.push_str(&format!("options {}\n", dns.options.join("\t")));
    assert_eq!(causeway_host_local::resolv::parse(&again), dns);
}
