//! The tables of docs/plugins: the keys are those that the plugin reads, and the errors are in its words.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use testsupport::{PLUGINS, golden};

/// How code asks an object of the configuration for a key (`cni_common::spec::json`).
const READERS: [&str; 11] = [
    "value", "string", "nonempty", "flag", "integer", "object", "list", "strings", "parsed",
    "missing", "find",
];
/// What is read and is no key of a plugin's own: every network list has it, or an IPAM plugin's answer.
const COMMON: [&str; 6] = ["ipam", "prevResult", "ips", "interfaces", "cniVersion", "name"];

fn source_of(plugin: &str) -> String {
    let folder = ["plugins", "plugins/ipam"].map(|above| golden::path(above).join(plugin));
    let folder = folder.into_iter().find(|folder| folder.is_dir()).unwrap();
    let mut files = Vec::new();
    collect(&folder.join("src"), &mut files);
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
    texts.map(|text| text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned()).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => collect(&path, files),
            false if path.extension().is_some_and(|kind| kind == "rs") => files.push(path),
            false => {}
        }
    }
}

fn is_key(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|letter| letter.is_ascii_alphanumeric())
}

/// The keys that code reads by their names: `keys.flag("hairpinMode")`.
fn read_by(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut before = "";
    for part in source.split("(\"") {
        let reader = before.rsplit(|letter: char| !letter.is_alphanumeric()).next().unwrap();
        let word = part.split('"').next().unwrap();
        if READERS.contains(&reader) && is_key(word) && !COMMON.contains(&word) {
            found.insert(word.to_owned());
        }
        before = part;
    }
    found
}

/// The rows of a page's table that has this title in its first column.
fn rows<'a>(page: &'a str, title: &str) -> Vec<&'a str> {
    let title = format!("| {title} |");
    let table = page.lines().skip_while(|line| !line.starts_with(&title)).skip(2);
    table.take_while(|line| line.starts_with('|')).collect()
}

/// The words of a text.
fn words(text: &str) -> BTreeSet<&str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric()).collect()
}

#[test]
fn every_key_that_a_plugin_reads_is_in_its_table() {
    let mut count = 0;
    let mut missing = Vec::new();
    for plugin in PLUGINS {
        let page = golden::read(&format!("docs/plugins/{plugin}.md"));
        let table = rows(&page, "Key").concat();
        let known = words(&table);
        let read = read_by(&source_of(plugin));
        count += read.len();
        let lacks = read.iter().filter(|key| !known.contains(key.as_str()));
        missing.extend(lacks.map(|key| format!("{plugin}: {key}")));
    }
    assert_eq!(missing, Vec::<String>::new());
    assert!(count > 40, "{count} keys");
}

#[test]
fn every_key_of_a_table_is_read() {
    let mut everywhere = Vec::new();
    collect(&golden::path("cni-common/src"), &mut everywhere);
    let common: String = everywhere.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let mut unread = Vec::new();
    for plugin in PLUGINS {
        let source = source_of(plugin) + &common;
        let page = golden::read(&format!("docs/plugins/{plugin}.md"));
        for row in rows(&page, "Key") {
            let first = row.trim_start_matches('|').split(" | ").next().unwrap();
            // A path is a file's.
            let named = first.split('`').skip(1).step_by(2).filter(|name| !name.contains('/'));
            // Of `runtimeConfig.mac` the last word; of `args.cni.{mtu,promisc}` all; `MAC=` without its sign.
            let keys =
                named.flat_map(|name| name.rsplit('.').next().unwrap().split([',', '{', '}']));
            let keys = keys.map(|key| key.trim_end_matches('=')).filter(|key| is_key(key));
            let lost = keys.filter(|key| !source.contains(&format!("\"{key}\"")));
            unread.extend(lost.map(|key| format!("{plugin}: {key}")));
        }
    }
    assert_eq!(unread, Vec::<String>::new());
}

#[test]
fn every_error_of_a_table_is_in_the_plugins_words() {
    let mut count = 0;
    let mut unsaid = Vec::new();
    let mut common = Vec::new();
    collect(&golden::path("cni-common/src"), &mut common);
    let common: String = common.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let of_plugins = PLUGINS.map(|plugin| (plugin, source_of(plugin)));
    for (plugin, source) in of_plugins.into_iter().chain([("README", String::new())]) {
        // A text that goes on in the next line is one text.
        let source = source + &common;
        let source: String =
            source.split("\\\n").map(str::trim_start).collect::<String>().replace("\\\"", "\"");
        let page = golden::read(&format!("docs/plugins/{plugin}.md"));
        for row in rows(&page, "Message") {
            let message = row.split('`').nth(1).unwrap();
            count += 1;
            let parts = message.split('…').filter(|part| part.trim().len() > 3);
            let unknown = parts.filter(|part| !source.contains(part.trim()));
            unsaid.extend(unknown.map(|part| format!("{plugin}: {part:?}")));
        }
    }
    assert_eq!(unsaid, Vec::<String>::new());
    assert!(count > 40, "{count} errors");
}

#[test]
fn keys_are_found_in_code_and_in_a_table() {
    let code = "keys.flag(\"isGateway\")?; find(\"mtu\"); Error::new(\"no key\"); list(\"ips\")";
    assert_eq!(read_by(code), BTreeSet::from(["isGateway", "mtu"].map(str::to_owned)));
    let page = "text\n| Key | Default |\n|---|---|\n| `a.b` | 1 |\n| `c` | 2 |\n\n| `d` |\n";
    assert_eq!(rows(page, "Key"), ["| `a.b` | 1 |", "| `c` | 2 |"]);
}
