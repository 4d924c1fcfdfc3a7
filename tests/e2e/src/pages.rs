//! The configurations and commands of the documents, for the tests to use just those.

use std::fs;

use crate::checkout;

/// The `number`th (from 0) fenced block of `language` in the page at that path of the checkout.
pub fn block(page: &str, language: &str, number: usize) -> String {
    let text = fs::read_to_string(checkout().join(page)).unwrap();
    let mut found = Vec::new();
    let mut block: Option<(bool, String)> = None;
    for line in text.lines() {
        match (&mut block, line.strip_prefix("```")) {
            (None, Some(language_here)) => block = Some((language_here == language, String::new())),
            (Some((wanted, text)), Some(_)) => {
                if *wanted {
                    found.push(std::mem::take(text));
                }
                block = None;
            }
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    let count = found.len();
    found
        .into_iter()
        .nth(number)
        .unwrap_or_else(|| panic!("{page}: {count} blocks of {language}, number {number} wanted"))
}
