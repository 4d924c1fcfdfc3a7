//! Standard output: a listing as text for a person, or as one JSON object for a program. Nothing needs a
//! terminal; only on one are there colours.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::{env, fs};

use cni_common::{Code, Error, Result};
use serde::Serialize;
use serde_json::{Value, json};

use crate::progress;

/// The version of every JSON shape; a key that goes or changes its meaning makes a new one.
pub(crate) const SHAPE: u32 = 1;

/// How a listing is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One JSON object.
    Json,
    /// Lines of text.
    Text,
}

/// A colour, where there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    /// As the terminal has it.
    Plain,
    /// Of less interest.
    Faint,
    /// As it should be.
    Good,
    /// Worth a look.
    Warning,
    /// Wrong.
    Bad,
}

impl Colour {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "31",
        }
    }
}

/// Standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// What was asked for.
    pub(crate) form: Form,
    has_colours: bool,
}

impl Output {
    /// As asked for; with colours on a terminal, unless `NO_COLOR` is set (no-color.org).
    pub(crate) fn new(form: Form) -> Self {
        let is_wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { form, has_colours: is_wanted && io::stdout().is_terminal() }
    }

    /// The text in a colour, where there are any.
    pub(crate) fn paint(self, colour: Colour, text: &str) -> String {
        if self.has_colours && colour != Colour::Plain && !text.is_empty() {
            return format!("\u{1b}[{}m{text}\u{1b}[0m", colour.code());
        }
        text.to_owned()
    }

    /// Whether a person looks at it.
    pub(crate) fn is_for_a_person(self) -> bool {
        self.has_colours
    }

    /// Prints text, or what JSON has instead: `version` and the keys of `object`.
    pub(crate) fn show(self, object: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        match self.form {
            Form::Text => print(&text()),
            Form::Json => print(&format!("{:#}\n", versioned(object)?)),
        }
    }
}

fn versioned(object: &impl Serialize) -> Result<Value> {
    let value = serde_json::to_value(object)
        .map_err(|error| Error::new(Code::Internal, format!("write JSON: {error}")))?;
    let mut all = json!({ "version": SHAPE });
    if let (Value::Object(all), Value::Object(keys)) = (&mut all, value) {
        all.extend(keys);
    }
    Ok(all)
}

/// Writes to standard output. A reader that has gone away wants no more.
pub(crate) fn print(text: &str) -> Result<()> {
    follow(text).map(|_is_read| ())
}

/// The same; `false` when the reader has gone away.
pub(crate) fn follow(text: &str) -> Result<bool> {
    progress::end();
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::new(Code::Io, format!("write to standard output: {error}"))),
    }
}

/// Writes a file as a whole, by renaming; what is there and no file (a pipe, a terminal) is written to.
pub(crate) fn replace(path: &Path, text: &str) -> Result<()> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| Error::io("write", &path, &error)
    };
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return fs::write(path, text).map_err(failed(path));
    }
    let fresh = PathBuf::from(format!("{}.new", path.display()));
    // In a folder of everybody's it may be a link that somebody has laid there.
    fs::remove_file(&fresh).ok();
    let written = File::create_new(&fresh).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(failed(&fresh))?;
    fs::rename(&fresh, path).map_err(failed(path))
}

/// Says on standard error what went wrong.
pub(crate) fn complain(text: &str) {
    progress::end();
    // Nobody is left to be told when that fails.
    writeln!(io::stderr().lock(), "causeway: {text}").ok();
}

/// Lines of cells, in columns as wide as need be.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Vec<(Colour, String)>>);

impl Table {
    /// A table with these words above its columns.
    pub(crate) fn new(titles: &[&str]) -> Self {
        Self(vec![titles.iter().map(|title| (Colour::Faint, (*title).to_owned())).collect()])
    }

    /// Adds a line; an empty cell shows as `-`.
    pub(crate) fn line(&mut self, cells: impl IntoIterator<Item = (Colour, String)>) {
        let shown = |(colour, text): (Colour, String)| match text.is_empty() {
            true => (Colour::Faint, "-".to_owned()),
            false => (colour, text),
        };
        self.0.push(cells.into_iter().map(shown).collect());
    }

    /// The text of it.
    pub(crate) fn text(&self, output: Output) -> String {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.0.iter().filter_map(|line| line.get(column));
            cells.map(|(_, text)| text.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut all = String::new();
        for line in &self.0 {
            let mut shown = String::new();
            for ((colour, text), width) in line.iter().zip(&widths) {
                let blanks = " ".repeat(width.saturating_sub(text.chars().count()) + 2);
                shown.push_str(&output.paint(*colour, text));
                shown.push_str(&blanks);
            }
            all.push_str(shown.trim_end());
            all.push('\n');
        }
        all
    }
}

/// What people are shown of things that look the same: a port is there for each IP version that it leads to.
pub(crate) fn distinct(things: &[impl ToString]) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for text in things.iter().map(ToString::to_string) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_need_be_and_an_empty_cell_is_seen() {
        let mut table = Table::new(&["NAME", "STATE"]);
        let cell = |text: &str| (Colour::Bad, text.to_owned());
        table.line([cell("a-long-name"), cell("alive")]);
        table.line([cell(""), cell("gone")]);
        let output = Output { form: Form::Text, has_colours: false };
        assert_eq!(
            table.text(output),
            "NAME         STATE\na-long-name  alive\n-            gone\n"
        );
        let output = Output { form: Form::Text, has_colours: true };
        assert!(table.text(output).contains("\u{1b}[31mgone\u{1b}[0m"));
    }

    #[test]
    fn every_object_says_the_version_of_its_shape() {
        assert_eq!(versioned(&json!({"a": 1})).unwrap(), json!({"version": 1, "a": 1}));
    }
}
