//! Source files, and the paths that their code names: `use` lines written out, and paths where they are used.

use std::fs;
use std::path::{Path, PathBuf};

use testsupport::golden;

/// One file of a crate that is shipped.
pub(crate) struct Source {
    /// From the root of the repository.
    pub(crate) file: String,
    /// The modules that lead to it, itself last: `["filter", "masquerade", "plan"]`.
    pub(crate) modules: Vec<String>,
    /// Every path that it names, `std::fs::read` for instance, outside of its tests.
    pub(crate) paths: Vec<Vec<String>>,
    /// Its code without comments and texts.
    pub(crate) code: String,
}

impl Source {
    fn read(crate_folder: &Path, path: &Path) -> Self {
        let below = path.strip_prefix(crate_folder.join("src")).unwrap().with_extension("");
        let names = below.iter().map(|name| name.to_str().unwrap().to_owned());
        let modules: Vec<String> = names.filter(|name| name != "mod" && name != "lib").collect();
        let file = path.strip_prefix(golden::path("")).unwrap().to_str().unwrap().to_owned();
        let code = code_of(&fs::read_to_string(path).unwrap());
        let paths = paths(&code);
        Self { file, modules, paths, code }
    }

    /// Whether any of the modules is one of `names`.
    pub(crate) fn is_in(&self, names: &[&str]) -> bool {
        self.modules.iter().any(|module| names.contains(&module.as_str()))
    }

    /// The paths that begin with, or after `crate`, `super` or `cni_common` go on with, `start`.
    pub(crate) fn named(&self, start: &str) -> Vec<String> {
        let start: Vec<&str> = start.split("::").collect();
        let begins = |path: &Vec<String>| {
            let inner = |name: &String| matches!(name.as_str(), "crate" | "super" | "cni_common");
            let skipped = path.iter().take_while(|name| inner(name)).count();
            path.len() >= skipped + start.len()
                && path[skipped..].iter().zip(&start).all(|(one, other)| one == other)
        };
        let found = self.paths.iter().filter(|path| begins(path));
        found.map(|path| format!("{} names {}", self.file, path.join("::"))).collect()
    }
}

/// Every file of the crates that are shipped: their `src`.
pub(crate) fn shipped() -> Vec<Source> {
    let mut sources = Vec::new();
    for folder in crate_folders() {
        let mut files = Vec::new();
        collect(&folder.join("src"), &mut files);
        files.retain(|file| file.file_stem().is_some_and(|stem| stem != "tests"));
        sources.extend(files.iter().map(|file| Source::read(&folder, file)));
    }
    assert!(sources.len() > 80, "{} files", sources.len());
    sources
}

/// The folders of the crates that are shipped.
pub(crate) fn crate_folders() -> Vec<PathBuf> {
    let mut found = vec![golden::path("cni-common"), golden::path("cni-runtime")];
    let folders = |path: PathBuf| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let below = folders(golden::path("plugins")).chain(folders(golden::path("plugins/ipam")));
    let below = below.chain(folders(golden::path("tools")));
    found.extend(below.filter(|path| path.join("Cargo.toml").is_file()));
    found.sort();
    found
}

/// Every file of Rust below a folder, if there is one.
pub(crate) fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The code up to its tests, without comments and the insides of texts.
fn code_of(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let mut code = String::new();
    for line in text.lines() {
        let mut inside = false;
        let mut before = ' ';
        for (at, letter) in line.char_indices() {
            if !inside && line[at..].starts_with("//") {
                break;
            }
            if letter == '"' && before != '\\' && before != '\'' {
                inside = !inside;
            } else if !inside {
                code.push(letter);
            }
            before = letter;
        }
        code.push('\n');
    }
    code
}

/// Every path of two names or more, those of `use` lines written out.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for statement in code.split(';') {
        match statement.find("use ").filter(|at| is_word_start(statement, *at)) {
            Some(at) if statement[at..].contains("::") => {
                expand(&without_renaming(&statement[at + 4..]), &[], &mut found);
            }
            _ => {}
        }
    }
    let is_path = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | ':');
    for word in code.split(|letter| !is_path(letter)) {
        let names: Vec<String> =
            word.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if word.contains("::") && names.len() > 1 {
            found.push(names);
        }
    }
    found
}

fn is_word_start(text: &str, at: usize) -> bool {
    !text[..at].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_')
}

/// A `use` tree without white space, and without what names are called here: `fs as files` is `fs`.
fn without_renaming(tree: &str) -> String {
    let mut words = tree.split_whitespace();
    let mut bare = String::new();
    while let Some(word) = words.next() {
        match word {
            "as" => {
                let renamed = words.next().unwrap_or_default();
                bare.extend(renamed.chars().filter(|letter| matches!(letter, ',' | '}')));
            }
            _ => bare.push_str(word),
        }
    }
    bare
}

/// Writes out `a::{b, c::{d, e}}`.
fn expand(tree: &str, lead: &[String], found: &mut Vec<Vec<String>>) {
    let Some((head, rest)) = tree.split_once('{') else {
        let names = tree.split("::").map(str::to_owned);
        found.push(lead.iter().cloned().chain(names).collect());
        return;
    };
    let names = head.split("::").filter(|name| !name.is_empty()).map(str::to_owned);
    let lead: Vec<String> = lead.iter().cloned().chain(names).collect();
    let (mut depth, mut from) = (0, 0);
    let rest = rest.strip_suffix('}').unwrap_or(rest);
    for (at, letter) in rest.char_indices().chain([(rest.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if at > from {
                    expand(&rest[from..at], &lead, found);
                }
                from = at + 1;
            }
            _ => {}
        }
    }
}

#[test]
fn paths_are_found_in_use_lines_and_in_code() {
    let code = code_of(
        "use std::{fs as files, net::{IpAddr, TcpStream}};\n// std::env\nfn f() { let _ = \"std::io\"; \
         std::process::id() }\n#[cfg(test)]\nmod tests {\nuse std::os::fd;\n",
    );
    let found: Vec<String> = paths(&code).iter().map(|path| path.join("::")).collect();
    for path in ["std::fs", "std::net::IpAddr", "std::net::TcpStream", "std::process::id"] {
        assert!(found.iter().any(|one| one == path), "{path}: {found:?}");
    }
    for path in ["std::env", "std::io", "std::os::fd"] {
        assert!(found.iter().all(|one| one != path), "{path}: {found:?}");
    }
}
