//! The documents' links: each leads to a file of the checkout, to a heading of it where it names one, and
//! whoever begins with README.md gets to every page.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use testsupport::golden;

/// Every document, by its path from the root of the checkout.
pub(crate) fn documents() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    collect(&golden::path(""), Path::new(""), &mut found);
    assert!(found.len() > 40, "{} documents", found.len());
    found
}

fn collect(root: &Path, below: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let name = entry.unwrap().file_name();
        let path = below.join(&name);
        let is_hidden = name.to_str().unwrap().starts_with('.');
        if root.join(&path).is_dir() {
            // What is built, and what git keeps, is none of the project's.
            if !is_hidden && name != "target" && name != "dist" {
                collect(root, &path, found);
            }
        } else if path.extension().is_some_and(|kind| kind == "md") {
            found.insert(path.clone(), fs::read_to_string(root.join(path)).unwrap());
        }
    }
}

/// The text without its blocks of code, and with nothing between backticks.
fn prose(text: &str) -> String {
    let mut prose = String::new();
    let mut is_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code && !line.starts_with("    ") {
            prose.extend(line.split('`').step_by(2));
            prose.push('\n');
        }
    }
    prose
}

/// The targets of the links and pictures that lead into the checkout.
fn targets(text: &str) -> Vec<String> {
    let prose = prose(text);
    let all = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let inside = all.map(|(target, _)| target.to_owned());
    inside.filter(|target| !target.contains("://") && !target.starts_with("mailto:")).collect()
}

/// What a heading is called in an address: GitHub's rule.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut is_code = false;
    for line in text.lines() {
        is_code ^= line.starts_with("```");
        let title = line.trim_start_matches('#');
        if is_code || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let mut anchor = String::new();
        for letter in title.trim().to_lowercase().chars() {
            match letter {
                ' ' => anchor.push('-'),
                '-' | '_' => anchor.push(letter),
                letter if letter.is_alphanumeric() => anchor.push(letter),
                _ => {}
            }
        }
        let again = (1..).map(|number| format!("{anchor}-{number}"));
        let free = std::iter::once(anchor.clone()).chain(again).find(|one| !found.contains(one));
        found.insert(free.unwrap());
    }
    found
}

/// The path that a target names, from the root of the checkout.
fn resolve(document: &Path, target: &str) -> PathBuf {
    if target.is_empty() {
        return document.to_owned();
    }
    let mut path = PathBuf::new();
    for part in document.parent().unwrap().join(target).components() {
        match part {
            Component::ParentDir => assert!(path.pop(), "{target} leaves the checkout"),
            part => path.push(part),
        }
    }
    path
}

/// What is wrong with a link, if anything is.
fn fault(documents: &BTreeMap<PathBuf, String>, document: &Path, target: &str) -> Option<String> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = resolve(document, path);
    if !golden::path("").join(&path).exists() {
        return Some(format!("{}: {target}: there is no {}", document.display(), path.display()));
    }
    let known = anchor.is_empty()
        || documents.get(&path).is_some_and(|text| anchors(text).contains(anchor));
    (!known).then(|| format!("{}: {target}: there is no such heading", document.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let documents = documents();
    let mut count = 0;
    let mut faults = Vec::new();
    for (document, text) in &documents {
        let targets = targets(text);
        count += targets.len();
        faults.extend(targets.iter().filter_map(|target| fault(&documents, document, target)));
    }
    assert_eq!(faults, Vec::<String>::new());
    assert!(count > 100, "{count} links");
}

#[test]
fn every_page_is_reached_from_the_readme() {
    let documents = documents();
    let mut reached = BTreeSet::new();
    let mut open = vec![PathBuf::from("README.md")];
    while let Some(document) = open.pop() {
        if !reached.insert(document.clone()) {
            continue;
        }
        for target in targets(&documents[&document]) {
            let path = resolve(&document, target.split('#').next().unwrap());
            // A link to a folder leads to all that is in it.
            let pages = documents.keys().filter(|page| {
                **page == path
                    || page.parent() == Some(&path) && golden::path("").join(&path).is_dir()
            });
            open.extend(pages.cloned());
        }
    }
    let missed: Vec<&PathBuf> = documents.keys().filter(|page| !reached.contains(*page)).collect();
    assert_eq!(missed, Vec::<&PathBuf>::new());
}

#[test]
fn links_and_headings_are_found() {
    let text = "# A `b` of C_d: e\n\n[one](a.md#x), ![two](b.svg), `[not](c)` [web](https://d)\n\
                ```\n[not](e)\n# not\n```\n## Same\n## Same\n";
    assert_eq!(targets(text), ["a.md#x", "b.svg"]);
    let expected = ["a-b-of-c_d-e", "same", "same-1"].map(str::to_owned);
    assert_eq!(anchors(text), BTreeSet::from(expected));
}
