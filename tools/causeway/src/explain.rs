//! `causeway explain`: what an error code, a finding, a state, a key or an error text means, and what to do.
//!
//! Codes are those of the table that the plugins' errors come from; keys, errors, findings and states are explained
//! by the tables of docs/plugins and docs/operating.md, which this executable holds.
//!
//! - `errors`: the rows of the plugins' error tables that a text is about.
//! - `pages`: what the pages say, for a terminal.

mod errors;
mod pages;

use cni_common::{Code, Error, Result};
use serde::Serialize;
use serde_json::Value;

use crate::exit::Exit;
use crate::output::{Colour, Output};

use errors::Row;
use pages::{table, with_sections, without_links};

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
/// Where rows of errors lead to.
const WRONG: &str = include_str!("../../../docs/when-something-is-wrong.md");

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
    /// Whose error it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<&'static str>,
    /// Its code.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u32>,
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
    let Explanation { what, means, advice, .. } = one;
    let mut text = format!("{}: {means}\n", output.paint(Colour::Good, what));
    for line in advice.lines() {
        text.push_str(format!("    {line}").trim_end());
        text.push('\n');
    }
    text
}

fn find(what: &str) -> Vec<Explanation> {
    let object = error_object(what);
    let named = named_code(what, object.as_ref());
    let errors = errors::find(&message(what, object.as_ref()), named);
    let code = named.or_else(|| errors.first().map(|row| row.code));
    let mut all: Vec<Explanation> = errors.into_iter().map(of_error).collect();
    all.extend(code.map(of_code));
    all.extend(rows(OPERATING, "| Finding |", "", what));
    all.extend(rows(OPERATING, "| State |", "", what));
    for (plugin, page) in PLUGINS {
        all.extend(rows(page, "| Key |", plugin, what));
        all.extend(rows(page, "| Key or variable |", plugin, what));
    }
    all
}

/// The error object in a text, which may have more before and behind it.
fn error_object(what: &str) -> Option<Value> {
    let from = what.get(what.find('{')?..)?;
    serde_json::Deserializer::from_str(from).into_iter().next()?.ok()
}

/// What an error object says, else the text itself.
fn message(what: &str, object: Option<&Value>) -> String {
    let of_object = |key| object?.get(key)?.as_str();
    match of_object("msg") {
        Some(message) => format!("{message} {}", of_object("details").unwrap_or_default()),
        None => what.to_owned(),
    }
}

/// The code that a text names: as a number alone, as `(code 104)`, or in an error object.
fn named_code(what: &str, object: Option<&Value>) -> Option<Code> {
    let of_object = object.and_then(|object| object.get("code")?.as_u64());
    let after = |word: &str| {
        let digits = what.split(word).nth(1)?.trim_start_matches([' ', ':', '=', '"']);
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits.get(..end)?.parse::<u64>().ok()
    };
    let number = what.trim().parse().ok().or(of_object).or_else(|| after("code"))?;
    Code::of(u32::try_from(number).ok()?)
}

fn of_code(code: Code) -> Explanation {
    let what = format!("code {}", code as u32);
    let (means, advice) = (code.meaning().to_owned(), code.advice().to_owned());
    Explanation { what, means, advice, plugin: None, code: Some(code as u32) }
}

fn of_error(row: Row) -> Explanation {
    let code = row.code as u32;
    Explanation {
        what: format!("error of {}, code {code}", row.plugin),
        means: row.message.to_owned(),
        advice: with_sections(row.advice, WRONG),
        plugin: Some(row.plugin),
        code: Some(code),
    }
}

/// The rows of a document's tables with this title whose first cell names the word; `owner` is whose
/// keys they are.
fn rows(document: &str, title: &str, owner: &str, word: &str) -> Vec<Explanation> {
    let mut found = Vec::new();
    for cells in table(document, title) {
        let [first, rest @ ..] = cells.as_slice() else { continue };
        let mut names = first.split('`').skip(1).step_by(2);
        if !names.any(|name| name.eq_ignore_ascii_case(word)) {
            continue;
        }
        let cell = |at: usize| without_links(rest.get(at).copied().unwrap_or_default());
        let (what, means, advice) = match title {
            "| Key |" => (
                format!("{word} of {owner}"),
                cell(1),
                format!("default: {}; in the reference plugins: {}", cell(0), cell(2)),
            ),
            "| Key or variable |" => (
                format!("{word} of {owner}"),
                cell(0),
                format!("in the reference plugins: {}", cell(1)),
            ),
            "| State |" => (word.to_owned(), cell(0), advice_of_state(word)),
            _ => (word.to_owned(), cell(0), format!("what mends it: {}", cell(1))),
        };
        found.push(Explanation { what, means, advice, plugin: None, code: None });
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

#[cfg(test)]
mod tests {
    use super::*;

    fn first(what: &str) -> String {
        find(what).first().map(|one| format!("{}: {}", one.what, one.means)).unwrap_or_default()
    }

    #[test]
    fn codes_are_found_in_every_form() {
        for text in ["104", "failed (code 104)", r#"{"code":104,"msg":"x"}"#] {
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
    fn an_error_is_explained_by_the_row_of_its_plugin_and_then_by_its_code() {
        let message =
            "add x/y/eth0: bridge \"cni0\" is full: the kernel gives a bridge at most 1023 ports";
        let object = serde_json::json!({"cniVersion": "1.0.0", "code": 100, "msg": message});
        for text in [message, "bridge \"cni0\" is full", &format!("ADD: {object} of x")] {
            let all = find(text);
            let what: Vec<&str> = all.iter().map(|one| one.what.as_str()).collect();
            assert_eq!(what, ["error of bridge, code 100", "code 100"], "{text}");
            assert_eq!(all[0].advice, "give new containers a network on another bridge");
        }
    }

    #[test]
    fn a_row_that_leads_to_a_section_is_followed_by_it() {
        let all = find("\"cni0\" already has an IP address different from 10.1.0.1/16");
        assert!(all[0].advice.starts_with("the subnet was changed\n\n"), "{}", all[0].advice);
        assert!(all[0].advice.ends_with("Restart those."), "{}", all[0].advice);
        assert!(!all[0].advice.contains("```"));
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
}
