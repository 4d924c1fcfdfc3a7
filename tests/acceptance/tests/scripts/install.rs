//! `scripts/install` for root without a tool chain, as sudo has it. The rest: `scripts/check-install`.

use crate::tools;

#[test]
fn root_without_cargo_is_told_to_build_as_a_user() {
    let mut call = tools::call("scripts/install", &["bash", "dirname", "id", "sed"]);
    let output = call.args(["--prefix", "/nonexistent/folder"]).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("scripts/install --build as a user"), "{said}");
    assert!(said.contains("sudo scripts/install --from FOLDER"), "{said}");
}
