//! Chains and rules as `iptables-save` prints them and `iptables-restore` reads them. Pure.
//!
//! Callers parse the names and comments of the reference's chains (Nomad does, when a DEL failed),
//! so what is made here is the reference's to the letter.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::types::hash;

/// The longest name of a chain that iptables takes.
const MAX_CHAIN: usize = 28;
/// What iptables' comment match holds, less its NUL.
const MAX_COMMENT: usize = 255;

/// The name of a container's chain: a prefix and a hash of network and container. It knows no
/// interface: two interfaces of one container in one network share the chain.
pub fn chain(prefix: &str, network: &str, container: &str) -> String {
    let length = MAX_CHAIN.saturating_sub(prefix.len());
    format!("{prefix}{}", hash::sha512(&format!("{network}{container}"), length))
}

/// The comment of a container's rules; some plugins put a word in front.
pub fn comment(prefix: &str, network: &str, container: &str) -> String {
    let mut text = format!("{prefix}name: \"{network}\" id: \"{container}\"");
    if text.len() > MAX_COMMENT {
        // Names and IDs are ASCII.
        text.truncate(MAX_COMMENT - 3);
        text.push_str("...");
    }
    text
}

/// Network and container that a comment names.
pub fn parse_comment<'a>(prefix: &str, text: &'a str) -> Option<(&'a str, &'a str)> {
    let rest = text.strip_prefix(prefix)?.strip_prefix("name: \"")?;
    let (network, rest) = rest.split_once("\" id: \"")?;
    Some((network, rest.strip_suffix('"')?))
}

/// A comment as it stands in a line, within quotes.
pub fn escaped(comment: &str) -> String {
    comment.replace('"', "\\\"")
}

/// A word as it stands in a line: as it is, or within quotes.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "!%+,-./:=@_".contains(c);
    if word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The comment of a line, if it has one within quotes.
pub fn line_comment(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(" --comment \"")?;
    let mut comment = String::new();
    let mut rest = rest.chars();
    loop {
        match rest.next()? {
            '"' => return Some(comment),
            '\\' => comment.push(rest.next()?),
            other => comment.push(other),
        }
    }
}

/// The value behind this option of a line.
pub fn option<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let mut words = line.split(' ');
    words.find(|word| *word == name)?;
    words.next()
}

/// The comments of all rules that jump or go to a chain.
pub fn comments(save: &str) -> BTreeSet<String> {
    save.lines()
        .filter_map(|line| line.split_once("--comment \"")?.1.split_once("\" -j "))
        .map(|(comment, _target)| comment.replace("\\\"", "\""))
        .collect()
}

/// The lines that are wanted of those with which `from` jumps to `chain`, and whether others stay.
fn jumps<'a>(
    save: &'a str,
    (from, chain): (&str, &str),
    wanted: impl Fn(&str) -> bool,
) -> (Vec<&'a str>, bool) {
    let (start, end) = (format!("-A {from} "), format!(" -j {chain}"));
    let jumps = save.lines().filter(|line| line.starts_with(&start) && line.ends_with(&end));
    let (gone, staying): (Vec<&str>, Vec<&str>) = jumps.partition(|line| wanted(line));
    (gone, !staying.is_empty())
}

/// The input that removes those jumps from one chain to another that are wanted, and with the last
/// of them the chain that they lead to. `None` if there is nothing.
pub fn removal(
    save: &str,
    table: &str,
    (from, chain): (&str, &str),
    wanted: impl Fn(&str) -> bool,
) -> Option<String> {
    let (gone, others_stay) = jumps(save, (from, chain), wanted);
    let mut lines: Vec<_> = gone
        .iter()
        .filter_map(|line| line.strip_prefix("-A "))
        .map(|rest| format!("-D {rest}"))
        .collect();
    if !others_stay && has_chain(save, chain) {
        lines.extend([format!("-F {chain}"), format!("-X {chain}")]);
    }
    (!lines.is_empty()).then(|| input(table, lines))
}

/// Whether the table has the chain.
pub fn has_chain(save: &str, chain: &str) -> bool {
    let declared = format!(":{chain} ");
    save.lines().any(|line| line.starts_with(&declared))
}

/// Changes of one table, as `iptables-restore` reads them.
pub fn input(table: &str, lines: impl IntoIterator<Item = String>) -> String {
    let mut text = format!("*{table}\n");
    for line in lines {
        // Writing to a string can't fail.
        writeln!(text, "{line}").ok();
    }
    text + "COMMIT\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_fits_the_match_and_is_read_back() {
        assert_eq!(comment("", "n", &"c".repeat(300)).len(), MAX_COMMENT);
        assert_eq!(parse_comment("", &comment("", "n", "c")), Some(("n", "c")));
        assert_eq!(parse_comment("dnat ", &comment("dnat ", "n", "c")), Some(("n", "c")));
        assert_eq!(parse_comment("dnat ", &comment("", "n", "c")), None);
    }

    #[test]
    fn a_line_is_taken_apart() {
        let line = r#"-A C -d 10.0.0.1/32 -m comment --comment "a \"b\" \\c" -j D"#;
        assert_eq!(line_comment(line).as_deref(), Some(r#"a "b" \c"#));
        assert_eq!(option(line, "-d"), Some("10.0.0.1/32"));
        assert_eq!((option(line, "-s"), line_comment("-A C -j D")), (None, None));
        let words = ["!", "10.0.0.0/8", "a b", r#"a"b\c"#].map(quoted);
        assert_eq!(words, ["!", "10.0.0.0/8", r#""a b""#, r#""a\"b\\c""#]);
    }

    #[test]
    fn a_chains_name_is_the_references() {
        assert_eq!(chain("CNI-", "net", "c1"), "CNI-623e1c388032b20529218ecc");
        assert_eq!(chain("CNI-DN-", "net", "c1"), "CNI-DN-623e1c388032b20529218");
    }

    #[test]
    fn a_chain_goes_with_the_last_jump_to_it() {
        let save =
            ":A - [0:0]\n-A POSTROUTING -s 10.0.0.1/32 -j A\n-A POSTROUTING -s 10.0.0.2/32 -j A\n";
        let one = |line: &str| line.contains("10.0.0.1/32");
        let removed = removal(save, "nat", ("POSTROUTING", "A"), one).unwrap();
        assert_eq!(removed, "*nat\n-D POSTROUTING -s 10.0.0.1/32 -j A\nCOMMIT\n");
        let removed = removal(save, "nat", ("POSTROUTING", "A"), |_| true).unwrap();
        assert!(removed.ends_with("-F A\n-X A\nCOMMIT\n"), "{removed}");
        assert_eq!(removal(save, "nat", ("POSTROUTING", "B"), |_| true), None);
    }
}
