//! The rows of the plugins' error tables that a text is about. In a row `…` stands for what varies; the text may be
//! a whole message with more around it, or a part of one.

use cni_common::Code;

use super::PLUGINS;
use super::pages::table;

/// What a part of a message has at least: "what is" is a part of some, and says nothing.
const MIN_WORDS: usize = 2;
const MIN_LETTERS: usize = 8;

/// What varies.
const ANYTHING: &str = "…";

/// A row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Whose error it is.
    pub(super) plugin: &'static str,
    /// The message.
    pub(super) message: &'static str,
    /// Its code.
    pub(super) code: Code,
    /// What to do, as the page has it.
    pub(super) advice: &'static str,
}

/// The rows that a text is about, best first: those of the code that is known, then those that more of the text is.
pub(super) fn find(text: &str, known: Option<Code>) -> Vec<Row> {
    let text = words(text);
    let mut found: Vec<(bool, usize, Row)> = all()
        .filter_map(|row| {
            let letters = letters_in_common(&words(row.message), &text)?;
            Some((known == Some(row.code), letters, row))
        })
        .collect();
    found.sort_by_key(|(is_known, letters, _)| std::cmp::Reverse((*is_known, *letters)));
    found.into_iter().map(|(_, _, row)| row).collect()
}

/// All rows of all pages.
fn all() -> impl Iterator<Item = Row> {
    let of_page = |(plugin, page)| table(page, "| Message |").map(move |cells| (plugin, cells));
    PLUGINS.into_iter().flat_map(of_page).filter_map(|(plugin, cells)| {
        let [message, code, advice] = cells.as_slice() else { return None };
        let message = message.split('`').nth(1)?;
        Some(Row { plugin, message, code: Code::of(code.parse().ok()?)?, advice })
    })
}

/// The words of a text in small letters, without what stands around them.
fn words(text: &str) -> Vec<String> {
    let is_around = |letter: char| "\"'`“”,;:.()[]\\".contains(letter);
    let words = text.split_whitespace().map(|word| word.trim_matches(is_around).to_lowercase());
    words.filter(|word| !word.is_empty()).collect()
}

/// How many letters of the message the text has: all of them, somewhere in it, or those of the longest part of the
/// message that the text is.
fn letters_in_common(message: &[String], text: &[String]) -> Option<usize> {
    let anything = [ANYTHING.to_owned()];
    if fits(&[&anything, message, &anything].concat(), text) {
        return Some(letters(message));
    }
    let starts = 0..message.len();
    let parts = starts.flat_map(|from| (from + 1..=message.len()).map(move |to| from..to));
    let parts = parts.filter_map(|part| message.get(part));
    let is_enough = |part: &&[String]| {
        part.iter().filter(|word| *word != ANYTHING).count() >= MIN_WORDS
            && letters(part) >= MIN_LETTERS
    };
    parts.filter(is_enough).filter(|part| fits(part, text)).map(letters).max()
}

fn letters(message: &[String]) -> usize {
    message.iter().flat_map(|word| word.chars()).filter(|letter| *letter != '…').count()
}

/// Whether the message is this text from its first word to its last.
fn fits(message: &[String], text: &[String]) -> bool {
    let (mut at, mut read) = (0, 0);
    // Behind the last `…`, and how much of the text that has swallowed.
    let mut retry = None;
    while let Some(word) = text.get(read) {
        match (message.get(at), retry) {
            (Some(part), _) if part == ANYTHING => {
                at += 1;
                retry = Some((at, read));
            }
            // Of `…-specific` that it is in the word.
            (Some(part), _)
                if part == word || part.contains('…') && word.contains(part.trim_matches('…')) =>
            {
                at += 1;
                read += 1;
            }
            (_, Some((behind, swallowed))) => {
                at = behind;
                read = swallowed + 1;
                retry = Some((behind, read));
            }
            _ => return false,
        }
    }
    message.iter().skip(at).all(|part| part == ANYTHING)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::WRONG;
    use crate::explain::pages::with_sections;

    fn messages(text: &str) -> Vec<&'static str> {
        find(text, None).iter().map(|row| row.message).collect()
    }

    #[test]
    fn every_row_is_found_by_its_message_with_something_for_what_varies() {
        let mut count = 0;
        for row in all() {
            // Words where they are what varies, signs where they are in a word: `…-specific`.
            let varied = row.message.split(' ').map(|word| {
                let is_apart = word.chars().all(|letter| !letter.is_alphanumeric());
                word.replace('…', if is_apart { "\"x 1\"" } else { "\"" })
            });
            let message = varied.collect::<Vec<_>>().join(" ");
            let around = format!("plugin type=\"x\" failed (add): {message} and more");
            for text in [message.as_str(), &around, &message.to_uppercase()] {
                assert!(find(text, None).contains(&row), "{text}");
            }
            assert_eq!(messages(&message).first(), Some(&row.message), "{message}");
            count += 1;
        }
        // What is no row of three cells with a code would not be found.
        let below = |page: &str| table(page, "| Message |").count().saturating_sub(1);
        assert_eq!(count, PLUGINS.iter().map(|(_, page)| below(page)).sum::<usize>());
        assert!(count > 40, "{count} rows");
    }

    #[test]
    fn a_row_that_leads_to_a_section_leads_to_one_that_is_printed() {
        let leading = || all().filter(|row| row.advice.contains(".md#"));
        for row in leading() {
            let advice = with_sections(row.advice, WRONG);
            assert!(advice.contains("\n\n"), "{} leads nowhere", row.advice);
        }
        assert!(leading().count() > 5);
    }

    #[test]
    fn a_part_of_a_message_is_enough() {
        let full = "bridge … is full: the kernel gives a bridge at most 1023 ports";
        for text in ["bridge \"cni0\" is full", "bridge \\\"cni0\\\" is full", "at most 1023 ports"]
        {
            assert_eq!(messages(text), [full], "{text}");
        }
        let both = ["container veth name … already exists", "… already exists but is not a bridge"];
        let mut found = messages("already exists");
        found.sort_by_key(|message| message.starts_with('…'));
        assert_eq!(found, both);
    }

    #[test]
    fn what_is_no_part_of_a_message_is_not_found() {
        for text in ["", "…", "x", "what is this", "no such thing", "bridge", "the bridge is full"]
        {
            assert_eq!(messages(text), Vec::<&str>::new(), "{text}");
        }
    }

    #[test]
    fn more_in_common_is_better_and_the_code_that_is_known_best() {
        let text = "host port tcp 80 is held by a; bridge \"b\" is full: the kernel gives a bridge at most \
            1023 ports";
        let plugins =
            |known| -> Vec<&str> { find(text, known).iter().map(|row| row.plugin).collect() };
        assert_eq!(plugins(None), ["bridge", "portmap"]);
        assert_eq!(plugins(Some(Code::Conflict)), ["portmap", "bridge"]);
    }
}
