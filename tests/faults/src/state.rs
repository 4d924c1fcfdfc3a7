//! All that plugins leave on a host, as text that a person can read: the same before and after means
//! that nothing was left.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use testsupport::{Container, Host};

use crate::scene::{POOLS, inside};

/// `ip` commands whose joint output are links, and one family's addresses, routes and rules.
const IP: [(&str, &str); 2] = [
    ("-4", "link show\naddress show\nrule show\nroute show table all\n"),
    ("-6", "address show\nrule show\nroute show table all\n"),
];

/// Settings of the host that ADD may change.
const HOST_SETTINGS: &[&str] = &["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"];

/// Settings inside the container, of interfaces that are there.
const CONTAINER_SETTINGS: &[&str] = &[
    "net/core/somaxconn",
    "net/ipv4/conf/eth0/arp_filter",
    "net/ipv6/conf/lo/disable_ipv6",
    "net/ipv4/conf/eth0/arp_notify",
    "net/ipv6/conf/eth0/accept_dad",
    "net/ipv6/conf/eth0/accept_ra",
    "net/ipv6/conf/eth0/autoconf",
    "net/ipv6/conf/eth0/disable_ipv6",
    "net/ipv6/conf/eth0/keep_addr_on_down",
    "net/ipv6/conf/eth0/ndisc_notify",
];

/// Lines, each with where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    lines: BTreeSet<String>,
}

impl State {
    /// Of a host, and of some of its containers.
    pub(crate) fn of(host: &Host, containers: &[&Container]) -> Self {
        let mut lines = BTreeSet::new();
        let mut add = |place: &str, text: &str| {
            lines.extend(text.lines().map(|line| format!("{place}: {line}")));
        };
        for (family, commands) in IP {
            let batch = host.temp_dir().join("ip-batch");
            fs::write(&batch, commands).expect("write a batch for ip");
            let batch = batch.to_str().expect("a path of our own");
            let words = ["ip", family, "-details", "-oneline", "-batch", batch];
            add("host", &links(&host.run(words)));
            for container in containers {
                let mut inside = vec!["ip", "-netns", container.name()];
                inside.extend(&words[1..]);
                add(container.name(), &links(&host.run(inside)));
            }
        }
        add("host", &settings(HOST_SETTINGS));
        for container in containers {
            add(container.name(), &inside(container, || settings(CONTAINER_SETTINGS)));
        }
        add("host", &host.run(["tc", "qdisc", "show"]));
        add("packet filter", &rules(&host.run(["nft", "list", "ruleset"])));
        for folder in [POOLS, "/etc/netns", "/run"] {
            let mut text = String::new();
            list(Path::new(folder), &mut text);
            add("file", &text);
        }
        Self { lines }
    }

    /// What is here and in none of `allowed`, and what is missing here although it is in all of them;
    /// empty when there is no such thing.
    pub(crate) fn difference(&self, allowed: &[&Self]) -> String {
        let mut text = String::new();
        let everywhere = |line: &&String| allowed.iter().all(|state| state.lines.contains(*line));
        let anywhere = |line: &&String| allowed.iter().any(|state| state.lines.contains(*line));
        for line in allowed.iter().flat_map(|state| &state.lines).filter(everywhere) {
            let missing = format!("  - {line}\n");
            if !self.lines.contains(line) && !text.contains(&missing) {
                text.push_str(&missing);
            }
        }
        for line in self.lines.iter().filter(|line| !anywhere(line)) {
            writeln!(text, "  + {line}").expect("writing to a string");
        }
        text
    }

    /// The same, of files only as far as they are beside the leases, and of rules what they hang in:
    /// what the first ADD on a host makes for all that follow.
    pub(crate) fn common(&self) -> Self {
        let lines = self.lines.iter().filter(|line| is_common(line)).cloned().collect();
        Self { lines }
    }

    /// Without those lines.
    pub(crate) fn without(&self, other: &Self) -> Self {
        Self { lines: self.lines.difference(&other.lines).cloned().collect() }
    }

