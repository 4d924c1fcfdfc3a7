//! `causeway explain`: what an error code, a finding, a state, a key or an error text means, and what to do.
//!
//! Codes are those of the table that the plugins' errors come from; keys, findings and states are explained by the
//! tables of docs/plugins and docs/operating.md, which this executable holds.

use cni_common::{Code, Error, Result};
use serde::Serialize;
use serde_json::Value;

use crate::exit::Exit;
use crate::output::{Colour, Output};

/// The pages of the plugins, by the words for each.
const PLUGINS: [(&str, &str); 8] = [
    ("bridge", include_str!("../../../docs/plugins/bridge.md")),
    ("host-local (ipam)", include_str!("../../../docs/plugins/host-local.md")),
    ("static (ipam)", include_str!("../../../docs/plugins/static.md")),
    ("portmap", include_str!("../../../docs/plugins/portmap.md")),
    ("firewall", include_str!("../../../docs/plugins/firewall.md")),
    ("bandwidth", include_str!("../../../docs/plugins/bandwidth.md")),
    ("tuning", include_str!("../../../docs/plugins/tuning.md")),
    ("every plugin", include_str!("../../../docs/plugins/README.md")),
];
const OPERATING: &str = include_str!("../../../docs/operating.md");

/// What plugins say in errors of a code that the text itself does not name.
const TEXTS: [(&str, Code); 9] = [
    ("no IP addresses available in range set", Code::Exhausted),
    ("duplicate allocation is not allowed", Code::Conflict),
    ("already has an IP address different from", Code::Conflict),
    ("already exists but is not a bridge", Code::Conflict),
    ("is held by", Code::Conflict),
    ("drops what containers send", Code::Conflict),
    ("has not ended within", Code::TryAgainLater),
    ("incompatible CNI versions", Code::IncompatibleVersion),
    ("should not be the same", Code::InvalidNetns),
];

/// What there is to be said, as JSON has it.
#[derive(Serialize)]
struct Explanations {
    explanations: Vec<Explanation>,
}

#[derive(Serialize)]
struct Explanation {
    /// What is explained.
    what: String,
    /// What it means.
    means: String,
    /// What to do about it; for a key its default.
    advice: String,
}

/// Explains it.
pub(crate) fn explain(what: &str, output: Output) -> Result<Exit> {
    let explanations = find(what);
    if explanations.is_empty() {
        let message = format!(
            "{what:?} is no code, finding, state or key of this suite, and no error text that it knows"
        );
        return Err(Error::new(Code::InvalidConfig, message));
    }
    let all = Explanations { explanations };
    output.show(&all, || all.explanations.iter().map(|one| text(one, output)).collect())?;
    Ok(Exit::OK)
}

fn text(one: &Explanation, output: Output) -> String {
    let Explanation { what, means, advice } = one;
    format!("{}: {means}\n    {advice}\n", output.paint(Colour::Good, what))
}

fn find(what: &str) -> Vec<Explanation> {
    let codes: Vec<Code> = codes(what);
    let mut all: Vec<Explanation> = codes.into_iter().map(of_code).collect();
    all.extend(rows(OPERATING, "| Finding |", "", what));
    all.extend(rows(OPERATING, "| State |", "", what));
    for (plugin, page) in PLUGINS {
        all.extend(rows(page, "| Key |", plugin, what));
        all.extend(rows(page, "| Key or variable |", plugin, what));
    }
    all
}

/// The codes that a text names: by a number alone, as `(code 104)`, as an error object, or by the words
/// that plugins use.
fn codes(what: &str) -> Vec<Code> {
    let object = what.find('{').and_then(|at| serde_json::from_str::<Value>(what.get(at..)?).ok());
    let of_object = object.and_then(|object| object.get("code")?.as_u64());
    let after = |word: &str| {
        let digits = what.split(word).nth(1)?.trim_start_matches([' ', ':', '=', '"']);
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits.get(..end)?.parse::<u64>().ok()
    };
    let number = what.trim().parse().ok().or(of_object).or_else(|| after("code"));
    let named = number.and_then(|number| Code::of(u32::try_from(number).ok()?));
    match named {
        Some(code) => vec![code],
        None => {
            let known = TEXTS.iter().filter(|(text, _)| what.contains(text));
            known.map(|(_, code)| *code).take(1).collect()
        }
    }
}

fn of_code(code: Code) -> Explanation {
    let what = format!("code {}", code as u32);
    Explanation { what, means: code.meaning().to_owned(), advice: code.advice().to_owned() }
}

