//! What an interface plugin does with the IPAM plugin that its configuration names.

use serde_json::Value;

use crate::check::{Check, INTERFACE};
use crate::checks::gc::gc_request;
use crate::checks::result::{address, list, text};
use crate::delegate::Recorded;
use crate::reply::{Finding, Reply, Verdict, failed, not_run, require};
use crate::request::Request;
use crate::spec::{Levels, Spec};
use crate::stage::{Attached, Stage, beforehand};

const fn rule(
    name: &'static str,
    section: &'static str,
    levels: Levels,
    run: fn(&Stage<'_>) -> Verdict,
) -> Check {
    Check { name, section, levels, roles: INTERFACE, run }
}

const OVERVIEW: &str = "4 Plugin Delegation; 0.4.0 Overview";
const PROTOCOL: &str = "4 Delegated Plugin protocol";
const RESULT: &str = "5 ADD Success, ips; 0.4.0 Result";
const PROCEDURE: &str = "4 Delegated plugin execution procedure";

pub(crate) const CHECKS: [Check; 20] = [
    rule("add-runs-the-delegate", OVERVIEW, Levels::SHOULD, add_runs),
    rule("delegate-gets-the-variables", PROTOCOL, Levels::MUST, gets_variables),
    rule("delegate-gets-the-whole-configuration", PROTOCOL, Levels::SHOULD_SINCE_1_0, gets_config),
    rule(
        "delegate-is-looked-for-in-every-folder",
        PROCEDURE,
        Levels::SHOULD_SINCE_1_0,
        is_looked_for,
    ),
    rule("result-has-the-delegates-addresses", RESULT, Levels::SHOULD_THEN_MUST, has_addresses),
    rule("result-has-the-delegates-dns", "0.4.0 Result", Levels::SHOULD_IN_0_4, has_dns),
    rule("delegates-stderr-is-handed-on", PROCEDURE, Levels::SHOULD_SINCE_1_0, hands_on_stderr),
    rule("add-fails-where-the-delegate-fails", "2 Errors", Levels::MUST, add_fails),
    rule("a-delegate-that-failed-is-called-with-del", PROCEDURE, Levels::SHOULD_SINCE_1_0, undoes),
    rule("check-runs-the-delegate", PROCEDURE, Levels::SHOULD_THEN_MUST, check_runs),
    rule("check-fails-where-the-delegate-fails", PROCEDURE, Levels::SHOULD, check_fails),
    rule("del-runs-the-delegate", PROCEDURE, Levels::SHOULD_THEN_MUST, del_runs),
    rule("del-fails-where-the-delegate-fails", PROCEDURE, Levels::SHOULD_SINCE_1_0, del_fails),
    rule("gc-runs-the-delegate", PROCEDURE, Levels::MUST_SINCE_1_1, gc_runs),
    rule("gc-fails-where-the-delegate-fails", PROCEDURE, Levels::SHOULD_SINCE_1_1, gc_fails),
    rule("gc-goes-on-where-the-delegate-fails", "2 GC", Levels::SHOULD_SINCE_1_1, gc_goes_on),
    rule("status-runs-the-delegate", "2 STATUS", Levels::MUST_SINCE_1_1, status_runs),
    rule(
        "status-fails-where-the-delegate-fails",
        "2 STATUS",
        Levels::SHOULD_SINCE_1_1,
        status_fails,
    ),
    rule(
        "a-status-that-fails-prints-an-error",
        "2 STATUS",
        Levels::MUST_SINCE_1_1,
        status_prints_error,
    ),
    rule(
        "add-is-served-after-a-status-that-failed",
        "2 STATUS",
        Levels::SHOULD_SINCE_1_1,
        serves_after_status,
    ),
];

fn add_runs(stage: &Stage<'_>) -> Verdict {
    stage.needs_delegate()?;
    stage.attached()?;
    let calls = stage.delegate.calls_of("ADD").len();
    require(calls == 1, || format!("the IPAM plugin was called {calls} times"))
}

/// A variable of tracing that libcni hands on, for all that is not `CNI_…`.
const TRACE: (&str, &str) =
    ("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");

/// The calls of a container's life, of which the IPAM plugin was called for, and how.
fn recorded(stage: &Stage<'_>) -> Result<Vec<(Request, Recorded)>, Finding> {
    stage.needs_delegate()?;
    let subject = stage.subject()?;
    let add = stage.request("ADD", &subject).with(TRACE.0, TRACE.1);
    let reply = beforehand(stage.call(&add))?;
    reply.expect_success()?;
    let attached = Attached { subject, result: beforehand(reply.object())? };
    let mut later = vec![stage.later("CHECK", &attached)];
    if stage.spec >= Spec::V1_1_0 {
        later.push(stage.request_of_network("STATUS"));
        later.push(gc_request(stage, &[&attached]));
    }
    later.push(stage.later("DEL", &attached));
    let mut requests = vec![add];
    for request in later {
        let request = request.with(TRACE.0, TRACE.1);
        // Whether it succeeds, and calls the IPAM plugin at all, are other checks.
        beforehand(stage.call(&request))?;
        requests.push(request);
    }
    let call = |request: Request| {
        let recorded = stage.delegate.calls_of(&request.shown).pop();
        recorded.map(|recorded| (request, recorded))
    };
    let calls: Vec<_> = requests.into_iter().filter_map(call).collect();
    if calls.is_empty() { not_run("the IPAM plugin was not called") } else { Ok(calls) }
}

fn gets_variables(stage: &Stage<'_>) -> Verdict {
    for (request, recorded) in recorded(stage)? {
        let mut sent: Vec<String> =
            request.variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        sent.sort();
        let missing: Vec<_> = sent.iter().filter(|one| !recorded.variables.contains(one)).collect();
        require(missing.is_empty(), || {
            format!("for {} it did not get {missing:?}: {:?}", request.shown, recorded.variables)
        })?;
    }
    Ok(())
}

fn gets_config(stage: &Stage<'_>) -> Verdict {
    for (request, recorded) in recorded(stage)? {
        let Some(config) = recorded.config else {
            return failed(format!("for {} it got no JSON object on stdin", request.shown));
        };
        // A plugin may write `prevResult` anew, in the form that it knows.
        let differs = |(key, value): &(&String, &Value)| match config.get(*key) {
            Some(got) => got != *value && *key != "prevResult",
            None => true,
        };
        let other: Vec<_> = request.config.iter().filter(differs).map(|(key, _)| key).collect();
        require(other.is_empty(), || {
            format!("for {} these keys were left out or changed: {other:?}", request.shown)
        })?;
    }
    Ok(())
}

/// The folder of the IPAM plugin is the last of three, of which one is not there.
fn is_looked_for(stage: &Stage<'_>) -> Verdict {
    stage.needs_delegate()?;
    let (own, last) = (stage.plugin.folder().display(), stage.delegate.folder().display());
    let folders = format!("{own}:/nowhere:{last}");
    let request = stage.request_of_new("ADD")?.with_wrong("CNI_PATH", &folders);
    stage.call(&request)?.must_succeed()
}

fn has_addresses(stage: &Stage<'_>) -> Verdict {
    stage.needs_delegate()?;
    let attached = stage.attached()?;
    let given = format!("10.77.0.{}", attached.subject.number);
    let ips = list(&attached.result, "ips");
    let is_given =
        |ip: &Value| address(text(ip, "address")) == given && text(ip, "gateway") == "10.77.0.1";
    require(ips.iter().any(is_given), || {
        format!("{given} with gateway 10.77.0.1 was given, the result has {ips:?}")
    })
}

fn has_dns(stage: &Stage<'_>) -> Verdict {
    stage.needs_delegate()?;
    let attached = stage.attached()?;
    let dns = attached.result.get("dns").cloned().unwrap_or_default();
    let has_dns = dns.get("nameservers").is_some_and(|all| all == &Value::from(vec!["192.0.2.53"]));
    require(has_dns, || format!("nameserver 192.0.2.53 was given, the result has {dns}"))
}

fn hands_on_stderr(stage: &Stage<'_>) -> Verdict {
    stage.needs_delegate()?;
    let reply = stage.call(&stage.request_of_new("ADD")?)?;
    reply.expect_success()?;
    needs_call(stage, "ADD")?;
    let is_there = reply.stderr().contains("conformance-ipam: ADD");
    require(is_there, || format!("what the IPAM plugin wrote is missing: {}", reply.shown()))
}

/// What the IPAM plugin is not called for says nothing of how it is called.
fn needs_call(stage: &Stage<'_>, command: &str) -> Verdict {
    match stage.delegate.calls_of(command).is_empty() {
        true => not_run("the IPAM plugin was not called"),
        false => Ok(()),
    }
}

/// A call where the IPAM plugin fails.
fn refused(stage: &Stage<'_>, request: Request) -> Result<Reply, Finding> {
    let command = request.shown.clone();
    stage.delegate.refuse(&command)?;
    stage.call(&request.called(&format!("{command} where the IPAM plugin fails")))
}

/// The same, if the IPAM plugin was called.
fn failed_by_delegate(stage: &Stage<'_>, request: Request) -> Result<Reply, Finding> {
    let command = request.shown.clone();
    let reply = refused(stage, request)?;
    needs_call(stage, &command)?;
    Ok(reply)
}

fn add_fails(stage: &Stage<'_>) -> Verdict {
    stage.needs_delegate()?;
    failed_by_delegate(stage, stage.request_of_new("ADD")?)?.must_fail()
}

fn undoes(stage: &Stage<'_>) -> Verdict {
    stage.needs_delegate()?;
    let request = stage.request_of_new("ADD")?;
    beforehand(refused(stage, request))?.expect_failure()?;
    let calls = stage.delegate.calls_of("DEL").len();
    require(calls > 0, || "the IPAM plugin was not called with DEL before ADD failed".to_owned())
}

/// A call for an attached container, which must have called the IPAM plugin with the same command.
fn runs(stage: &Stage<'_>, command: &str) -> Verdict {
    stage.needs_delegate()?;
    let attached = stage.attached()?;
    beforehand(stage.call(&stage.later(command, &attached)))?.expect_success()?;
    was_called(stage, command)
}

fn was_called(stage: &Stage<'_>, command: &str) -> Verdict {
    let calls = stage.delegate.calls_of(command).len();
    require(calls > 0, || format!("the IPAM plugin was not called with {command}"))
}

/// A call for an attached container, which must fail because the IPAM plugin does.
fn fails(stage: &Stage<'_>, command: &str) -> Verdict {
    stage.needs_delegate()?;
    let attached = stage.attached()?;
    failed_by_delegate(stage, stage.later(command, &attached))?.must_fail()
}

fn check_runs(stage: &Stage<'_>) -> Verdict {
    runs(stage, "CHECK")
}

fn check_fails(stage: &Stage<'_>) -> Verdict {
    fails(stage, "CHECK")
}

fn del_runs(stage: &Stage<'_>) -> Verdict {
    runs(stage, "DEL")
}

fn del_fails(stage: &Stage<'_>) -> Verdict {
    fails(stage, "DEL")
}

fn gc_runs(stage: &Stage<'_>) -> Verdict {
    stage.needs_delegate()?;
    beforehand(stage.call(&gc_request(stage, &[])))?.expect_success()?;
    was_called(stage, "GC")
}

fn gc_fails(stage: &Stage<'_>) -> Verdict {
    stage.needs_delegate()?;
    failed_by_delegate(stage, gc_request(stage, &[]))?.must_fail()
}

fn gc_goes_on(stage: &Stage<'_>) -> Verdict {
    stage.needs_delegate()?;
    stage.needs_several()?;
    let before = stage.warmed_up()?;
    let mut stale = stage.attached()?;
    stale.subject.container.vanish();
    beforehand(stage.call(&gc_request(stage, &[])))?.expect_success()?;
    beforehand(stage.nothing_new_since(&before))?;
    let mut stale = stage.attached()?;
    stale.subject.container.vanish();
    stage.delegate.refuse("GC")?;
    stage.call(&gc_request(stage, &[]))?;
    stage.nothing_new_since(&before)
}

fn status_runs(stage: &Stage<'_>) -> Verdict {
    stage.needs_delegate()?;
    beforehand(stage.call(&stage.request_of_network("STATUS")))?.expect_success()?;
    was_called(stage, "STATUS")
}

fn failed_status(stage: &Stage<'_>) -> Result<Reply, Finding> {
    stage.needs_delegate()?;
    failed_by_delegate(stage, stage.request_of_network("STATUS"))
}

fn status_fails(stage: &Stage<'_>) -> Verdict {
    failed_status(stage)?.must_fail()
}

fn status_prints_error(stage: &Stage<'_>) -> Verdict {
    let reply = beforehand(failed_status(stage))?;
    reply.expect_failure()?;
    require(reply.code().is_some(), || format!("no error with a code: {}", reply.shown()))
}

fn serves_after_status(stage: &Stage<'_>) -> Verdict {
    beforehand(failed_status(stage))?.expect_failure()?;
    let request = stage.request_of_new("ADD")?;
    stage.call(&request.called("ADD after a STATUS that failed"))?.must_succeed()
}