    /// Both together.
    pub(crate) fn with(&self, other: &Self) -> Self {
        Self { lines: self.lines.union(&other.lines).cloned().collect() }
    }

    /// The lines that have `name` in what they say, not only in where they were found.
    pub(crate) fn mentioning(&self, name: &str) -> String {
        let mentions = |line: &&String| {
            let (_place, said) = line.split_once(": ").unwrap_or_default();
            said.contains(name)
        };
        self.lines.iter().filter(mentions).map(|line| format!("  {line}\n")).collect()
    }

    /// With every word of `names` replaced, so that two attachments can be compared.
    pub(crate) fn renamed(&self, names: &[(String, String)]) -> Self {
        let renamed = |line: &String| {
            let mut line = line.clone();
            for (name, general) in names {
                line = replace_word(&line, name, general);
            }
            line
        };
        Self { lines: self.lines.iter().map(renamed).collect() }
    }
}

fn is_common(line: &str) -> bool {
    line.starts_with("file: ") || line.starts_with("packet filter: ")
}

/// Replaces `word` where it is not part of a longer one.
fn replace_word(line: &str, word: &str, by: &str) -> String {
    let part = |character: char| character.is_ascii_alphanumeric() || ".:".contains(character);
    let mut shown = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        shown.push_str(before);
        let whole = !shown.ends_with(part) && !after.starts_with(part);
        shown.push_str(if whole { by } else { word });
        rest = after;
    }
    shown + rest
}

/// `ip`'s lines without what changes by itself, numbers of links and timers of bridges, and without
/// hardware addresses, which are random.
fn links(text: &str) -> String {
    let mut shown = String::new();
    for line in text.lines() {
        // Link-local addresses come by themselves, when the kernel finds the time.
        if line.contains("fe80:") {
            continue;
        }
        let mut line = line.replace('\\', " ");
        // Whether a bridge has a port that is up is noticed up to a second later.
        if line.contains(" bridge forward_delay ") {
            for flag in ["NO-CARRIER,", ",LOWER_UP", "state DOWN ", "state UP ", "state UNKNOWN "] {
                line = line.replacen(flag, "", 1);
            }
        }
        // What a bridge was found to be stays written there.
        line = line.replace(" alias causeway: every address is announced", "");
        let mut words = line.split_whitespace().peekable();
        // `5: cni0: <…`
        if words.peek().is_some_and(|word| word.trim_end_matches(':').parse::<u32>().is_ok()) {
            words.next();
        }
        while let Some(word) = words.next() {
            match word {
                "bridge_id" | "designated_root" | "designated_bridge" | "link/ether" => {
                    words.next();
                    write!(shown, "{word} … ").expect("writing to a string");
                }
                "linkdown" => {}
                // What a bridge's first port can do stays the bridge's own.
                "tso_max_size" | "tso_max_segs" | "gso_max_size" | "gso_max_segs" => {
                    words.next();
                }
                _ if word.ends_with("_timer") => {
                    words.next();
                }
                _ => write!(shown, "{} ", without_number(word)).expect("writing to a string"),
            }
        }
        shown.truncate(shown.trim_end().len());
        shown.push('\n');
    }
    shown
}

