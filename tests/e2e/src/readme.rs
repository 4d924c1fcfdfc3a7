//! The README's configurations and commands, for the tests to use just those.

use std::fs;

use crate::checkout;

/// The `number`th (from 0) fenced block of `language` in the section with that heading.
pub fn block(heading: &str, language: &str, number: usize) -> String {
    let text = fs::read_to_string(checkout().join("README.md")).unwrap();
    let title = |line: &str| {
        line.strip_prefix('#').map(|rest| rest.trim_start_matches('#').trim().to_owned())
    };
    let mut lines = text.lines().skip_while(|line| title(line).as_deref() != Some(heading));
    assert!(lines.next().is_some(), "README.md has no section {heading:?}");
    let mut found = Vec::new();
    let mut block: Option<(bool, String)> = None;
    for line in lines {
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
            (None, None) if title(line).is_some() => break,
            (None, None) => {}
        }
    }
    let count = found.len();
    found.into_iter().nth(number).unwrap_or_else(|| {
        panic!(
            "README.md, section {heading:?}: {count} blocks of {language}, number {number} wanted"
        )
    })
}
