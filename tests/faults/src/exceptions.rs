//! What a plugin can't do anything about. All of it is here, each with its reason, and counted in the
//! summary.

use nix::errno::Errno;
use testsupport::Answer;

use crate::fault::{Command, Fault, How};
use crate::scene::Kind;
use crate::tracer::{Run, Stage};

/// A plugin whose start-up fails has no code of its own yet that could answer. It must have changed
/// nothing by then, which is looked at as after any other failure.
pub(crate) fn dies_starting(fault: &Fault, run: &Run) -> Option<&'static str> {
    let unanswered = run.stdout.is_empty() && run.status != Some(1);
    let applies = unanswered && fault.site.in_plugin() && is_starting(fault, run);
    match (fault.how, fault.site.call.as_str()) {
        (How::Fail(_), "brk" | "mmap" | "mprotect" | "poll") if applies => Some(
            "the C library's or Rust's start-up ends the process, before any code of the plugin",
        ),
        _ => None,
    }
}

/// Whether a fault is in the start-up of its process.
pub(crate) fn is_starting(fault: &Fault, run: &Run) -> bool {
    let place = run.sites.iter().find(|(site, _)| *site == fault.site);
    place.is_some_and(|(_, stage)| *stage == Stage::Starting)
}

/// Whether an error is the one of iptables' program, which was hit: what it says is said on, in its own
/// words, and it need not try again what was interrupted.
pub(crate) fn is_said_by_a_program(fault: &Fault, said: &str) -> bool {
    fault.kind.is_by_iptables()
        && !fault.site.in_plugin()
        && ["tables-save", "tables-restore"].iter().any(|program| said.contains(program))
}

/// A program of iptables that can't read its input, or the kernel's answer, takes that for its end; one that
/// can't ask which revision of a target the kernel has writes the oldest, with another address. Both say that
/// all went well. CHECK finds it; DEL removes what is there.
pub(crate) fn is_hidden_by_a_program(fault: &Fault) -> Option<&'static str> {
    if !fault.kind.is_by_iptables() || fault.site.in_plugin() {
        return None;
    }
    match fault.site.call.as_str() {
        "read" | "recvmsg" => {
            Some("a program of iptables takes a failed read for the end, and succeeds")
        }
        "socket" => Some(
            "a program of iptables that can't ask the kernel writes another rule, and succeeds",
        ),
        _ => None,
    }
}

/// `host-local` by itself can't tell an ADD that was killed after its lease was there from one whose
/// caller lives: a second ADD is a duplicate, as in the reference. Its callers (`bridge`) release such
/// a lease and ask again.
pub(crate) fn retry_is_refused(fault: &Fault, retried: &Answer) -> bool {
    fault.kind == Kind::HostLocal
        && retried.stdout().contains("duplicate allocation is not allowed")
}

/// Whether an ADD differs from an undisturbed one in nothing but what it does without when it can't be
/// written: settings inside the container, which is said in the log, the IPv6 of the host's end, which that has
/// unless it is told otherwise, and the address that a pool allocated last, from which the next search would begin.
pub(crate) fn is_passed_over(fault: &Fault, difference: &str) -> bool {
    let is_optional = |line: &str| {
        [" blue: net/", " host: multicast ff00::/8 dev VETH ", "/last_reserved_ip."]
            .iter()
            .any(|part| line.contains(part))
    };
    let is_refused = matches!(fault.how, How::Fail(errno) if errno != Errno::EINTR);
    is_refused
        && !fault.kind.is_chained()
        && fault.command == Command::Add
        && difference.lines().all(is_optional)
}
