//! A removal without the process that would wait, with one that dies, or without its announcement.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::sys::prctl;

use crate::network::Network;

/// A DEL under `strace` with a fault: it succeeds, and both ends are gone.
#[track_caller]
fn del_in_spite_of(arguments: &[&str], sign: &str) {
    prctl::set_child_subreaper(true).unwrap();
    let network = Network::new();
    let blue = network.attached("blue");
    let (status, trace) = network.traced(&network.call("DEL", &blue), arguments);
    assert_eq!(status, Some(0), "{trace}");
    assert!(trace.contains(sign), "nothing went wrong:\n{trace}");
    network.assert_gone(&blue);
    assert_eq!(network.host_ends(), (String::new(), Vec::new()));
    network.call("ADD", &blue).run().expect_success();
    network.del(&blue);
}

#[test]
fn no_process_can_be_started() {
    let trace = "trace=clone,clone3,fork,vfork";
    let fault = "inject=clone,clone3,fork,vfork:error=EAGAIN";
    del_in_spite_of(&["-e", trace, "-e", fault], "EAGAIN");
}

#[test]
fn the_process_can_not_let_go_of_its_descriptors() {
    let fault = "inject=close_range:error=EPERM";
    del_in_spite_of(&["-e", "trace=close_range", "-e", fault], "EPERM");
}

#[test]
fn the_process_is_killed_at_its_first_call() {
    let fault = "inject=close_range:signal=KILL";
    del_in_spite_of(&["-e", "trace=close_range", "-e", fault], "SIGKILL");
}

#[test]
fn the_process_is_killed_before_it_sends() {
    let fault = "inject=pwrite64:signal=KILL";
    del_in_spite_of(&["-e", "trace=pwrite64", "-e", fault], "SIGKILL");
}

#[test]
fn the_announcement_never_comes() {
    // The socket joins no group.
    let fault = "inject=bind:retval=0";
    del_in_spite_of(&["-e", "trace=bind", "-e", fault], "INJECTED");
}

#[test]
fn announcements_were_lost() {
    let fault = "inject=recvfrom:error=ENOBUFS:when=3+2";
    del_in_spite_of(&["-e", "trace=recvfrom", "-e", fault], "ENOBUFS");
}

#[test]
fn there_is_no_place_to_note_the_process() {
    prctl::set_child_subreaper(true).unwrap();
    let network = Network::new();
    let blue = network.attached("blue");
    let namespace = fs::metadata("/proc/self/ns/pid").unwrap().ino();
    let file = format!("/run/cni/causeway.removals-{namespace}");
    fs::remove_file(&file).ok();
    fs::create_dir(&file).unwrap();
    let (status, trace) =
        network.traced(&network.call("DEL", &blue), &["-e", "trace=clone,clone3,fork,vfork"]);
    assert_eq!((status, trace.as_str()), (Some(0), ""));
    network.assert_gone(&blue);
}

#[test]
fn a_refusal_is_an_error_with_its_errno() {
    prctl::set_child_subreaper(true).unwrap();
    let network = Network::new();
    let blue = network.attached("blue");
    // Without the right to change the network the kernel refuses the child's request.
    let mut plugin = std::process::Command::new("setpriv");
    let call = network.call("DEL", &blue).process();
    plugin.args(["--inh-caps=-net_admin", "--bounding-set=-net_admin"]).arg(call.get_program());
    plugin.env_clear().envs(call.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let input = network.host.temp_dir().join("config");
    fs::write(&input, network.config().to_string()).unwrap();
    let output = plugin.stdin(fs::File::open(input).unwrap()).output().unwrap();
    let answer = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{answer}");
    let error: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(error["code"], 100, "{error}");
    let message = error["msg"].as_str().unwrap();
    assert!(message.contains("delete link") && message.contains("not permitted"), "{message}");
    assert_eq!(network.host_ends().1.len(), 1);
}
