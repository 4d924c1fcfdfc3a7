//! `scripts/release`: what is no release is refused, before anything is built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use testsupport::golden;

/// A checkout of what the script looks at, tagged as a release.
struct Checkout(PathBuf);

impl Checkout {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("release-{name}"));
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(folder.join("scripts")).unwrap();
        for script in ["scripts/release", "scripts/environment.sh"] {
            fs::copy(golden::path(script), folder.join(script)).unwrap();
        }
        let checkout = Self(folder);
        checkout.write("Cargo.toml", "[workspace.package]\nversion = \"9.8.7\"\n");
        checkout
            .write("CHANGELOG.md", "## [Unreleased]\n\n## [9.8.7] - 2026-01-02\n\n- A change.\n");
        checkout.git(&["init", "--quiet"]);
        checkout.commit();
        checkout.git(&["tag", "v9.8.7"]);
        checkout
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).unwrap();
    }

    fn git(&self, words: &[&str]) {
        let who =
            ["-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "commit.gpgSign=false"];
        let output = Command::new("git").args(who).args(words).current_dir(&self.0).output();
        assert!(output.unwrap().status.success(), "git {words:?}");
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=a"]);
    }

    /// What the script says when it refuses; none of what it would call is there.
    fn refusal(&self) -> String {
        let output = Command::new(self.0.join("scripts/release")).output().unwrap();
        assert!(!output.status.success());
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8(said).unwrap()
    }

    #[track_caller]
    fn refuses(&self, words: &str) {
        let said = self.refusal();
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_release_is_refused_unless_tree_tag_and_changelog_agree() {
    let checkout = Checkout::new("refused");
    // All agrees: what ends it is that there is no .ci/run.
    checkout.refuses("ok  the changelog has the version");
    checkout.refuses(".ci/run");
    checkout.write("stray", "");
    checkout.refuses("the tree is not clean: ?? stray");
    checkout.commit();
    checkout.refuses("the tag v9.8.7 is not of the commit that is checked out");
    checkout.write("Cargo.toml", "[workspace.package]\nversion = \"9.8.8\"\n");
    checkout.commit();
    checkout.refuses("there is no tag v9.8.8");
    checkout.git(&["tag", "v9.8.8"]);
    checkout.refuses("must be \"## [9.8.8] - DATE\", and is \"## [9.8.7] - 2026-01-02\"");
    let section = "## [9.8.8] - 2026-01-03\n\n- B.\n";
    for (changelog, words) in [
        (format!("## [Unreleased]\n\n- C.\n\n{section}"), "changes that are unreleased"),
        ("## [Unreleased]\n\n## [9.8.8] - 2026-01-03\n".to_owned(), "says nothing of 9.8.8"),
        ("## [Unreleased]\n\n## [9.8.8]\n\n- B.\n".to_owned(), "must be \"## [9.8.8] - DATE\""),
    ] {
        checkout.write("CHANGELOG.md", &changelog);
        checkout.commit();
        checkout.git(&["tag", "--force", "v9.8.8"]);
        checkout.refuses(words);
    }
}
