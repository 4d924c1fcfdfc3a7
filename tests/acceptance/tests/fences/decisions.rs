//! The pages of docs/decisions: one number each, and every reference leads to one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use testsupport::golden;

/// The pages by their numbers.
fn pages() -> BTreeMap<String, Vec<String>> {
    let mut pages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in fs::read_dir(golden::path("docs/decisions")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        pages.entry(name[..4].to_owned()).or_default().push(name);
    }
    pages
}

#[test]
fn a_number_is_of_one_decision_which_begins_with_it() {
    for (number, names) in pages() {
        assert_eq!(names.len(), 1, "{number}: {names:?}");
        let text = fs::read_to_string(golden::path("docs/decisions").join(&names[0])).unwrap();
        let title = format!("# {}. ", number.trim_start_matches('0'));
        assert!(text.starts_with(&title), "{} does not begin with {title:?}", names[0]);
    }
}

#[test]
fn a_reference_to_a_decision_leads_to_one() {
    let pages = pages();
    let mut seen = 0;
    for path in texts() {
        let text = fs::read_to_string(&path).unwrap();
        for rest in text.split("decisions/").skip(1) {
            let word: String = rest
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "-.".contains(*c))
                .collect();
            let Some(number) = word.get(..4).filter(|number| number.parse::<u32>().is_ok()) else {
                continue;
            };
            seen += 1;
            let names = pages.get(number);
            let is_there = match word.ends_with(".md") {
                true => names.is_some_and(|names| names.contains(&word)),
                false => names.is_some(),
            };
            assert!(is_there, "{}: no decision {word:?}", path.display());
        }
    }
    assert!(seen > 10, "{seen} references found");
}

/// The documents and the source.
fn texts() -> Vec<PathBuf> {
    let mut texts = vec![golden::path("README.md"), golden::path("CHANGELOG.md")];
    for folder in ["docs", "cni-common", "cni-runtime", "plugins", "tools", "tests", "scripts"] {
        collect(&golden::path(folder), &mut texts);
    }
    texts
}

fn collect(folder: &Path, texts: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_text = path.extension().is_some_and(|kind| kind == "md" || kind == "rs");
        match path.is_dir() {
            true if !path.ends_with("target") => collect(&path, texts),
            false if is_text => texts.push(path),
            _ => {}
        }
    }
}
