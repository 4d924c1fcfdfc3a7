//! A text compared with a file of `testdata/`.
//!
//! With `UPDATE_GOLDEN=1` the files are written instead; read the difference before committing it.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The path of a file that `relative` names from the root of the repository.
pub fn path(relative: &str) -> PathBuf {
    // Said by cargo when the test runs, so that a checkout may move after it was built.
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = package.ancestors().find(|dir| dir.join("Cargo.lock").is_file());
    root.unwrap_or(&package).join(relative)
}

/// The text of a file that `relative` names from the root of the repository.
pub fn read(relative: &str) -> String {
    let path = path(relative);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Fails the test unless the file at `relative` holds `text`; a newline at the end does not count.
pub fn assert_matches(relative: &str, text: &str) {
    let path = path(relative);
    if env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        write(&path, text);
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{relative}: {error}; UPDATE_GOLDEN=1 writes it. The text is\n{text}")
    });
    if expected.trim_end() != text.trim_end() {
        panic!("not what {relative} says (-), but (+):\n{}", difference(&expected, text));
    }
}

fn write(path: &Path, text: &str) {
    let folder = path.parent().expect("a golden file lies in a folder");
    fs::create_dir_all(folder).expect("create the golden file's folder");
    fs::write(path, format!("{}\n", text.trim_end())).expect("write the golden file");
}

/// Both texts line by line: what they share once, the stretch in which they differ from both.
fn difference(expected: &str, text: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) =
        (expected.trim_end().lines().collect(), text.trim_end().lines().collect());
    let shorter = old.len().min(new.len());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let same = |(a, b): &(&&str, &&str)| a == b;
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    let tail = tail.min(shorter - head);
    let mut shown = String::new();
    let mut show = |sign: char, lines: &[&str]| {
        for line in lines {
            writeln!(shown, "{sign} {line}").expect("writing to a string");
        }
    };
    show(' ', &old[..head]);
    show('-', &old[head..old.len() - tail]);
    show('+', &new[head..new.len() - tail]);
    show(' ', &old[old.len() - tail..]);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_what_is_shared_once() {
        assert_eq!(difference("a\nb\nd\n", "a\nc\nd"), "  a\n- b\n+ c\n  d\n");
        assert_eq!(difference("a\na", "a"), "  a\n- a\n");
        assert_eq!(difference("", "a"), "+ a\n");
    }
}
