//! What an interface plugin does with the IPAM plugin that its configuration names.

use serde_json::Value;

use crate::check::{Check, INTERFACE};
use crate::checks::result::{address, list, text};
use crate::delegate::Recorded;
use crate::reply::{Finding, Verdict, failed, not_run, require};
use crate::request::Request;
use crate::spec::Levels;
use crate::stage::{Stage, beforehand};

const fn rule(
    name: &'static str,
    section: &'static str,
    levels: Levels,
    run: fn(&Stage<'_>) -> Verdict,
) -> Check {
    Check { name, section, levels, roles: INTERFACE, run }
}

const PROTOCOL: &str = "4 Delegated plugin protocol";
const PROCEDURE: &str = "4 Delegated plugin execution procedure";

pub(crate) const CHECKS: [Check; 14] = [
    rule("add-runs-the-delegate", PROCEDURE, Levels::MUST, add_runs),
    rule("delegate-gets-the-variables", PROTOCOL, Levels::MUST, gets_variables),
    rule("delegate-gets-the-whole-configuration", PROTOCOL, Levels::MUST_SINCE_1_0, gets_config),
    rule("result-has-what-the-delegate-answered", "0.4.0 Result", Levels::SHOULD, has_answer),
    rule("delegates-stderr-is-handed-on", PROCEDURE, Levels::SHOULD, hands_on_stderr),
    rule("add-fails-where-the-delegate-fails", "2 Errors", Levels::MUST, add_fails),
    rule("a-delegate-that-failed-is-called-with-del", PROCEDURE, Levels::SHOULD, undoes),
    rule("check-runs-the-delegate", PROCEDURE, Levels::SHOULD_THEN_MUST, check_runs),
    rule("check-fails-where-the-delegate-fails", PROCEDURE, Levels::SHOULD, check_fails),
    rule("del-runs-the-delegate", PROCEDURE, Levels::SHOULD_THEN_MUST, del_runs),
    rule("del-fails-where-the-delegate-fails", PROCEDURE, Levels::SHOULD, del_fails),
    rule("gc-runs-the-delegate", PROCEDURE, Levels::MUST_SINCE_1_1, gc_runs),
    rule("status-runs-the-delegate", "2 STATUS", Levels::MUST_SINCE_1_1, status_runs),
    rule(
        "status-fails-where-the-delegate-fails",
        "2 STATUS",
        Levels::SHOULD_SINCE_1_1,
        status_fails,
    ),
];

fn add_runs(stage: &Stage<'_>) -> Verdict {
    stage.needs_delegate()?;
    stage.attached()?;
    let calls = stage.delegate.calls_of("ADD").len();
    require(calls == 1, || format!("the IPAM plugin was called {calls} times"))
}

/// How the IPAM plugin was called for an ADD, which was this.
fn recorded(stage: &Stage<'_>) -> Result<(Request, Recorded), Finding> {
    stage.needs_delegate()?;
    let subject = stage.subject()?;
    let request = stage.request("ADD", &subject);
    beforehand(stage.call(&request))?.expect_success()?;
    match stage.delegate.calls_of("ADD").pop() {
        Some(recorded) => Ok((request, recorded)),
        None => not_run("the IPAM plugin was not called"),
    }
}

fn gets_variables(stage: &Stage<'_>) -> Verdict {
    let (request, recorded) = recorded(stage)?;
    let mut sent: Vec<String> =
        request.variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    sent.sort();
    let missing: Vec<_> = sent.iter().filter(|one| !recorded.variables.contains(one)).collect();
    require(missing.is_empty(), || format!("it did not get {missing:?}: {:?}", recorded.variables))
}

fn gets_config(stage: &Stage<'_>) -> Verdict {
    let (request, recorded) = recorded(stage)?;
    let Some(config) = recorded.config else { return failed("it got no JSON object on stdin") };
    let differs = |(key, value): &(&String, &Value)| config.get(*key) != Some(value);
    let other: Vec<_> = request.config.iter().filter(differs).map(|(key, _)| key).collect();
    require(other.is_empty(), || format!("these keys were left out or changed: {other:?}"))
}

fn has_answer(stage: &Stage<'_>) -> Verdict {
    stage.needs_delegate()?;
    let attached = stage.attached()?;
    let given = format!("10.77.0.{}", attached.subject.number);
    let ips = list(&attached.result, "ips");
    let has_ip = ips.iter().any(|ip| address(text(ip, "address")) == given);
    require(has_ip, || format!("{given} was given, the result has {ips:?}"))?;
    let dns = attached.result.get("dns").cloned().unwrap_or_default();
    let has_dns = dns.get("nameservers").is_some_and(|all| all == &Value::from(vec!["192.0.2.53"]));
    require(has_dns, || format!("nameserver 192.0.2.53 was given, the result has {dns}"))
}

fn hands_on_stderr(stage: &Stage<'_>) -> Verdict {
    stage.needs_delegate()?;
    let reply = stage.call(&stage.request_of_new("ADD")?)?;
    reply.expect_success()?;
    if stage.delegate.calls_of("ADD").is_empty() {
        return not_run("the IPAM plugin was not called");
    }
    let is_there = reply.stderr().contains("conformance-ipam: ADD");
    require(is_there, || format!("what the IPAM plugin wrote is missing: {}", reply.shown()))
}

/// An ADD whose IPAM plugin fails.
fn refused(stage: &Stage<'_>) -> Result<crate::reply::Reply, Finding> {
    stage.needs_delegate()?;
    stage.delegate.refuse("ADD")?;
    let request = stage.request_of_new("ADD")?;
    stage.call(&request.called("ADD where the IPAM plugin fails"))
}

fn add_fails(stage: &Stage<'_>) -> Verdict {
    let reply = refused(stage)?;
    if stage.delegate.calls_of("ADD").is_empty() {
        return not_run("the IPAM plugin was not called");
    }
    reply.must_fail()
}

fn undoes(stage: &Stage<'_>) -> Verdict {
    beforehand(refused(stage))?.expect_failure()?;
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
    stage.delegate.refuse(command)?;
    let shown = format!("{command} where the IPAM plugin fails");
    let reply = stage.call(&stage.later(command, &attached).called(&shown))?;
    if stage.delegate.calls_of(command).is_empty() {
        return not_run("the IPAM plugin was not called");
    }
    reply.must_fail()
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
    let valid = Value::Array(Vec::new());
    let request = stage.request_of_network("GC").key("cni.dev/valid-attachments", valid);
    beforehand(stage.call(&request))?.expect_success()?;
    was_called(stage, "GC")
}

fn status_runs(stage: &Stage<'_>) -> Verdict {
    stage.needs_delegate()?;
    beforehand(stage.call(&stage.request_of_network("STATUS")))?.expect_success()?;
    was_called(stage, "STATUS")
}

fn status_fails(stage: &Stage<'_>) -> Verdict {
    stage.needs_delegate()?;
    stage.delegate.refuse("STATUS")?;
    let request = stage.request_of_network("STATUS");
    let reply = stage.call(&request.called("STATUS where the IPAM plugin fails"))?;
    if stage.delegate.calls_of("STATUS").is_empty() {
        return not_run("the IPAM plugin was not called");
    }
    reply.must_fail()
}
