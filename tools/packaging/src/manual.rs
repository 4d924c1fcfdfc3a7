//! The manual pages of the plugins, section 8, out of `docs/plugins`: what a key does is written there and
//! nowhere else. Each page is `causeway-NAME`, as other packages have pages called `bridge`.
//!
//! Knows of Markdown what those documents use: headings, paragraphs, blocks of code, tables of keys, links.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Fault;
use crate::cargo::run;

const DOCUMENTS: &str = "docs/plugins";

/// Writes the pages into a folder, which is made if need be.
pub(crate) fn write(date: &str, folder: &Path) -> Result<(), Fault> {
    fs::create_dir_all(folder)?;
    let common = fs::read_to_string(Path::new(DOCUMENTS).join("README.md"))?;
    let common = |title| section(&common, title).ok_or_else(|| format!("no section {title:?}"));
    let common = [common("Keys of every plugin")?, common("Errors of every plugin")?];
    let what = ["metadata", "--format-version=1", "--no-deps", "--locked", "--offline"];
    let metadata: Value = serde_json::from_str(&run("cargo", &what)?)?;
    let mut count = 0;
    for package in metadata.get("packages").and_then(Value::as_array).into_iter().flatten() {
        let text = |key| package.get(key).and_then(Value::as_str).unwrap_or_default();
        let Some((_, name)) = text("manifest_path")
            .strip_suffix("/Cargo.toml")
            .and_then(|path| path.rsplit_once('/'))
            .filter(|(above, _)| above.ends_with("/plugins") || above.ends_with("/plugins/ipam"))
        else {
            continue;
        };
        let document = fs::read_to_string(Path::new(DOCUMENTS).join(format!("{name}.md")))?;
        let about = About { name, purpose: text("description"), version: text("version"), date };
        let page = page(&about, &document, common);
        fs::write(folder.join(format!("causeway-{name}.8")), page)?;
        count += 1;
    }
    if count == 0 {
        return Err("no plugins".into());
    }
    Ok(())
}

/// What a page says before it begins.
struct About<'a> {
    name: &'a str,
    purpose: &'a str,
    version: &'a str,
    date: &'a str,
}

/// The text below a heading, up to the next one of its kind.
fn section<'a>(document: &'a str, title: &str) -> Option<&'a str> {
    let (_, rest) = document.split_once(&format!("\n## {title}\n"))?;
    rest.split("\n## ").next()
}

fn page(about: &About<'_>, document: &str, [keys, errors]: [&str; 2]) -> String {
    let About { name, purpose, version, date } = about;
    let purpose = escape(purpose);
    let mut page = format!(
        ".TH CAUSEWAY-{} 8 {date} \"Causeway {version}\" \"CNI plugins\"\n\
        .SH NAME\ncauseway\\-{} \\- {purpose}\n\
        .SH SYNOPSIS\n\
        .BI CNI_COMMAND= command\n.RI [ variable = value \" ...\" ]\n.B {name}\n.BI < \" configuration\"\n\
        .br\n.B {name}\n.BR \\-\\-version | \\-\\-help\n\
        .SH DESCRIPTION\n",
        name.to_uppercase(),
        escape(name),
    );
    // The title says what .TH does, and what follows the last heading are links alone.
    let body = document.split_once("\n\n").map_or("", |(_, body)| body);
    let body = body.split("\n## What is different").next().unwrap_or_default();
    page += &render(body);
    page += ".SH KEYS OF EVERY PLUGIN\n";
    page += &render(keys);
    page +=
        ".PP\n\"Reference\" is the plugin of the same name of containernetworking/plugins 1.9.1.\n";
    page += ".SH ERRORS OF EVERY PLUGIN\n";
    page += &render(errors);
    page += ".PP\n.BR causeway\\-explain (1)\nsays of a message at length what to do.\n";
    page += ".SH EXIT STATUS\n0, or 1 with an error object on standard output.\n\
        .SH SEE ALSO\n.BR causeway (1),\n/usr/share/doc/causeway/docs\n";
    page
}

/// A document's text as requests of roff.
fn render(text: &str) -> String {
    let mut page = String::new();
    let (mut is_code, mut is_paragraph) = (false, false);
    for line in text.lines() {
        // A paragraph begins with its text: not every empty line stands before one.
        let is_text = !is_code && !line.starts_with(['#', '|']) && !line.starts_with("```");
        let follows_empty = std::mem::replace(&mut is_paragraph, line.is_empty() && !is_code);
        let begins = page.lines().last().is_none_or(|last| last.starts_with(".SH"));
        if follows_empty && is_text && !line.is_empty() && !begins {
            page += ".PP\n";
        }
        if line.starts_with("```") {
            is_code = !is_code;
            page += if is_code { ".PP\n.RS 4\n.nf\n" } else { ".fi\n.RE\n" };
        } else if is_code {
            page += &format!("{}\n", plain(line));
        } else if let Some(title) = line.trim_start_matches('#').strip_prefix(' ')
            && line.starts_with('#')
        {
            page += &format!(".SH {}\n", escape(&title.to_uppercase()));
        } else if line.starts_with('|') {
            page += &row(line);
        } else if !line.is_empty() {
            page += &format!("{}\n", escape(line));
        }
    }
    page
}

