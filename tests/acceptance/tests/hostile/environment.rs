//! The `CNI_*` variables.

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;

use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};
use nix::sys::wait::{WaitStatus, waitpid};
use testsupport::{PLUGINS, executable};

use crate::stage::{ARGUED, READERS, Stage};

/// The longest variable that the kernel takes, with its name: 32 pages.
const MAX_LENGTH: usize = 128 << 10;

#[test]
fn container_ids_that_are_paths_and_worse() {
    let stage = Stage::new();
    let long = format!("{}/", "a".repeat(MAX_LENGTH - 100));
    let bad = [
        "..",
        "../../etc",
        "/etc/passwd",
        ".hidden",
        "-rf",
        "a/b",
        "a\\b",
        "a b",
        "a\nb",
        "a\r\nb",
        "a;b",
        "$(id)",
        "a\u{202e}b",
        "\u{ff41}",
        "%2e%2e",
        "~root",
        "a\u{1b}[2J",
        &long,
    ];
    for plugin in PLUGINS {
        for command in ["ADD", "DEL", "CHECK"] {
            for id in bad {
                let says = ["containerID", &id[..id.len().min(100)]];
                stage.refuses(&stage.call(plugin, command).container_id(id), 4, &says);
            }
        }
    }
    stage.unchanged();
}

#[test]
fn interface_names_that_no_link_can_have() {
    let stage = Stage::new();
    let long = "e".repeat(MAX_LENGTH - 100);
    let bad = [
        "..",
        ".",
        "../x",
        "/",
        "a/b",
        "a:b",
        "a b",
        "a\tb",
        "a\u{a0}b",
        "sixteen-bytes-xx",
        &long,
        "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
    ];
    for plugin in READERS {
        for command in ["ADD", "DEL", "CHECK"] {
            for name in bad {
                let says = ["interface name", &name.chars().take(100).collect::<String>()];
                stage.refuses(&stage.call(plugin, command).ifname(name), 4, &says);
            }
        }
    }
    stage.unchanged();
}

#[test]
fn bytes_that_are_not_utf_8() {
    let stage = Stage::new();
    for plugin in PLUGINS {
        for name in ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_IFNAME", "CNI_ARGS"] {
            for bytes in [&b"\xff"[..], b"a\xc3", b"\xed\xa0\x80", b"\xc0\xae\xc0\xae/"] {
                let call = stage.call(plugin, "ADD").env(name, OsStr::from_bytes(bytes));
                stage.refuses(&call, 4, &[&format!("{name} is not UTF-8")]);
            }
        }
    }
    let netns = OsStr::from_bytes(b"/run/netns/\xff");
    for plugin in ["bridge", "loopback"] {
        let call = stage.call(plugin, "ADD").env("CNI_NETNS", netns);
        stage.refuses(&call, 8, &["/run/netns/\u{fffd}"]);
    }
    stage.unchanged();
}

#[test]
fn arguments_of_every_wrong_form() {
    let stage = Stage::new();
    let unknown = vec!["FOO=bar"; 16_000].join(";");
    let separators = ";".repeat(MAX_LENGTH - 100);
    let equals = format!("IP{}", "=".repeat(MAX_LENGTH - 100));
    for (args, says) in [
        ("IP", "invalid pair \"IP\""),
        (";", "invalid pair \"\""),
        ("IP=10.1.0.9;;MAC=02:00:00:00:00:01", "invalid pair \"\""),
        ("a=b=c", "invalid pair \"a=b=c\""),
        ("FOO=bar;IP=10.1.0.9", "unknown args [\"FOO=bar\"]"),
        ("ip=10.1.0.9", "unknown args [\"ip=10.1.0.9\"]"),
        ("IgnoreUnknown=perhaps", "IgnoreUnknown=perhaps"),
        ("IgnoreUnknown=true;IgnoreUnknown=no;X=1", "IgnoreUnknown=no"),
        (&unknown, "unknown args [\"FOO=bar\" \"FOO=bar\""),
        (&separators, "invalid pair \"\""),
        (&equals, "invalid pair \"IP=="),
    ] {
        for plugin in ARGUED {
            stage.refuses(&stage.call(plugin, "ADD").args(args), 4, &[says]);
        }
    }
    for ip in [
        "",
        "10.1.0",
        "10.1.0.256",
        "10.1.0.009",
        "0x0a.1.0.9",
        "10.1.0.9/33",
        "fe80::1%eth0",
        "::g",
        "10.1.0.9 ",
        "167837705",
        "10.1.0.9/",
    ]
    .into_iter()
    .skip(1)
    {
        let call = stage.call("host-local", "ADD").args(&format!("IP={ip}"));
        stage.refuses(&call, 4, &["invalid IP", ip, "CNI_ARGS"]);
    }
    for mac in
        ["x", "02:00:00:00:00", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "02:00:00:00:00:0g"]
    {
        let call = stage.call("bridge", "ADD").args(&format!("MAC={mac}"));
        stage.refuses(&call, 4, &["MAC", mac, "CNI_ARGS"]);
    }
    stage.unchanged();
}

#[test]
fn commands_that_are_none() {
    let stage = Stage::new();
    let long = "ADD".repeat(40_000);
    for plugin in PLUGINS {
        for word in ["add", "ADD ", " ADD", "ADDDEL", "ADD\n", "../ADD", "\u{ff21}DD", &long] {
            let says = ["unknown CNI_COMMAND: ", &word[..word.len().min(60)]];
            stage.refuses(&stage.call(plugin, word), 4, &says);
        }
    }
    stage.unchanged();
}

/// The first of two counts, as for the reference; a shell or `env` can't say both.
#[test]
fn a_variable_given_twice() {
    let stage = Stage::new();
    let (input, output) = (stage.folder().join("in"), stage.folder().join("out"));
    fs::write(&input, stage.config("loopback").to_string()).unwrap();
    let variables = [
        "CNI_COMMAND=ADD",
        "CNI_CONTAINERID=a/b",
        "CNI_CONTAINERID=c1",
        "CNI_IFNAME=eth0",
        "CNI_NETNS=/run/netns/blue",
        "CNI_COMMAND=DEL",
    ];
    let variables = variables.map(|text| CString::new(text).unwrap());
    for plugin in PLUGINS {
        let program = executable(plugin);
        let arguments = [CString::new(plugin).unwrap()];
        let (stdin, stdout) = (File::open(&input).unwrap(), File::create(&output).unwrap());
        let mut streams = PosixSpawnFileActions::init().unwrap();
        streams.add_dup2(stdin.as_raw_fd(), 0).unwrap();
        streams.add_dup2(stdout.as_raw_fd(), 1).unwrap();
        let attributes = PosixSpawnAttr::init().unwrap();
        let pid = posix_spawn(program.as_path(), &streams, &attributes, &arguments, &variables);
        let pid = pid.unwrap();
        assert_eq!(waitpid(pid, None).unwrap(), WaitStatus::Exited(pid, 1), "{plugin}");
        let answer: serde_json::Value =
            serde_json::from_slice(&fs::read(&output).unwrap()).unwrap();
        assert_eq!((&answer["code"], &answer["details"]), (&4.into(), &"a/b".into()), "{plugin}");
    }
    fs::remove_file(input).unwrap();
    fs::remove_file(output).unwrap();
    stage.unchanged();
}
