//! What the documents say, as text for a terminal: rows of their tables, sections, links as their words.

/// The cells of the rows of a document's tables with this title.
pub(super) fn table<'a>(document: &'a str, title: &str) -> impl Iterator<Item = Vec<&'a str>> {
    let mut is_inside = false;
    let rows = document.lines().filter(move |line| {
        let is_title = line.starts_with(title);
        let is_row = is_inside && line.starts_with('|');
        is_inside = is_title || is_row;
        is_row && !is_title
    });
    rows.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
}

/// The cell, and below it the sections of `page` that it has links to: elsewhere a link leads nowhere.
pub(super) fn with_sections(cell: &str, page: &str) -> String {
    let mut text = without_links(cell);
    let anchors =
        cell.split("](").skip(1).filter_map(|part| part.split_once(')')?.0.split_once('#'));
    for (_, anchor) in anchors {
        let is_it =
            |section: &&str| section.lines().next().is_some_and(|title| slug(title) == anchor);
        // As a whole, as a link may go on in the next line.
        let section = without_links(page.split("\n## ").find(is_it).unwrap_or_default());
        let (mut is_code, mut is_apart) = (false, true);
        for line in section.lines().skip(1) {
            let is_fence = line.starts_with("```");
            is_code ^= is_fence;
            if is_fence || line.is_empty() {
                is_apart = true;
                continue;
            }
            // One empty line between paragraphs, and none at the end.
            text.push_str(if is_apart { "\n\n" } else { "\n" });
            is_apart = false;
            text.push_str(if is_code { "    " } else { "" });
            text.push_str(line);
        }
    }
    text
}

/// What a heading is called in links.
fn slug(title: &str) -> String {
    let kept = title.chars().filter(|letter| letter.is_alphanumeric() || " -".contains(*letter));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// `[text](page.md)` as its text.
pub(super) fn without_links(cell: &str) -> String {
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
    use super::*;

    #[test]
    fn a_link_is_its_text() {
        let cell = "lines of JSON ([the log](../log.md)), `a[0]`, [b](c)";
        assert_eq!(without_links(cell), "lines of JSON (the log), `a[0]`, b");
    }

    #[test]
    fn the_rows_of_a_table_are_those_below_its_title() {
        let page = "| Other |\n| a | 0 |\n\n| Key | Default |\n|---|---|\n| b | 1 |\n\n| c | 2 |\n";
        let rows: Vec<_> = table(page, "| Key |").collect();
        assert_eq!(rows, [vec!["---|---"], vec!["b", "1"]]);
    }

    #[test]
    fn a_section_that_a_cell_leads_to_stands_below_it() {
        let page = "# Page\n\n## It's here\n\nSee [this\none](a.md),\nand do:\n\n```text\n# b\n```\n\nEnd.\n\n## Next\n\nx\n";
        let text = with_sections("[it is here](../page.md#its-here), or not", page);
        assert_eq!(text, "it is here, or not\n\nSee this\none,\nand do:\n\n    # b\n\nEnd.");
        assert_eq!(with_sections("plain", page), "plain");
    }
}
