//! The variables, and what is wrong with them.

use crate::check::{ALL, Check, NOT_LOOPBACK};
use crate::reply::{Finding, Reply, Verdict, not_run, require};
use crate::request::Request;
use crate::spec::Levels;
use crate::stage::Stage;

pub(crate) const CHECKS: [Check; 8] = [
    Check {
        name: "an-unknown-command-is-refused",
        section: "2 Parameters, CNI_COMMAND",
        levels: Levels::MUST,
        roles: ALL,
        run: unknown_command,
    },
    Check {
        name: "a-missing-container-id-is-refused",
        section: "2 ADD, DEL, required parameters",
        levels: Levels::MUST,
        roles: ALL,
        run: missing_id,
    },
    Check {
        name: "a-missing-interface-name-is-refused",
        section: "2 ADD, DEL, required parameters",
        levels: Levels::MUST,
        roles: ALL,
        run: missing_name,
    },
    Check {
        name: "a-missing-namespace-is-refused",
        section: "2 ADD, required parameters",
        levels: Levels::MUST,
        roles: ALL,
        run: missing_namespace,
    },
    Check {
        name: "an-invalid-container-id-is-refused",
        section: "2 Parameters, CNI_CONTAINERID",
        levels: Levels::MUST,
        roles: ALL,
        run: invalid_id,
    },
    Check {
        name: "an-invalid-interface-name-is-refused",
        section: "2 Parameters, CNI_IFNAME",
        levels: Levels::MUST,
        roles: NOT_LOOPBACK,
        run: invalid_name,
    },
    Check {
        name: "invalid-variables-are-code-4",
        section: "5 Error, code 4",
        levels: Levels::SHOULD,
        roles: ALL,
        run: code_4,
    },
    Check {
        name: "code-4-names-the-variables",
        section: "5 Error, code 4",
        levels: Levels::MUST,
        roles: ALL,
        run: named,
    },
];

/// What must not begin with something else than a letter or digit, nor have others than those, `_`, `.`, `-`.
const INVALID_IDS: [&str; 4] = ["-pod", "a/b", "../pod", "po d"];
/// What Linux takes for no interface, or has more than 15 bytes.
const INVALID_NAMES: [&str; 6] = [".", "..", "eth/0", "eth:0", "eth 0", "interface-name-0"];

fn unknown_command(stage: &Stage<'_>) -> Verdict {
    let request = stage.request_of_new("ADD")?;
    let request = request.with("CNI_COMMAND", "ATTACH").called("CNI_COMMAND=ATTACH");
    stage.call(&request)?.must_fail()
}

/// Every call without this variable that must have it.
fn without(stage: &Stage<'_>, commands: &[&str], variable: &str) -> Result<Vec<Reply>, Finding> {
    let subject = stage.subject()?;
    let call = |command: &&str| stage.call(&stage.request(command, &subject).without(variable));
    commands.iter().map(call).collect()
}

fn all_must_fail(replies: &[Reply]) -> Verdict {
    replies.iter().try_for_each(Reply::must_fail)
}

fn missing_id(stage: &Stage<'_>) -> Verdict {
    all_must_fail(&without(stage, &["ADD", "DEL"], "CNI_CONTAINERID")?)
}

fn missing_name(stage: &Stage<'_>) -> Verdict {
    all_must_fail(&without(stage, &["ADD", "DEL"], "CNI_IFNAME")?)
}

fn missing_namespace(stage: &Stage<'_>) -> Verdict {
    all_must_fail(&without(stage, &["ADD"], "CNI_NETNS")?)
}

fn with(stage: &Stage<'_>, variable: &str, values: &[&str]) -> Result<Vec<Reply>, Finding> {
    let subject = stage.subject()?;
    let request = |value: &&str| stage.request("ADD", &subject).with_wrong(variable, value);
    values.iter().map(|value| stage.call(&request(value))).collect()
}

fn invalid_id(stage: &Stage<'_>) -> Verdict {
    all_must_fail(&with(stage, "CNI_CONTAINERID", &INVALID_IDS)?)
}

fn invalid_name(stage: &Stage<'_>) -> Verdict {
    all_must_fail(&with(stage, "CNI_IFNAME", &INVALID_NAMES)?)
}

/// An ADD with wrong variables, of those that it refuses.
fn refused(stage: &Stage<'_>) -> Result<Vec<(Reply, &'static str)>, Finding> {
    let subject = stage.subject()?;
    let add = |stage: &Stage<'_>| stage.request("ADD", &subject);
    let wrong: [(Request, &'static str); 5] = [
        (add(stage).without("CNI_CONTAINERID"), "CNI_CONTAINERID"),
        (add(stage).with_wrong("CNI_CONTAINERID", "-pod"), "CNI_CONTAINERID"),
        (add(stage).without("CNI_IFNAME"), "CNI_IFNAME"),
        (add(stage).with_wrong("CNI_IFNAME", "eth/0"), "CNI_IFNAME"),
        (add(stage).with("CNI_COMMAND", "ATTACH").called("CNI_COMMAND=ATTACH"), "CNI_COMMAND"),
    ];
    let mut refused = Vec::new();
    for (request, variable) in wrong {
        let reply = stage.call(&request)?;
        // One without an error is another check's.
        if !reply.succeeded() && reply.code().is_some() {
            refused.push((reply, variable));
        }
    }
    match refused.is_empty() {
        true => not_run("it refused none of them with a code"),
        false => Ok(refused),
    }
}

fn code_4(stage: &Stage<'_>) -> Verdict {
    let refused = refused(stage)?;
    refused.iter().try_for_each(|(reply, _)| require(reply.code() == Some(4), || reply.shown()))
}

fn named(stage: &Stage<'_>) -> Verdict {
    // An invalid value is the name's as good as its variable's: only what is missing has no other.
    let refused = refused(stage)?;
    let mut by_code = refused.iter().filter(|(reply, _)| reply.code() == Some(4)).peekable();
    if by_code.peek().is_none() {
        return not_run("it uses no code 4");
    }
    by_code.try_for_each(|(reply, variable)| {
        require(reply.message().contains(variable), || {
            format!("{variable} is not named: {}", reply.shown())
        })
    })
}
