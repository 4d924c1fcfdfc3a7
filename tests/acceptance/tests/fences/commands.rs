//! The documents' commands: a test that one of them names is there.

use std::fs;
use std::path::{Path, PathBuf};

use testsupport::golden;

use crate::links::documents;
use crate::source::{collect, crate_folders};

/// The tests that a command selects.
#[derive(Debug, Eq, PartialEq)]
struct Selection<'a> {
    package: &'a str,
    programs: Vec<&'a str>,
    /// Parts of names.
    filters: Vec<&'a str>,
}

/// What a command selects after `-p`: cargo takes one filter, or after `--` as many as there are.
fn selection(command: &str) -> Option<Result<Selection<'_>, String>> {
    let (_, after) = command.split_once("-p ")?;
    let mut words = after.split_whitespace().take_while(|word| *word != "#").peekable();
    let package = words.next()?;
    let mut programs = Vec::new();
    while words.next_if_eq(&"--test").is_some() {
        programs.extend(words.next());
    }
    let is_many = words.next_if_eq(&"--").is_some();
    let filters: Vec<&str> = words.take_while(|word| !word.starts_with('-')).collect();
    if filters.len() > 1 && !is_many {
        return Some(Err(format!("{command}: more than one filter, without --")));
    }
    Some(Ok(Selection { package, programs, filters }))
}

/// The commands in a text: what is between backticks, and lines that are indented.
fn commands(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| match line.starts_with("    ") {
        true => vec![line],
        false => line.split('`').skip(1).step_by(2).collect(),
    })
}

/// The folder of a package.
fn folder(package: &str) -> Option<PathBuf> {
    let name = format!("\nname = \"{package}\"\n");
    let tests = fs::read_dir(golden::path("tests")).unwrap().map(|entry| entry.unwrap().path());
    let mut folders = crate_folders().into_iter().chain(tests);
    folders.find(|folder| {
        fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(|text| text.contains(&name))
    })
}

/// The names that tests below a folder may have: a text for each file, its modules and all that it says.
fn names(folder: &Path) -> impl Iterator<Item = String> {
    let mut files = Vec::new();
    collect(folder, &mut files);
    files.into_iter().map(move |file| {
        let modules = file.strip_prefix(folder).unwrap().with_extension("");
        let modules: Vec<&str> = modules.iter().filter_map(|name| name.to_str()).collect();
        format!("{}::\n{}", modules.join("::"), fs::read_to_string(&file).unwrap())
    })
}

/// What is wrong with a selection, if anything is.
fn fault(wanted: &Selection<'_>) -> Option<String> {
    let Some(folder) = folder(wanted.package) else {
        return Some(format!("there is no package {}", wanted.package));
    };
    let mut texts = Vec::new();
    for program in &wanted.programs {
        let tests = folder.join("tests");
        let is_file = tests.join(format!("{program}.rs")).is_file();
        if !is_file && !tests.join(program).join("main.rs").is_file() {
            return Some(format!("{} has no test program {program}", wanted.package));
        }
        texts.extend(names(&tests.join(program)));
        texts.extend(fs::read_to_string(tests.join(format!("{program}.rs"))));
    }
    if wanted.programs.is_empty() {
        for place in ["src", "tests"] {
            texts.extend(names(&folder.join(place)));
        }
    }
    let missing =
        wanted.filters.iter().find(|filter| !texts.iter().any(|text| text.contains(**filter)));
    missing.map(|filter| format!("{}: no test is named {filter}", wanted.package))
}

#[test]
fn tests_that_a_document_names_are_there() {
    let mut count = 0;
    let mut faults = Vec::new();
    for (document, text) in documents() {
        for command in commands(&text) {
            let found = match selection(command) {
                // A placeholder.
                Some(Ok(wanted))
                    if !wanted.package.starts_with(|c: char| c.is_ascii_lowercase()) =>
                {
                    continue;
                }
                Some(Ok(wanted)) => fault(&wanted),
                Some(Err(why)) => Some(why),
                None => continue,
            };
            count += 1;
            faults.extend(found.map(|found| format!("{}: {found}", document.display())));
        }
    }
    assert_eq!(faults, Vec::<String>::new());
    assert!(count > 15, "{count} commands");
}

#[test]
fn a_command_is_read_as_cargo_does() {
    let text = "Run `x -p a --test b c` or `-p d -- e f`:\n\n    y -p g h # i\n";
    let found: Vec<_> = commands(text).filter_map(selection).collect::<Result<_, _>>().unwrap();
    let of = |package, programs: &[&'static str], filters: &[&'static str]| Selection {
        package,
        programs: programs.to_vec(),
        filters: filters.to_vec(),
    };
    assert_eq!(found, [of("a", &["b"], &["c"]), of("d", &[], &["e", "f"]), of("g", &[], &["h"])]);
    assert!(selection("-p a b c").unwrap().is_err());
}

#[test]
fn a_test_that_is_not_there_is_a_fault() {
    let of = |package, program, filter| {
        fault(&Selection { package, programs: vec![program], filters: vec![filter] })
    };
    assert_eq!(of("acceptance", "fences", "commands::"), None);
    for (package, program, filter) in
        [("nobody", "fences", ""), ("acceptance", "nobody", ""), ("acceptance", "fences", "\u{0}")]
    {
        assert!(of(package, program, filter).is_some(), "{package} {program}");
    }
}