/// The rows of a document's tables with this title whose first cell names the word; `owner` is whose
/// keys they are.
fn rows(document: &str, title: &str, owner: &str, word: &str) -> Vec<Explanation> {
    let mut found = Vec::new();
    let mut is_inside = false;
    for line in document.lines() {
        is_inside = line.starts_with(title) || (is_inside && line.starts_with('|'));
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [first, rest @ ..] = cells.as_slice() else { continue };
        let mut names = first.split('`').skip(1).step_by(2);
        if !is_inside || !names.any(|name| name.eq_ignore_ascii_case(word)) {
            continue;
        }
        let cell = |at: usize| without_links(rest.get(at).copied().unwrap_or_default());
        found.push(match title {
            "| Key |" => Explanation {
                what: format!("{word} of {owner}"),
                means: cell(1),
                advice: format!("default: {}; in the reference plugins: {}", cell(0), cell(2)),
            },
            "| Key or variable |" => Explanation {
                what: format!("{word} of {owner}"),
                means: cell(0),
                advice: format!("in the reference plugins: {}", cell(1)),
            },
            "| State |" => {
                Explanation { what: word.to_owned(), means: cell(0), advice: advice_of_state(word) }
            }
            _ => Explanation {
                what: word.to_owned(),
                means: cell(0),
                advice: format!("what mends it: {}", cell(1)),
            },
        });
    }
    found
}

/// The finding that is told of attachments in this state, as their rows name it.
fn advice_of_state(state: &str) -> String {
    let named = format!("(`{}`)", state.to_ascii_lowercase());
    let row = OPERATING.lines().find(|line| line.contains(&named)).unwrap_or_default();
    match row.split('`').nth(1) {
        Some(finding) => format!("causeway explain {finding} says what mends it"),
        None => "nothing is wrong with it".to_owned(),
    }
}

/// `[text](page.md)` as its text.
fn without_links(cell: &str) -> String {
    let mut parts = cell.split("](");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let linked = text.rfind('[').map(|at| text.split_off(at));
        text.extend(linked.as_deref().and_then(|linked| linked.strip_prefix('[')));
        text.push_str(part.split_once(')').map_or(part, |(_target, rest)| rest));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn first(what: &str) -> String {
        find(what).first().map(|one| format!("{}: {}", one.what, one.means)).unwrap_or_default()
    }

    #[test]
    fn codes_are_found_in_every_form() {
        for text in [
            "104",
            "failed (code 104)",
            r#"{"cniVersion":"1.0.0","code":104,"msg":"failed to allocate for range 0: x"}"#,
            "failed to allocate for range 0: no IP addresses available in range set: 10.0.0.1-10.0.0.9",
        ] {
            assert!(first(text).starts_with("code 104: no address is left"), "{text}");
        }
        for code in Code::ALL {
            assert_eq!(Code::of(code as u32), Some(code));
            assert!(!code.meaning().is_empty() && !code.advice().is_empty());
        }
        assert!(find("no such thing").is_empty());
        assert!(find("77").is_empty());
    }

    #[test]
    fn the_page_for_operators_says_of_every_code_the_same() {
        let page = include_str!("../../../docs/when-something-is-wrong.md");
        for code in Code::ALL {
            let row = format!("| {} | {} | {} |\n", code as u32, code.meaning(), code.advice());
            assert!(page.contains(&row), "not in the page: {row}");
        }
    }

    #[test]
    fn a_link_is_its_text() {
        let cell = "lines of JSON ([the log](../log.md)), `a[0]`, [b](c)";
        assert_eq!(without_links(cell), "lines of JSON (the log), `a[0]`, b");
    }

    #[test]
    fn keys_and_findings_are_those_of_the_documents() {
        assert!(
            first("hairpinMode").starts_with("hairpinMode of bridge: the container reaches itself")
        );
        assert!(first("cooldownseconds").contains("host-local (ipam)"));
        assert!(first("port-off-bridge").contains("no port of it"));
        assert!(first("logFile").contains("every plugin"));
    }

    #[test]
    fn states_lead_to_their_findings() {
        let advice = |what: &str| find(what).first().map(|one| one.advice.clone());
        for (state, words) in [
            ("alive", "nothing is wrong with it"),
            ("gone", "causeway explain dead-attachment says what mends it"),
            ("only-lease", "causeway explain lease-without-interface says what mends it"),
        ] {
            assert_eq!(advice(state).as_deref(), Some(words), "{state}");
        }
    }

    #[test]
    fn the_texts_are_those_that_plugins_say() {
        let mut source = String::new();
        for folder in ["plugins", "cni-common"] {
            collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder), &mut source);
        }
        for (text, _) in TEXTS {
            assert!(source.contains(text), "nobody says {text:?} any more");
        }
    }

    fn collect(folder: &Path, source: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => collect(&path, source),
                false if path.extension().is_some_and(|kind| kind == "rs") => {
                    source.push_str(&fs::read_to_string(path).unwrap());
                }
                false => {}
            }
        }
    }
}
