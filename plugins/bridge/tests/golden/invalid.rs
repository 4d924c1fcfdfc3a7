//! `invalid/<fault>.json`: keys of a configuration (and `CNI_ARGS`), and the error they are answered
//! with. ADD answers, before any effect: the namespace that it names is not there.

use testsupport::Call;

#[test]
fn every_fault_has_its_code_and_message() {
    for (fault, case) in super::cases("testdata/bridge/invalid") {
        let call = Call::new("bridge").command("ADD").container_id("c1").ifname("eth0");
        let call =
            call.netns_path("/run/netns/not-there").env("CNI_PATH", "/opt/none:/opt/nowhere");
        let call = call.config(super::config(&case["config"]));
        let answer = call.args(case["args"].as_str().unwrap_or_default()).run();
        let code = case["code"].as_u64().unwrap_or_else(|| panic!("{fault}: no code\n{answer}"));
        let message = answer.expect_error(code);
        assert_eq!(message, case["msg"].as_str().unwrap_or_default(), "{fault}\n{answer}");
        let details = case["details"].as_str().unwrap_or_default();
        assert_eq!(answer.details(), details, "{fault}\n{answer}");
    }
}
