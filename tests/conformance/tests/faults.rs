//! Plugins that are right but for one fault (`examples/wrong`): each is caught, by the checks meant for it and
//! by no other. A check that catches none of them can't fail, which would be a defect.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use conformance::{Options, Report, Spec};
use testsupport::{bin_dir, example};

/// A folder `…/FAULT`, which nobody else has, with one wrong plugin in it.
struct Wrong {
    place: PathBuf,
    options: Options,
}

impl Wrong {
    fn new(fault: &str, plugin: &str) -> Self {
        let name = format!("causeway-conformance-{}-{plugin}-{fault}", std::process::id());
        let place = env::temp_dir().join(name);
        let folder = place.join(fault);
        fs::create_dir_all(&folder).unwrap();
        symlink(example("wrong"), folder.join(plugin)).unwrap();
        symlink(bin_dir(), folder.join("right")).unwrap();
        let mut options = Options::new(folder);
        options.plugins = vec![plugin.to_owned()];
        options.specs = vec![Spec::V1_1_0];
        options.jobs = 1;
        Self { place, options }
    }

    fn run(&self) -> Report {
        conformance::run(&self.options).unwrap()
    }
}

impl Drop for Wrong {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.place).ok();
    }
}

/// The names of the checks that failed.
fn failed(report: &Report) -> BTreeSet<&str> {
    let failed = report.outcomes().filter(|(_, outcome)| outcome.is_failed());
    failed.map(|(_, outcome)| outcome.name.as_str()).collect()
}

/// Faults against what 0.4.0 alone asks for.
const OF_0_4_0: [&str; 4] = [
    "refuses-args",
    "wants-the-default-route",
    "loses-the-delegates-dns",
    "del-ignores-the-network",
];

fn is_caught(fault: &str, plugin: &str, by: &[&str]) {
    let mut wrong = Wrong::new(fault, plugin);
    if fault.ends_with("-hangs") {
        wrong.options.limit = Duration::from_secs(2);
    }
    if OF_0_4_0.contains(&fault) {
        wrong.options.specs = vec![Spec::V0_4_0];
    }
    let report = wrong.run();
    let expected: BTreeSet<&str> = by.iter().copied().collect();
    assert_eq!(failed(&report), expected, "{fault}:\n{}", report.table());
}

