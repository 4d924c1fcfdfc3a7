//! Inputs that once broke an invariant, `testdata/findings/<invariant>/<fact>`: they never do again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use testsupport::golden;

#[test]
fn what_was_found_stays_mended() {
    let root = golden::path("testdata/findings");
    for folder in fs::read_dir(&root).unwrap() {
        let folder = folder.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap();
        let found = invariants::ALL.iter().find(|(known, _)| *known == name);
        let (_, invariant) = found.unwrap_or_else(|| panic!("there is no invariant {name}"));
        for file in fs::read_dir(&folder).unwrap() {
            invariant(&fs::read(file.unwrap().path()).unwrap());
        }
    }
}
