//! Colours and letters of the SVG image, and how a text is written there. No font and nothing else comes from
//! elsewhere; on a dark desktop the image is dark. Pure.

/// Pixels that a character is wide at most: 0.61 of the size of letters.
pub(super) const CHARACTER: usize = 8;
/// Pixels from one line of text to the next.
pub(super) const LINE: usize = 18;

/// The classes of everything that is drawn. What is dead or wrong is dashed and says so, besides its colour.
pub(super) const STYLE: &str = "\
text { font-family: ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace; font-size: 13px; fill: #1b1f24; }
.ground { fill: #ffffff; }
.bridge { fill: #e3edf7; stroke: #2b5c8c; }
.card { fill: #f8f9fa; stroke: #868e98; }
.wire { fill: none; stroke: #2b5c8c; stroke-width: 1.5; }
.name { font-weight: bold; }
.faint { fill: #57606a; }
.port { fill: #0b5d3b; }
.wrong { fill: #b3261e; }
.dashed { stroke-dasharray: 5 3; }
.dead .card { fill: #fdf0ef; stroke: #b3261e; }
@media (prefers-color-scheme: dark) {
text { fill: #e6e9ed; }
.ground { fill: #14171b; }
.bridge { fill: #1d2f42; stroke: #7fb3e3; }
.card { fill: #1f242a; stroke: #79828d; }
.wire { stroke: #7fb3e3; }
.faint { fill: #a9b2bc; }
.port { fill: #7fd6a8; }
.wrong { fill: #ff9d94; }
.dead .card { fill: #38201f; stroke: #ff9d94; }
}
";

/// A line of text of a class.
pub(super) struct Line {
    pub(super) class: &'static str,
    pub(super) text: String,
}

/// The lines that these words take, joined by a comma, where each is at most `width` characters wide. Of more
/// than `most` lines the rest is counted.
pub(super) fn wrap(words: &[String], width: usize, most: usize) -> Vec<String> {
    let mut lines: Vec<(String, usize)> = Vec::new();
    for word in words.iter().map(|word| shortened(word, width.saturating_sub(1))) {
        match lines.last_mut() {
            Some((line, count)) if wide(line) + wide(&word) + 3 <= width => {
                line.push_str(&format!(", {word}"));
                *count += 1;
            }
            _ => lines.push((word, 1)),
        }
    }
    if lines.len() > most {
        let left: usize = lines.iter().skip(most.saturating_sub(1)).map(|(_, count)| count).sum();
        lines.truncate(most.saturating_sub(1));
        lines.push((format!("and {left} more"), left));
    }
    let last = lines.len().saturating_sub(1);
    let ended = |(index, (line, _)): (usize, (String, usize))| {
        if index < last { format!("{line},") } else { line }
    };
    lines.into_iter().enumerate().map(ended).collect()
}

/// The text, or its two ends where it is wider.
pub(super) fn shortened(text: &str, width: usize) -> String {
    if wide(text) <= width {
        return text.to_owned();
    }
    let half = width.saturating_sub(1) / 2;
    let head = taken(text.chars(), half);
    let tail = taken(text.chars().rev(), half);
    format!("{head}…{}", tail.chars().rev().collect::<String>())
}

fn taken(characters: impl Iterator<Item = char>, width: usize) -> String {
    let mut left = width;
    let fits = |one: &char| {
        let is_room = left >= columns(*one);
        left = left.saturating_sub(columns(*one));
        is_room
    };
    characters.take_while(fits).collect()
}

/// How many characters wide a text is.
pub(super) fn wide(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// Those of East Asia and pictures are twice as wide (Unicode TR 11, roughly).
fn columns(character: char) -> usize {
    if character >= '\u{1100}' && !matches!(character, '\u{2000}'..='\u{2bff}') { 2 } else { 1 }
}

/// A text as XML has it, which has no control characters.
pub(super) fn escaped(text: &str) -> String {
    let mut all = String::new();
    for character in text.chars() {
        match character {
            '&' => all.push_str("&amp;"),
            '<' => all.push_str("&lt;"),
            '>' => all.push_str("&gt;"),
            '"' => all.push_str("&quot;"),
            '\'' => all.push_str("&#39;"),
            '\n' => all.push('\n'),
            _ if character.is_control() => all.push('\u{fffd}'),
            '\u{fffe}' | '\u{ffff}' => all.push('\u{fffd}'),
            _ => all.push(character),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("word{number}")).collect()
    }

    #[test]
    fn what_has_no_room_is_counted() {
        assert_eq!(wrap(&words(3), 14, 9), ["word0, word1,", "word2"]);
        assert_eq!(wrap(&words(9), 14, 2), ["word0, word1,", "and 7 more"]);
        assert_eq!(wrap(&[], 14, 2), Vec::<String>::new());
        assert_eq!(wrap(&["x".repeat(20)], 10, 2), ["xxxx…xxxx"]);
    }

    #[test]
    fn a_long_name_keeps_both_ends_and_a_wide_one_its_room() {
        assert_eq!(shortened("abcdefghij", 10), "abcdefghij");
        assert_eq!(shortened("abcdefghijk", 7), "abc…ijk");
        assert_eq!(shortened("容器容器容器", 7), "容…器");
    }

    #[test]
    fn nothing_of_a_text_is_markup() {
        assert_eq!(
            escaped("<a b='c' d=\"&\">\u{1b}"),
            "&lt;a b=&#39;c&#39; d=&quot;&amp;&quot;&gt;\u{fffd}"
        );
    }
}