macro_rules! faults {
    ($($test:ident $fault:literal in $plugin:literal by [$($check:literal),*];)*) => {
        /// A test for each: it takes all checks of a plugin, seconds.
        mod caught {
            $(#[test] fn $test() { super::is_caught($fault, $plugin, &[$($check),*]); })*
        }

        /// Every check that is meant for a fault.
        const MEANT: &[&str] = &[$($($check,)*)*];
    };
}

faults! {
    none "none" in "host-local" by [];
    none_of_bridge "none" in "bridge" by [];
    lists_no_versions "lists-no-versions" in "host-local" by ["version-lists-the-supported-versions"];
    answers_in_one_version "answers-in-one-version" in "host-local"
        by ["version-answers-with-the-version-asked-in"];
    version_needs_a_container_id "version-needs-a-container-id" in "host-local"
        by ["version-needs-no-other-variable"];
    takes_any_command "takes-any-command" in "host-local" by ["an-unknown-command-is-refused"];
    takes_no_container_id "takes-no-container-id" in "host-local" by ["a-missing-container-id-is-refused"];
    takes_no_interface_name "takes-no-interface-name" in "host-local"
        by ["a-missing-interface-name-is-refused", "check-without-a-needed-variable-is-refused"];
    takes_no_namespace "takes-no-namespace" in "host-local" by ["a-missing-namespace-is-refused"];
    takes_an_invalid_container_id "takes-an-invalid-container-id" in "host-local"
        by ["an-invalid-container-id-is-refused"];
    takes_an_invalid_interface_name "takes-an-invalid-interface-name" in "host-local"
        by ["an-invalid-interface-name-is-refused"];
    variables_are_code_999 "variables-are-code-999" in "host-local" by ["invalid-variables-are-code-4"];
    variables_are_not_named "variables-are-not-named" in "host-local" by ["code-4-names-the-variables"];
    exits_with_0 "exits-with-0" in "host-local" by ["a-failure-exits-with-another-status-than-0"];
    prints_nothing_on_failure "prints-nothing-on-failure" in "host-local" by ["a-failure-prints-an-error"];
    errors_have_another_version "errors-have-another-version" in "host-local"
        by ["an-error-has-the-version-of-the-configuration"];
    makes_up_a_code "makes-up-a-code" in "host-local"
        by ["codes-below-100-are-those-of-the-table", "an-invalid-network-name-is-code-7"];
    no_json_is_code_999 "no-json-is-code-999" in "host-local"
        by ["a-configuration-that-is-no-json-is-code-6"];
    takes_any_version "takes-any-version" in "host-local" by ["an-unsupported-version-is-code-1"];
    takes_any_network_name "takes-any-network-name" in "host-local"
        by ["an-invalid-network-name-is-code-7"];
    add_fails "add-fails" in "host-local" by ["add-answers-with-a-result"];
    add_hangs "add-hangs" in "static" by ["add-answers-with-a-result"];
    writes_before_the_result "writes-before-the-result" in "host-local" by ["add-answers-with-a-result"];
    ignores_the_interface_name "ignores-the-interface-name" in "bridge"
        by ["add-uses-the-given-interface-name", "a-container-can-have-two-interfaces"];
    replaces_an_interface "replaces-an-interface" in "bridge" by ["add-refuses-an-interface-that-is-there"];
    makes_up_a_namespace "makes-up-a-namespace" in "bridge"
        by ["add-refuses-a-namespace-that-is-not-there"];
    one_interface_a_container "one-interface-a-container" in "bridge"
        by ["a-container-can-have-two-interfaces"];
    one_add_at_a_time "one-add-at-a-time" in "host-local"
        by ["containers-can-be-attached-at-the-same-time"];
    refuses_args "refuses-args" in "host-local" by ["args-that-are-not-understood-are-ignored"];
    says_another_version "says-another-version" in "host-local"
        by ["result-has-the-version-of-the-configuration"];
    gives_an_address_without_length "gives-an-address-without-length" in "host-local"
        by ["result-is-well-formed"];
    hides_the_container_interface "hides-the-container-interface" in "bridge"
        by ["result-lists-the-container-interface", "interfaces-of-the-result-are-there",
            "addresses-of-the-result-are-there"];
    says_another_namespace "says-another-namespace" in "bridge"
        by ["result-has-the-namespace-as-it-was-given"];
    says_another_mac "says-another-mac" in "bridge" by ["interfaces-of-the-result-are-there"];
    makes_up_an_address "makes-up-an-address" in "bridge" by ["addresses-of-the-result-are-there"];
    makes_up_a_route "makes-up-a-route" in "bridge" by ["routes-of-the-result-are-there"];
    drops_some_of_prevresult "drops-some-of-prevresult" in "portmap"
        by ["chained-result-has-all-of-prevresult"];
    changes_prevresult "changes-prevresult" in "portmap"
        by ["chained-result-is-prevresult-but-for-its-own-changes"];
    gives_no_address "gives-no-address" in "host-local" by ["ipam-gives-an-address"];
    has_interfaces_though_ipam "has-interfaces-though-ipam" in "host-local"
        by ["ipam-result-is-abbreviated"];
    gives_an_address_twice "gives-an-address-twice" in "host-local" by ["ipam-gives-no-address-twice"];
    add_does_not_delegate "add-does-not-delegate" in "bridge" by ["add-runs-the-delegate"];
    keeps_args_from_the_delegate "keeps-args-from-the-delegate" in "bridge"
        by ["delegate-gets-the-variables"];
    keeps_a_key_from_the_delegate "keeps-a-key-from-the-delegate" in "bridge"
        by ["delegate-gets-the-whole-configuration"];
    loses_the_delegates_dns "loses-the-delegates-dns" in "bridge" by ["result-has-the-delegates-dns"];
    loses_the_delegates_address "loses-the-delegates-address" in "bridge"
        by ["result-has-the-delegates-addresses"];
    looks_in_the_first_folder "looks-in-the-first-folder" in "bridge"
        by ["delegate-is-looked-for-in-every-folder"];
    keeps_args_from_the_delegates_del "keeps-args-from-the-delegates-del" in "bridge"
        by ["delegate-gets-the-variables"];
    keeps_tracing_from_the_delegate "keeps-tracing-from-the-delegate" in "bridge"
        by ["delegate-gets-the-variables"];
    keeps_a_key_from_the_delegates_gc "keeps-a-key-from-the-delegates-gc" in "bridge"
        by ["delegate-gets-the-whole-configuration"];
    gc_hides_the_delegates_failure "gc-hides-the-delegates-failure" in "bridge"
        by ["gc-fails-where-the-delegate-fails"];
    gc_stops_at_the_delegates_failure "gc-stops-at-the-delegates-failure" in "bridge"
        by ["gc-goes-on-where-the-delegate-fails"];
    status_fails_without_an_error "status-fails-without-an-error" in "bridge"
        by ["a-status-that-fails-prints-an-error"];
    refuses_add_after_a_failed_status "refuses-add-after-a-failed-status" in "bridge"
        by ["add-is-served-after-a-status-that-failed"];
    wants_the_default_route "wants-the-default-route" in "bridge"
        by ["add-skips-a-default-route-that-is-there"];
    gives_a_nameserver_by_name "gives-a-nameserver-by-name" in "host-local" by ["result-is-well-formed"];
    gives_a_number_as_text "gives-a-number-as-text" in "host-local" by ["result-is-well-formed"];
    gives_a_relative_path "gives-a-relative-path" in "bridge" by ["result-is-well-formed"];
    says_no_mac "says-no-mac" in "bridge" by ["interfaces-of-the-result-have-their-mac"];
    says_another_mtu "says-another-mtu" in "bridge" by ["interfaces-of-the-result-are-there"];
    hides_the_host_interface "hides-the-host-interface" in "bridge"
        by ["result-lists-the-host-interfaces"];
    does_not_say_the_interface "does-not-say-the-interface" in "bridge"
        by ["addresses-of-the-result-say-their-interface"];
    says_the_wrong_interface "says-the-wrong-interface" in "bridge"
        by ["addresses-of-the-result-are-there"];
    forgets_the_interface_name "forgets-the-interface-name" in "host-local"
        by ["del-spares-another-interface-of-the-container"];
    del_ignores_the_network "del-ignores-the-network" in "host-local"
        by ["del-spares-another-network-of-the-container"];
    gc_ignores_the_network "gc-ignores-the-network" in "host-local" by ["gc-spares-other-networks"];
    gc_prints_something "gc-prints-something" in "host-local"
        by ["gc-prints-nothing-where-it-succeeds"];
    swallows_stderr "swallows-stderr" in "bridge" by ["delegates-stderr-is-handed-on"];
    ignores_the_delegates_failure "ignores-the-delegates-failure" in "bridge"
        by ["add-fails-where-the-delegate-fails"];
    does_not_undo_the_delegate "does-not-undo-the-delegate" in "bridge"
        by ["a-delegate-that-failed-is-called-with-del"];
    check_does_not_delegate "check-does-not-delegate" in "bridge" by ["check-runs-the-delegate"];
    check_hides_the_delegates_failure "check-hides-the-delegates-failure" in "bridge"
        by ["check-fails-where-the-delegate-fails"];
    del_does_not_delegate "del-does-not-delegate" in "bridge" by ["del-runs-the-delegate"];
    del_hides_the_delegates_failure "del-hides-the-delegates-failure" in "bridge"
        by ["del-fails-where-the-delegate-fails"];
    gc_does_not_delegate "gc-does-not-delegate" in "bridge" by ["gc-runs-the-delegate"];
    status_does_not_delegate "status-does-not-delegate" in "bridge" by ["status-runs-the-delegate"];
    status_hides_the_delegates_failure "status-hides-the-delegates-failure" in "bridge"
        by ["status-fails-where-the-delegate-fails"];
    check_fails "check-fails" in "host-local" by ["check-passes-right-after-add"];
    check_prints_something "check-prints-something" in "host-local"
        by ["check-prints-nothing-where-it-passes"];
    check_needs_no_variable "check-needs-no-variable" in "host-local"
        by ["check-without-a-needed-variable-is-refused"];
    check_wants_its_own_mac "check-wants-its-own-mac" in "bridge"
        by ["check-passes-what-a-later-plugin-changed"];
    check_does_not_ask_prevresult "check-does-not-ask-prevresult" in "bridge"
        by ["check-asks-prevresult-what-is-expected"];
    check_passes_without_the_interface "check-passes-without-the-interface" in "bridge"
        by ["check-finds-that-the-interface-is-gone"];
    check_passes_without_an_address "check-passes-without-an-address" in "bridge"
        by ["check-finds-that-an-address-is-gone"];
    check_passes_without_a_route "check-passes-without-a-route" in "bridge"
        by ["check-finds-that-a-route-is-gone"];
    check_passes_without_rules "check-passes-without-rules" in "bridge"
        by ["check-finds-that-other-resources-are-gone"];
    del_fails "del-fails" in "host-local" by ["del-succeeds"];
    leaves_an_interface "leaves-an-interface" in "bridge" by ["del-removes-the-interface"];
    del_leaves_what_add_changed "del-leaves-what-add-changed" in "tuning"
        by ["del-undoes-what-add-changed"];
    leaks_on_del "leaks-on-del" in "host-local" by ["del-leaves-nothing"];
    second_del_fails "second-del-fails" in "host-local" by ["del-succeeds-again"];
    del_of_a_stranger_fails "del-of-a-stranger-fails" in "host-local"
        by ["del-succeeds-for-what-was-never-added"];
    del_needs_a_namespace "del-needs-a-namespace" in "host-local" by ["del-succeeds-without-namespace"];
    del_needs_a_namespace_that_is_there "del-needs-a-namespace-that-is-there" in "host-local"
        by ["del-succeeds-after-the-namespace-is-gone"];
    leaks_without_namespace "leaks-without-namespace" in "host-local"
        by ["del-leaves-nothing-after-the-namespace-is-gone"];
    leaks_without_prevresult "leaks-without-prevresult" in "host-local"
        by ["del-leaves-nothing-without-prevresult"];
    deletes_the_others "deletes-the-others" in "host-local"
        by ["del-spares-other-containers", "del-spares-another-interface-of-the-container"];
    failed_add_is_never_cleared "failed-add-is-never-cleared" in "bridge"
        by ["del-clears-what-a-failed-add-left"];
    gc_fails "gc-fails" in "host-local" by ["gc-succeeds"];
    gc_does_nothing "gc-does-nothing" in "host-local" by ["gc-removes-what-is-not-valid"];
    gc_removes_all "gc-removes-all" in "host-local" by ["gc-spares-what-is-valid"];
    status_fails "status-fails" in "static" by ["status-succeeds"];
    status_hangs "status-hangs" in "static" by ["status-succeeds"];
}

#[test]
fn there_is_a_fault_for_every_check() {
    let rules: BTreeSet<&str> = conformance::rules().into_iter().map(|(name, ..)| name).collect();
    let meant: BTreeSet<&str> = MEANT.iter().copied().collect();
    assert_eq!(meant, rules);
}
