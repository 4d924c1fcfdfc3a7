//! What stands at the end of a run of the tests.

use std::fs;
use std::path::Path;

use crate::tools;

const LOG: &str = "
     Running unittests src/lib.rs (target/debug/deps/first-0123456789abcdef)
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.25s
     Running tests/kernel/main.rs (target/debug/deps/kernel-fedcba9876543210)
test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 71.04s
   Doc-tests first
test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

const SHOWN: &str = "
Slowest test programs:
    71.0 s  kernel (tests/kernel/main.rs)
     0.2 s  first (unit tests)
     0.0 s  first (documentation)

3 test programs; of the tests that passed, 0 could not run
5 passed, 1 failed
";

const STEPS: &str = "      12 s  scripts/e2e\n     130 s  scripts/faults --bounded\n";

/// `print_totals` of scripts/environment.sh, for a run with that log.
fn totals(steps: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let log = folder.join("log");
    fs::write(&log, LOG).unwrap();
    let mut call = tools::shell(". \"$0\" && print_totals \"$1\"");
    call.arg(log).env("CAUSEWAY_NOT_RUN", "/dev/null").env("CAUSEWAY_STEPS", steps);
    let output = call.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_slowest_come_first_and_the_totals_last() {
    assert_eq!(totals(""), SHOWN);
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("steps");
    fs::write(&file, STEPS).unwrap();
    let said = totals(file.to_str().unwrap());
    let steps = said.split("Slowest steps:\n").nth(1).unwrap();
    let lines: Vec<&str> = steps.lines().collect();
    assert_eq!(lines[..2], ["     130 s  scripts/faults --bounded", "      12 s  scripts/e2e"]);
    assert_eq!(lines.last(), Some(&"5 passed, 1 failed"));
}