/// `veth0@if7` as `veth0@if`.
fn without_number(word: &str) -> String {
    match word.split_once("@if") {
        Some((name, number)) if number.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("{name}@if{}", number.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        _ => word.to_owned(),
    }
}

fn settings(names: &[&str]) -> String {
    let value = |name: &&str| {
        let value = fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?;
        Some(format!("{name} = {}\n", value.trim()))
    };
    names.iter().filter_map(value).collect()
}

/// A ruleset with one line for each chain's rule and each set's element, whose it is before it.
fn rules(text: &str) -> String {
    let (mut shown, mut owner) = (String::new(), Vec::<String>::new());
    let mut in_elements = false;
    for line in text.lines().map(|line| uncounted(line.trim())) {
        let line = line.as_str();
        let elements = line.strip_prefix("elements = {").or(in_elements.then_some(line));
        if let Some(elements) = elements {
            in_elements = !line.ends_with('}');
            let separators = |c: char| c.is_whitespace() || c == ',' || c == '}';
            let parts = elements.split(", ").map(|part| part.trim_matches(separators));
            for part in parts.filter(|part| !part.is_empty()) {
                writeln!(shown, "{} {part}", owner.join(" ")).expect("writing to a string");
            }
        } else if let Some(opened) = line.strip_suffix('{') {
            owner.push(opened.trim().to_owned());
            writeln!(shown, "{}", owner.join(" ")).expect("writing to a string");
        } else if line == "}" {
            owner.pop();
        } else if !line.is_empty() {
            writeln!(shown, "{} {line}", owner.join(" ")).expect("writing to a string");
        }
    }
    shown
}

/// A rule without what its counter counts.
fn uncounted(line: &str) -> String {
    let mut words = Vec::new();
    let mut all = line.split(' ');
    while let Some(word) = all.next() {
        words.push(word);
        if word == "packets" || word == "bytes" {
            all.next();
        }
    }
    words.join(" ")
}

/// All that is below a folder: names, and what leases and other people's files say.
fn list(folder: &Path, text: &mut String) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.map(|entry| entry.expect("list a folder")) {
        let path = entry.path();
        // The machine's own, the test's own, namespaces, and the files that all locks are bytes of.
        let others = ["/run/etc", "/run/test", "/run/netns", "/run/cni"];
        if others.iter().any(|other| path == Path::new(other)) {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().expect("the kind of a file");
        // What these hold is nobody's lease, and changes with every call.
        let changes = name == "lock"
            || name.starts_with("last_reserved_ip.")
            || path.starts_with(Path::new(POOLS).join(".causeway"));
        let content = match kind.is_file() && !changes {
            true => fs::read(&path).unwrap_or_default(),
            false => Vec::new(),
        };
        let content = String::from_utf8_lossy(&content);
        writeln!(text, "{} {:?}", path.display(), content).expect("writing to a string");
        if kind.is_dir() {
            list(&path, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(lines: &[&str]) -> State {
        State { lines: lines.iter().map(|line| (*line).to_owned()).collect() }
    }

    #[test]
    fn a_difference_shows_what_is_left_and_what_is_missing() {
        let (before, after) = (state(&["a", "b"]), state(&["a", "c"]));
        assert_eq!(state(&["a", "c"]).difference(&[&before]), "  - b\n  + c\n");
        assert_eq!(state(&["a", "b", "c"]).difference(&[&before, &after]), "");
        assert_eq!(state(&["b"]).difference(&[&before, &after]), "  - a\n");
    }

    #[test]
    fn whole_words_are_renamed() {
        let names = [("10.1.2.1".to_owned(), "ADDRESS".to_owned())];
        let renamed = state(&["10.1.2.1/24 via 10.1.2.17"]).renamed(&names);
        assert_eq!(renamed, state(&["ADDRESS/24 via 10.1.2.17"]));
    }

    #[test]
    fn an_element_is_a_line_with_its_set() {
        let text = "table inet t {\n\tset s {\n\t\ttype mark\n\t\telements = { 1 comment \"x\",\n\t\t\t     2 }\n\t}\n}\n";
        let shown = "table inet t\ntable inet t set s\ntable inet t set s type mark\n\
            table inet t set s 1 comment \"x\"\ntable inet t set s 2\n";
        assert_eq!(rules(text), shown);
    }

    #[test]
    fn what_changes_by_itself_is_no_difference() {
        let text = |count: u8| {
            format!(
                "table ip t {{\n\tchain c {{\n\t\tcounter packets {count} bytes 7 accept\n\t}}\n}}\n"
            )
        };
        assert_eq!(rules(&text(0)), rules(&text(2)));
        let line = |timer: &str| {
            format!("3: v0@if{timer}: <UP> hold_timer    {timer}.00 mtu 1500\\    veth")
        };
        assert_eq!(links(&line("7")), "v0@if: <UP> mtu 1500 veth\n");
        assert_eq!(links(&line("7")), links(&line("12")));
    }
}
