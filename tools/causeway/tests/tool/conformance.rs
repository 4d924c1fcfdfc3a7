//! `causeway conformance`: which executable is started, and that all of the call is that one's.

use std::fs;
use std::path::PathBuf;

use testsupport::{Finished, Host, write_program};

use crate::node::tool;

/// What stands for the suite: it prints how it was called and what it reads.
const STAND_IN: &str = "#!/bin/sh\necho \"$0\" \"$@\"\ncat\nexit 3\n";

/// A folder with the tool in it, and an empty one that is in `PATH`.
struct Installed {
    host: Host,
    folder: PathBuf,
    elsewhere: PathBuf,
}

impl Installed {
    fn new() -> Self {
        let host = Host::new();
        let [folder, elsewhere] = ["bin", "elsewhere"].map(|name| host.temp_dir().join(name));
        for folder in [&folder, &elsewhere] {
            fs::create_dir(folder).unwrap();
        }
        fs::copy(tool(), folder.join("causeway")).unwrap();
        Self { host, folder, elsewhere }
    }

    /// A call through a link, as the name that people type may be one.
    fn call(&self, words: &str) -> Finished {
        let script = format!(
            "ln -sf {}/causeway /run/called; echo input | PATH=$PATH:{} /run/called {words}",
            self.folder.display(),
            self.elsewhere.display()
        );
        self.host.finish(["sh", "-c", &script])
    }
}

#[test]
fn the_suite_beside_the_tool_is_started_with_all_that_follows() {
    let installed = Installed::new();
    write_program(installed.elsewhere.join("causeway-conformance"), "#!/bin/sh\nexit 9\n");
    let beside = installed.folder.join("causeway-conformance");
    write_program(&beside, STAND_IN);
    for (words, passed) in [
        ("conformance", ""),
        ("conformance --help", " --help"),
        ("conformance --bin 'a b' -x --conf-dir=c -- d", " --bin a b -x --conf-dir=c -- d"),
        ("--json conformance --strict", " --json --strict"),
        ("conformance --json", " --json"),
        ("conformance --strict --json", " --strict --json"),
    ] {
        let done = installed.call(words);
        assert_eq!(done.status, Some(3), "{words}: {done}");
        let expected = format!("{}{passed}\ninput\n", beside.display());
        assert_eq!(String::from_utf8_lossy(&done.stdout), expected, "{words}");
        assert!(done.stderr.is_empty(), "{words}: {done}");
    }
}

#[test]
fn the_suite_is_looked_for_in_path_and_missed_by_name() {
    let installed = Installed::new();
    let done = installed.call("conformance --help");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status == Some(8) && done.stdout.is_empty(), "{done}");
    let (beside, path) = (installed.folder.display(), installed.elsewhere.display());
    let expected =
        format!("causeway-conformance is neither beside causeway, in {beside}, nor in PATH: ");
    assert!(said.contains(&expected) && said.contains(&format!(":{path} ")), "{said}");

    let program = installed.elsewhere.join("causeway-conformance");
    write_program(&program, STAND_IN);
    assert_eq!(installed.call("conformance --help").status, Some(3));
    fs::write(&program, "no program").unwrap();
    let done = installed.call("conformance");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status == Some(8) && said.contains(&program.display().to_string()), "{done}");
}
