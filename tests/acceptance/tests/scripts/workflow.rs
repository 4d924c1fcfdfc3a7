//! The workflow of the forge: it runs `.ci/run`, and knows of nothing that this does not.

use serde_json::Value;
use testsupport::golden;

#[test]
fn the_workflow_is_a_call_of_ci_run_as_root_in_debian() {
    let workflow: Value =
        serde_yaml_ng::from_str(&golden::read(".github/workflows/ci.yml")).unwrap();
    assert_eq!(workflow["permissions"], serde_json::json!({ "contents": "read" }));
    let jobs = workflow["jobs"].as_object().unwrap();
    let [job] = jobs.values().collect::<Vec<_>>()[..] else { panic!("{jobs:?}") };
    assert!(job["container"]["image"].as_str().unwrap().ends_with("bookworm"), "{job}");
    assert_eq!(job["container"]["options"], "--privileged");
    let steps = job["steps"].as_array().unwrap();
    let runs: Vec<&str> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    assert_eq!(runs.last(), Some(&".ci/run"), "{runs:?}");
    assert!(runs.iter().all(|run| *run == ".ci/run" || run.starts_with("git config ")), "{runs:?}");
}
