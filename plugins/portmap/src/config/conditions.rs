//! `conditionsV4` and `conditionsV6` in words of nftables: comparisons that all have to hold. Pure.
//!
//! They are not handed to `nft`, so only what is understood here is taken. A set of values is as many
//! ways to meet the conditions; what must not be in a set must be none of its values.

use cni_common::nft::{Comparison, Field, IpVersion, Statement, Value};
use cni_common::types::{IfName, parse_cidr, parse_ip};

use crate::mapping::{Protocol, version_of};

/// As many rules an attachment has at most.
const MAX_ALTERNATIVES: usize = 64;
/// What is understood.
const KNOWN: &str = "ip saddr, ip daddr, ip6 saddr, ip6 daddr, iifname, oifname, meta mark, meta l4proto, \
                     tcp sport, udp sport, th sport; one value or { a set }, with or without !=";

/// All ways to meet the conditions, each a row of statements. None for no words. The error says what
/// is wrong.
pub(super) fn parse(words: &[String], version: IpVersion) -> Result<Vec<Vec<Statement>>, String> {
    let text = words.join(" ");
    let tokens = tokens(&text)?;
    let mut rest = tokens.as_slice();
    let mut alternatives = Vec::from_iter((!rest.is_empty()).then(Vec::new));
    while !rest.is_empty() {
        let (ways, behind) = condition(rest, version)?;
        rest = behind;
        let each = |done: &Vec<Statement>| -> Vec<Vec<Statement>> {
            ways.iter().map(|way| [done.as_slice(), way.as_slice()].concat()).collect()
        };
        alternatives = alternatives.iter().flat_map(each).collect();
        if alternatives.len() > MAX_ALTERNATIVES {
            return Err(format!("more than {MAX_ALTERNATIVES} combinations of values"));
        }
    }
    Ok(alternatives)
}

/// Words, with braces and commas apart and without quotes.
fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    for (index, part) in text.split('"').enumerate() {
        if index % 2 == 1 {
            tokens.push(part.to_owned());
            continue;
        }
        let apart = ["{", "}", ","]
            .iter()
            .fold(part.to_owned(), |part, sign| part.replace(sign, &format!(" {sign} ")));
        tokens.extend(apart.split_whitespace().map(str::to_owned));
    }
    if text.matches('"').count() % 2 == 1 {
        return Err("a quote has no end".to_owned());
    }
    Ok(tokens)
}

/// What a comparison is of: more conditions that it needs, and how a value is read.
struct Subject {
    needed: Vec<Statement>,
    field: Field,
}

/// The ways to meet the first condition, and the tokens behind it.
fn condition(
    tokens: &[String],
    version: IpVersion,
) -> Result<(Vec<Vec<Statement>>, &[String]), String> {
    let (subject, rest) = subject(tokens, version)?;
    let (comparison, rest) = match rest {
        [sign, rest @ ..] if sign == "!=" => (Comparison::NotEqual, rest),
        [sign, rest @ ..] if sign == "==" => (Comparison::Equal, rest),
        rest => (Comparison::Equal, rest),
    };
    let (values, rest) = values(rest)?;
    let one = |value: &&str| statement(subject.field, comparison, value);
    let statements: Vec<Statement> = values.iter().map(one).collect::<Result<_, _>>()?;
    let with = |some: Vec<Statement>| [subject.needed.clone(), some].concat();
    let ways = match comparison {
        Comparison::Equal => statements.into_iter().map(|one| with(vec![one])).collect(),
        Comparison::NotEqual => vec![with(statements)],
    };
    Ok((ways, rest))
}

fn subject(tokens: &[String], version: IpVersion) -> Result<(Subject, &[String]), String> {
    let words: Vec<&str> = tokens.iter().map(String::as_str).take(2).collect();
    let plain = |field| Subject { needed: Vec::new(), field };
    let (subject, length) = match words.as_slice() {
        ["meta", "iifname"] => (plain(Field::InputName), 2),
        ["meta", "oifname"] => (plain(Field::OutputName), 2),
        ["meta", "mark"] => (plain(Field::Mark), 2),
        ["meta", "l4proto"] => (plain(Field::L4Protocol), 2),
        ["iifname", ..] => (plain(Field::InputName), 1),
        ["oifname", ..] => (plain(Field::OutputName), 1),
        ["mark", ..] => (plain(Field::Mark), 1),
        ["ip", "saddr"] => (plain(Field::Ip4Source), 2),
        ["ip", "daddr"] => (plain(Field::Ip4Destination), 2),
        ["ip6", "saddr"] => (plain(Field::Ip6Source), 2),
        ["ip6", "daddr"] => (plain(Field::Ip6Destination), 2),
        ["th", "sport"] => (plain(Field::SourcePort), 2),
        [name, "sport"] => {
            let protocol = Protocol::named(name).ok_or_else(|| unknown(&words))?;
            let number = Value::Protocol(protocol.number());
            let is_it = Statement::Compare(Field::L4Protocol, Comparison::Equal, number);
            (Subject { needed: vec![is_it], field: Field::SourcePort }, 2)
        }
        _ => return Err(unknown(&words)),
    };
    let of_version = match subject.field {
        Field::Ip4Source | Field::Ip4Destination => IpVersion::V4,
        Field::Ip6Source | Field::Ip6Destination => IpVersion::V6,
        _ => version,
    };
    if of_version != version {
        return Err(format!("{:?} is of another IP version", words.join(" ")));
    }
    Ok((subject, tokens.get(length..).unwrap_or_default()))
}

