//! How a failure is told.

use serde_json::Value;

use crate::check::{ALL, Check};
use crate::reply::{Finding, Reply, Verdict, failed, not_run, require};
use crate::spec::{Levels, Spec};
use crate::stage::Stage;

pub(crate) const CHECKS: [Check; 7] = [
    Check {
        name: "a-failure-exits-with-another-status-than-0",
        section: "2 Errors",
        levels: Levels::MUST,
        roles: ALL,
        run: exits_non_zero,
    },
    Check {
        name: "a-failure-prints-an-error",
        section: "5 Error",
        levels: Levels::MUST_THEN_SHOULD,
        roles: ALL,
        run: prints_error,
    },
    Check {
        name: "an-error-has-the-version-of-the-configuration",
        section: "5 Error",
        levels: Levels::MUST_THEN_SHOULD,
        roles: ALL,
        run: has_version,
    },
    Check {
        name: "codes-below-100-are-those-of-the-table",
        section: "5 Error, codes; 0.4.0 Well-known Error Codes",
        levels: Levels::MUST_THEN_SHOULD,
        roles: ALL,
        run: known_codes,
    },
    Check {
        name: "a-configuration-that-is-no-json-is-code-6",
        section: "5 Error, code 6",
        levels: Levels::SHOULD,
        roles: ALL,
        run: code_6,
    },
    Check {
        name: "an-unsupported-version-is-code-1",
        section: "5 Error, code 1",
        levels: Levels::SHOULD,
        roles: ALL,
        run: code_1,
    },
    Check {
        name: "an-invalid-network-name-is-code-7",
        section: "5 Error, code 7",
        levels: Levels::SHOULD,
        roles: ALL,
        run: code_7,
    },
];

/// What is no JSON, but begins as the configuration.
const NO_JSON: &str = r#"{"cniVersion": "1.0.0", "name": "#;
/// A version that there will never be.
const UNSUPPORTED: &str = "99.0.0";
/// The well-known codes, the same in all versions; 50 and 51 are for STATUS alone.
const KNOWN_CODES: [u64; 8] = [1, 2, 3, 4, 5, 6, 7, 11];

fn undecodable(stage: &Stage<'_>) -> Result<Reply, Finding> {
    let request = stage.request_of_new("ADD")?;
    stage.call(&request.raw(NO_JSON).called("ADD with a configuration that ends too early"))
}

fn unsupported(stage: &Stage<'_>) -> Result<Reply, Finding> {
    let request = stage.request_of_new("ADD")?.key("cniVersion", UNSUPPORTED);
    stage.call(&request.called("ADD with cniVersion 99.0.0"))
}

fn unnamed(stage: &Stage<'_>) -> Result<Reply, Finding> {
    let request = stage.request_of_new("ADD")?.key("name", "-net/work");
    stage.call(&request.called("ADD with name \"-net/work\""))
}

fn without_id(stage: &Stage<'_>) -> Result<Reply, Finding> {
    stage.call(&stage.request_of_new("ADD")?.without("CNI_CONTAINERID"))
}

/// Failures of several kinds: those that it takes for one.
fn failures(stage: &Stage<'_>) -> Result<Vec<Reply>, Finding> {
    let all = [undecodable(stage)?, unsupported(stage)?, unnamed(stage)?, without_id(stage)?];
    let failures: Vec<Reply> = all.into_iter().filter(|reply| !reply.succeeded()).collect();
    if failures.is_empty() { not_run("it took none of them for a failure") } else { Ok(failures) }
}

fn exits_non_zero(stage: &Stage<'_>) -> Verdict {
    undecodable(stage)?.must_fail()
}

fn prints_error(stage: &Stage<'_>) -> Verdict {
    for reply in failures(stage)? {
        let object = reply.object()?;
        let has_code = object.get("code").is_some_and(Value::is_u64);
        require(has_code, || format!("no code: {}", reply.shown()))?;
        let has_message = object.get("msg").and_then(Value::as_str).is_some_and(|m| !m.is_empty());
        require(has_message, || format!("no msg: {}", reply.shown()))?;
    }
    Ok(())
}

/// Of a failure that is found in the configuration, when its version is known.
fn has_version(stage: &Stage<'_>) -> Verdict {
    let reply = unnamed(stage)?;
    reply.expect_failure()?;
    let Ok(object) = reply.object() else { return not_run(reply.shown()) };
    let version = object.get("cniVersion").and_then(Value::as_str).unwrap_or_default();
    // 0.4.0 asks for the version in use, whichever that is.
    let is_right =
        version == stage.spec.text() || stage.spec == Spec::V0_4_0 && !version.is_empty();
    require(is_right, || {
        format!("cniVersion is {version:?}, not {:?}: {}", stage.spec.text(), reply.shown())
    })
}

fn known_codes(stage: &Stage<'_>) -> Verdict {
    let replies = failures(stage)?;
    let mut codes = replies.iter().filter_map(|reply| Some((reply, reply.code()?))).peekable();
    if codes.peek().is_none() {
        return not_run("no failure has a code");
    }
    codes.try_for_each(|(reply, code)| {
        require(code >= 100 || KNOWN_CODES.contains(&code), || {
            format!("code {code}: {}", reply.shown())
        })
    })
}

fn has_code(reply: &Reply, code: u64) -> Verdict {
    if reply.succeeded() {
        return failed(format!("no error: {}", reply.shown()));
    }
    match reply.code() {
        Some(found) => require(found == code, || format!("not code {code}: {}", reply.shown())),
        None => not_run(format!("no code: {}", reply.shown())),
    }
}

fn code_6(stage: &Stage<'_>) -> Verdict {
    let reply = undecodable(stage)?;
    reply.expect_failure()?;
    has_code(&reply, 6)
}

fn code_1(stage: &Stage<'_>) -> Verdict {
    has_code(&unsupported(stage)?, 1)
}

fn code_7(stage: &Stage<'_>) -> Verdict {
    has_code(&unnamed(stage)?, 7)
}