/// A row of a table of keys, of three or four cells: key, default if there is one, what it does, what the
/// reference does; or of a table of errors: message, code, what to do.
fn row(line: &str) -> String {
    let inner = line.trim_matches('|');
    let cells: Vec<String> = cells(inner).iter().map(|cell| escape(cell.trim())).collect();
    match cells.as_slice() {
        [first, ..]
            if ["\\-\\-\\-", "Key", "Message"].iter().any(|title| first.starts_with(title)) =>
        {
            String::new()
        }
        [message, code, advice] if code.parse::<u32>().is_ok() => {
            format!(".TP\n{message}\n(code {code}) {advice}\n")
        }
        [key, default, what, reference] => {
            format!(".TP\n{key}\n(default: {default}) {what}\n.br\nReference: {reference}.\n")
        }
        [key, what, reference] => format!(".TP\n{key}\n{what}\n.br\nReference: {reference}.\n"),
        _ => format!("{}\n", cells.join(", ")),
    }
}

/// The cells of a row: a bar in between backticks, or behind a backslash, parts nothing.
fn cells(row: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let (mut is_code, mut is_escaped) = (false, false);
    for letter in row.chars() {
        is_code ^= letter == '`';
        match (letter, cells.last_mut()) {
            ('|', _) if !is_code && !is_escaped => cells.push(String::new()),
            (_, Some(cell)) => cell.push(letter),
            (_, None) => {}
        }
        is_escaped = letter == '\\';
    }
    cells
}

/// A line of text: code in bold, of a link its words, and nothing that roff takes for its own.
fn escape(line: &str) -> String {
    let mut text = String::new();
    for (index, part) in line.split('`').enumerate() {
        match index % 2 {
            0 => text += &plain(&without_targets(part)),
            _ => text += &format!("\\fB{}\\fR", plain(part)),
        }
    }
    // At the start of a line these two begin a request.
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}

fn plain(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}

/// `[words](target)` as `words`.
fn without_targets(text: &str) -> String {
    let mut left = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        left += &before.replacen('[', "", 1);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    left + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_key_and_what_it_does() {
        let table = "| Key | Default | What it does | Reference |\n|---|---|---|---|\n\
            | `mtu` | `1500` | see [this](a.md#x), a-b | same |\n| `a|b` | all | not there |\n";
        let expected = ".TP\n\\fBmtu\\fR\n(default: \\fB1500\\fR) see this, a\\-b\n.br\nReference: same.\n\
            .TP\n\\fBa|b\\fR\nall\n.br\nReference: not there.\n";
        assert_eq!(render(table), expected);
    }

    #[test]
    fn a_row_of_a_table_of_errors_is_a_message_its_code_and_what_to_do() {
        let table =
            "| Message | Code | What to do |\n|---|---|---|\n| `… is full` | 100 | [go](a.md) |\n";
        assert_eq!(render(table), ".TP\n\\fB… is full\\fR\n(code 100) go\n");
    }

    #[test]
    fn what_roff_takes_for_its_own_is_text() {
        assert_eq!(render(".so x\n'y \\n\n"), "\\&.so x\n\\&'y \\en\n");
        assert_eq!(render("```json\n.a `b`\n```\n"), ".PP\n.RS 4\n.nf\n\\&.a `b`\n.fi\n.RE\n");
    }

    #[test]
    fn a_page_has_the_sections_of_its_document() {
        let about =
            About { name: "bridge", purpose: "a - b", version: "2.0.0", date: "2026-01-02" };
        let document = "# bridge\n\nAttaches.\n\n## Keys\n\nNone.\n\n## What is different\n\nx\n";
        let page = page(&about, document, ["All.\n", "Some.\n"]);
        assert!(page.starts_with(".TH CAUSEWAY-BRIDGE 8 2026-01-02 \"Causeway 2.0.0\""), "{page}");
        assert!(page.contains(".SH DESCRIPTION\nAttaches.\n.SH KEYS\nNone.\n"), "{page}");
        assert!(page.contains(".SH KEYS OF EVERY PLUGIN\nAll.\n"), "{page}");
        assert!(page.contains(".SH ERRORS OF EVERY PLUGIN\nSome.\n"), "{page}");
        assert!(!page.contains("different"), "{page}");
    }
}
