//! Which of several words was meant by a misspelt one. Pure.

/// A longer word is none that anybody misspelt.
const MAX_LENGTH: usize = 64;

/// The word that is nearest to `wanted`, if it is near enough to be meant for it: without regard to
/// case, two letters may be wrong, and one in a word of up to three.
pub(super) fn nearest<'a>(
    wanted: &str,
    words: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = if wanted.len() > 3 { 2 } else { 1 };
    let distances = words
        .into_iter()
        .filter(|word| word.len() <= MAX_LENGTH)
        .map(|word| (distance(&wanted.to_ascii_lowercase(), &word.to_ascii_lowercase()), word));
    distances.filter(|(distance, _)| *distance <= limit).min().map(|(_, word)| word)
}

/// How many letters must be added, left out or replaced to make one word of the other
/// (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut next = vec![index + 1];
        for ((above_left, above), theirs) in row.iter().zip(row.iter().skip(1)).zip(&other) {
            let replaced = above_left + usize::from(letter != *theirs);
            let left = next.last().copied().unwrap_or_default();
            next.push(replaced.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_is_found_and_another_is_not() {
        assert_eq!(nearest("subnet", ["rangeStart", "subnt"]), Some("subnt"));
        assert_eq!(nearest("subnet", ["Sub_net", "subnett"]), Some("Sub_net"));
        assert_eq!(nearest("name", ["nmae", "type"]), Some("nmae"));
        assert_eq!(nearest("subnet", ["gateway", "net", "", &"subnet".repeat(20)]), None);
        assert_eq!(nearest("dst", ["gw", "mtu"]), None);
        assert_eq!(nearest("dst", ["dest"]), Some("dest"));
    }
}
