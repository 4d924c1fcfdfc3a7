//! VERSION.

use serde_json::Value;

use crate::check::{ALL, Check};
use crate::reply::{Verdict, failed, require};
use crate::request::Request;
use crate::spec::Levels;
use crate::stage::Stage;

pub(crate) const CHECKS: [Check; 3] = [
    Check {
        name: "version-lists-the-supported-versions",
        section: "5 Version",
        levels: Levels::MUST,
        roles: ALL,
        run: lists_versions,
    },
    Check {
        name: "version-answers-with-the-version-asked-in",
        section: "5 Version",
        levels: Levels::MUST_SINCE_1_0,
        roles: ALL,
        run: echoes_version,
    },
    Check {
        name: "version-needs-no-other-variable",
        section: "2 VERSION",
        levels: Levels::MUST,
        roles: ALL,
        run: needs_nothing,
    },
];

/// As libcni asks: with all variables, and something in them.
fn asked(stage: &Stage<'_>) -> Request {
    let request = Request::bare("VERSION").key("cniVersion", stage.spec.text());
    let variables = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"];
    variables.into_iter().fold(request, |request, name| request.with(name, "dummy"))
}

fn lists_versions(stage: &Stage<'_>) -> Verdict {
    let reply = stage.call(&asked(stage))?;
    reply.must_succeed()?;
    let object = reply.object()?;
    let has_version = object.get("cniVersion").and_then(Value::as_str).is_some();
    require(has_version, || format!("no cniVersion: {}", reply.shown()))?;
    let Some(Value::Array(versions)) = object.get("supportedVersions") else {
        return failed(format!("no list supportedVersions: {}", reply.shown()));
    };
    let are_texts = !versions.is_empty() && versions.iter().all(Value::is_string);
    require(are_texts, || format!("supportedVersions: {}", reply.shown()))
}

fn echoes_version(stage: &Stage<'_>) -> Verdict {
    let reply = stage.call(&asked(stage))?;
    reply.expect_success()?;
    let object = reply.object().unwrap_or_default();
    let version = object.get("cniVersion").and_then(Value::as_str).unwrap_or_default();
    let asked = stage.spec.text();
    require(version == asked, || format!("asked in {asked}, the answer says {version:?}"))
}

fn needs_nothing(stage: &Stage<'_>) -> Verdict {
    let request = Request::bare("VERSION").key("cniVersion", stage.spec.text());
    stage.call(&request.called("VERSION with CNI_COMMAND alone"))?.must_succeed()
}