fn unknown(words: &[&str]) -> String {
    format!("{:?} is not supported; what is: {KNOWN}", words.join(" "))
}

/// The values of a comparison, and the tokens behind them.
fn values(tokens: &[String]) -> Result<(Vec<&str>, &[String]), String> {
    match tokens {
        [] => Err("a value is missing at the end".to_owned()),
        [brace, rest @ ..] if brace == "{" => {
            let end = rest.iter().position(|token| token == "}");
            let (inside, behind) = rest.split_at(end.ok_or("\"{\" has no \"}\"")?);
            let values: Vec<&str> =
                inside.iter().map(String::as_str).filter(|token| *token != ",").collect();
            if values.is_empty() {
                return Err("a set has no value".to_owned());
            }
            Ok((values, behind.get(1..).unwrap_or_default()))
        }
        [value, rest @ ..] => Ok((vec![value], rest)),
    }
}

fn statement(field: Field, comparison: Comparison, text: &str) -> Result<Statement, String> {
    let value = match field {
        Field::Ip4Source | Field::Ip4Destination | Field::Ip6Source | Field::Ip6Destination => {
            return address(field, comparison, text);
        }
        Field::InputName | Field::OutputName => name(text),
        Field::Mark => number(text).map(Value::Mark),
        Field::L4Protocol => Protocol::named(text).map(|one| Value::Protocol(one.number())),
        _ => text.parse().ok().map(Value::Port),
    };
    let value = value.ok_or_else(|| format!("{text:?} is no value of {field}"))?;
    Ok(Statement::Compare(field, comparison, value))
}

fn address(field: Field, comparison: Comparison, text: &str) -> Result<Statement, String> {
    let wrong = || format!("{text:?} is no value of {field}; an address or a subnet is");
    let is_of_field = |version| {
        let four = matches!(field, Field::Ip4Source | Field::Ip4Destination);
        (version == IpVersion::V4) == four
    };
    if let Some(ip) = parse_ip(text).filter(|ip| is_of_field(version_of(*ip))) {
        return Ok(Statement::Compare(field, comparison, Value::Ip(ip)));
    }
    let subnet = parse_cidr(text).filter(|net| is_of_field(version_of(net.ip())));
    let subnet = subnet.ok_or_else(wrong)?;
    Ok(match comparison {
        Comparison::Equal => Statement::Inside(field, subnet),
        Comparison::NotEqual => Statement::Outside(field, subnet),
    })
}

/// An interface's name. In `nft` one with an asterisk stands for many.
fn name(text: &str) -> Option<Value> {
    let name: IfName = text.parse().ok()?;
    (!text.contains('*')).then(|| Value::Name(name.to_string()))
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, version: IpVersion) -> Result<Vec<String>, String> {
        let rows = parse(&[text.to_owned()], version)?;
        let line = |row: &Vec<Statement>| row.iter().map(ToString::to_string).collect::<Vec<_>>();
        Ok(rows.iter().map(|row| line(row).join(" ")).collect())
    }

    #[test]
    fn what_is_understood_reads_as_nft_writes_it() {
        for (text, lines) in [
            ("", vec![]),
            ("ip saddr 10.0.0.1", vec!["ip saddr 10.0.0.1"]),
            (
                "ip daddr == 10.0.0.0/8 iifname \"eth0\"",
                vec!["ip daddr 10.0.0.0/8 iifname \"eth0\""],
            ),
            (
                "ip saddr != {10.0.0.0/8,192.0.2.1} meta mark 0x10",
                vec!["ip saddr != 10.0.0.0/8 ip saddr != 192.0.2.1 meta mark 0x10"],
            ),
            (
                "iifname { eth0, eth1 } tcp sport 22",
                vec![
                    "iifname \"eth0\" meta l4proto tcp th sport 22",
                    "iifname \"eth1\" meta l4proto tcp th sport 22",
                ],
            ),
            ("meta l4proto != udp", vec!["meta l4proto != udp"]),
        ] {
            let lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
            assert_eq!(parsed(text, IpVersion::V4), Ok(lines), "{text}");
        }
        let six = parsed("ip6 saddr fd00::/8", IpVersion::V6);
        assert_eq!(six, Ok(vec!["ip6 saddr fd00::/8".to_owned()]));
    }

    #[test]
    fn what_is_not_is_said() {
        for (text, fault) in [
            ("ct state new", "\"ct state\" is not supported"),
            ("ip6 saddr fd00::1", "\"ip6 saddr\" is of another IP version"),
            ("ip saddr fd00::1", "\"fd00::1\" is no value of ip saddr"),
            ("ip saddr 10.0.0.1-10.0.0.9", "\"10.0.0.1-10.0.0.9\" is no value of ip saddr"),
            ("ip saddr", "a value is missing at the end"),
            ("ip saddr { 10.0.0.1", "\"{\" has no \"}\""),
            ("ip saddr { }", "a set has no value"),
            ("iifname \"eth0", "a quote has no end"),
            ("iifname eth*", "\"eth*\" is no value of iifname"),
            ("ip saddr 10.0.0.1 drop", "\"drop\" is not supported"),
            ("ip saddr @blocked", "\"@blocked\" is no value of ip saddr"),
        ] {
            let error = parsed(text, IpVersion::V4).unwrap_err();
            assert!(error.starts_with(fault), "{text}: {error}");
        }
        let set = "{ 1, 2, 3, 4, 5, 6, 7, 8, 9 }";
        let many = format!("meta mark {set} th sport {set}");
        assert_eq!(
            parsed(&many, IpVersion::V4).unwrap_err(),
            "more than 64 combinations of values"
        );
    }
}
