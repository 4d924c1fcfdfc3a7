//! Inside the crates: pure modules name nothing that acts, and only few modules act.

use crate::source::{Source, shipped};

/// Modules that decide and do nothing; whatever is below them, too.
const PURE: [&str; 10] =
    ["types", "spec", "error", "names", "nft", "config", "plan", "operation", "range", "allocate"];

/// What reaches the machine. `std::net` is not here for its addresses, `nix` not for `errno`.
const MACHINE: [&str; 19] = [
    "std::fs",
    "std::process",
    "std::env",
    "std::os",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "nix::dir",
    "nix::fcntl",
    "nix::mount",
    "nix::net",
    "nix::poll",
    "nix::sched",
    "nix::sys",
    "nix::unistd",
    "rtnetlink",
    "rustix",
    "fs2",
    "getrandom",
];

/// What asks the machine through a path.
const ASKING: [&str; 7] = [
    ".exists()",
    ".is_file()",
    ".is_dir()",
    ".metadata()",
    ".canonicalize()",
    ".read_dir()",
    ".read_link()",
];

/// Modules that may reach the machine: `sys` for all, a plugin's `apply`, the store of leases with
/// its own files, and besides them, each for one thing alone:
const ACTING: [&str; 10] = [
    "sys",
    "apply",
    "store",
    // The protocol's edge: environment, standard streams, exit status.
    "skel",
    "main",
    // The diagnostics' file.
    "log",
    // Starts the IPAM plugin.
    "delegate",
    // The resolv.conf of a network namespace: `apply` calls it.
    "resolv_conf",
    // Random Ethernet addresses of an ADD.
    "add",
    // A small library of its own, which starts plugins and keeps their results.
    "cni-runtime",
];

fn is_pure(source: &Source) -> bool {
    // `sys` has an `nft` and a `route` of its own, which carry values to the kernel.
    source.is_in(&PURE) && !source.is_in(&["sys"])
}

fn may_act(source: &Source) -> bool {
    // The operator's tool decides and acts in one: what decides for plugins, too, is in their crates.
    let is_in_program = ["cni-runtime/", "tools/"].iter().any(|one| source.file.starts_with(one));
    source.is_in(&ACTING) || is_in_program
}

#[track_caller]
fn assert_none(found: Vec<String>) {
    assert!(found.is_empty(), "over the fence:\n{}", found.join("\n"));
}

fn naming(sources: &[Source], starts: &[&str], which: impl Fn(&Source) -> bool) -> Vec<String> {
    let inside = sources.iter().filter(|source| which(source));
    inside.flat_map(|source| starts.iter().flat_map(|start| source.named(start))).collect()
}

#[test]
fn pure_modules_name_nothing_that_acts() {
    let sources = shipped();
    assert!(sources.iter().filter(|source| is_pure(source)).count() > 30);
    let mut found = naming(&sources, &MACHINE, is_pure);
    found.extend(naming(&sources, &["sys", "apply", "skel::main"], is_pure));
    for source in sources.iter().filter(|source| is_pure(source)) {
        let asks = ASKING.iter().filter(|question| source.code.contains(*question));
        found.extend(asks.map(|question| format!("{} asks {question}", source.file)));
    }
    assert_none(found);
}

#[test]
fn only_few_modules_reach_the_machine() {
    assert_none(naming(&shipped(), &MACHINE, |source| !may_act(source)));
}

#[test]
fn the_store_of_leases_names_no_configuration_and_no_range() {
    let store = |source: &Source| source.is_in(&["store"]);
    assert_none(naming(&shipped(), &["config", "range", "allocate"], store));
}

#[test]
fn sys_knows_no_configuration_and_no_plugin() {
    let above = ["spec", "skel", "delegate", "packet_filter", "undo", "names"];
    assert_none(naming(&shipped(), &above, |source| source.is_in(&["sys"])));
}

#[test]
fn types_and_spec_name_nothing_above_them() {
    let above = ["nft", "packet_filter", "skel", "delegate", "undo", "log", "names"];
    let sources = shipped();
    let lowest = |name: &'static str| move |source: &Source| source.modules[..1] == [name];
    let lib = |source: &&Source| !source.modules.is_empty();
    let sources: Vec<Source> = sources.into_iter().filter(|source| lib(&source)).collect();
    let mut found = naming(&sources, &above, lowest("types"));
    found.extend(naming(&sources, &["spec"], lowest("types")));
    found.extend(naming(&sources, &above, lowest("spec")));
    assert_none(found);
}
