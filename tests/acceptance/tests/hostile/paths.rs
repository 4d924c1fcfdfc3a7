//! Names that become paths, and paths that lead to what is no file.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use testsupport::PLUGINS;

use crate::stage::{POOLED, Stage};

/// A folder with one of everything that is no plain file.
struct Zoo {
    folder: PathBuf,
    _socket: UnixListener,
}

impl Zoo {
    fn new(stage: &mut Stage) -> Self {
        let folder = stage.folder().join("zoo");
        fs::create_dir(&folder).unwrap();
        let path = |name: &str| folder.join(name);
        stage.host.run(["mkfifo".as_ref(), path("fifo").as_os_str()]);
        fs::create_dir(path("folder")).unwrap();
        symlink("loop", path("loop")).unwrap();
        symlink("nothing", path("dangling")).unwrap();
        symlink("fifo", path("to-fifo")).unwrap();
        symlink("/dev/zero", path("to-zero")).unwrap();
        fs::write(path("plain"), "text").unwrap();
        let socket = UnixListener::bind(path("socket")).unwrap();
        stage.settle();
        Self { folder, _socket: socket }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

#[test]
fn network_names_that_are_paths() {
    let stage = Stage::new();
    for plugin in PLUGINS {
        for command in ["ADD", "DEL", "CHECK", "GC", "STATUS"] {
            for name in [
                "..",
                ".",
                "../../etc",
                "/etc",
                "a/b",
                ".causeway",
                "-rf",
                "a\0b",
                "a\nb",
                "~",
                "a b",
            ] {
                let call = stage.call(plugin, command).config(stage.with(plugin, "name", name));
                stage.refuses(&call, 7, &["network name", &format!("{name:?}")]);
            }
        }
    }
    stage.unchanged();
}

#[test]
fn plugin_types_that_are_paths() {
    let mut stage = Stage::new();
    let zoo = Zoo::new(&mut stage);
    let with = |name: Value| stage.with("bridge", "ipam.type", name);
    for name in ["..", ".", "../host-local", "/bin/sh", "a/b", "host-local\0", "\0"] {
        for command in ["ADD", "CHECK", "STATUS", "GC"] {
            if command == "CHECK" {
                continue;
            }
            let call = stage.call("bridge", command).config(with(name.into()));
            stage.refuses(&call, 7, &["ipam.type", &format!("{name:?}")]);
        }
    }
    for command in ["ADD", "DEL", "STATUS", "GC"] {
        let call = stage.call("bridge", command).config(with("bridge".into()));
        stage.refuses(&call, 7, &["ipam.type", "\"bridge\""]);
    }
    // Found where it was looked for, and no program.
    fs::set_permissions(zoo.path("plain"), fs::Permissions::from_mode(0o644)).unwrap();
    for (name, code) in [
        ("fifo", 103),
        ("folder", 103),
        ("socket", 103),
        ("to-zero", 103),
        ("loop", 103),
        ("plain", 103),
    ] {
        let call =
            stage.call("bridge", "ADD").env("CNI_PATH", &zoo.folder).config(with(name.into()));
        stage.refuses(&call, code, &[name]);
    }
    for path in ["", ":", "::::", "/nowhere", "\u{e9}", "/dev/null:/proc/self/mem"] {
        let call = stage.call("bridge", "ADD").env("CNI_PATH", path);
        let code = if path.trim_matches(':').is_empty() { 4 } else { 103 };
        stage.refuses(&call, code, &["host-local"]);
    }
    stage.unchanged();
}

#[test]
fn a_resolv_conf_that_is_no_plain_file() {
    let mut stage = Stage::new();
    let zoo = Zoo::new(&mut stage);
    let refuses = |path: &Path, says: &str| {
        let config = stage.with("host-local", "ipam.resolvConf", path.to_str().unwrap());
        let call = stage.call("host-local", "ADD").config(config);
        stage.refuses(&call, 5, &["ipam.resolvConf", path.to_str().unwrap(), says]);
    };
    for name in ["fifo", "folder", "to-fifo", "to-zero"] {
        refuses(&zoo.path(name), "not a plain file");
    }
    for name in ["loop", "dangling", "socket", "plain/x", "folder/../nothing"] {
        refuses(&zoo.path(name), "");
    }
    for path in
        ["/dev/zero", "/dev/null", "/dev/stdin", "/proc/self/fd", "/proc/kmsg", "/dev/tty", "/"]
    {
        refuses(Path::new(path), "");
    }
    let long = zoo.path("long");
    fs::write(&long, "nameserver 192.0.2.1\n".repeat(10_000)).unwrap();
    refuses(&long, "longer than 65536 bytes");
    let endless = zoo.path("holes");
    fs::File::create(&endless).unwrap().set_len(1 << 40).unwrap();
    refuses(&endless, "longer than 65536 bytes");
    fs::remove_file(long).unwrap();
    fs::remove_file(endless).unwrap();
    stage.unchanged();
}

#[test]
fn a_pool_where_no_folder_can_be() {
    let mut stage = Stage::new();
    let zoo = Zoo::new(&mut stage);
    for plugin in POOLED {
        for name in ["fifo", "socket", "plain", "to-zero", "loop", "plain/x"] {
            let path = zoo.path(name);
            let call = stage.call(plugin, "ADD");
            let call = call.config(stage.with(plugin, "ipam.dataDir", path.to_str().unwrap()));
            stage.refuses(&call, 5, &["pool folder", path.to_str().unwrap()]);
        }
        for path in ["/proc/self", "/dev/null", "/sys/class"] {
            let call = stage.call(plugin, "ADD").config(stage.with(plugin, "ipam.dataDir", path));
            stage.refuses(&call, 5, &[path]);
        }
        for path in ["pools", "../pools", "./", "\0/etc"] {
            let call = stage.call(plugin, "ADD").config(stage.with(plugin, "ipam.dataDir", path));
            stage.refuses(&call, 7, &["ipam.dataDir", "absolute"]);
        }
        let call = stage.call(plugin, "ADD").config(stage.with(plugin, "ipam.dataDir", "/a\0b"));
        stage.refuses(&call, 5, &["pool folder"]);
    }
    stage.unchanged();
}

#[test]
fn files_of_the_pool_that_are_something_else() {
    let mut stage = Stage::new();
    let pool = stage.pools().join("net");
    fs::create_dir(&pool).unwrap();
    fs::create_dir(pool.join("lock")).unwrap();
    stage.settle();
    let call = stage.call("host-local", "ADD");
    stage.refuses(&call, 5, &["lock", "EISDIR"]);
    stage.unchanged();
    fs::remove_dir(pool.join("lock")).unwrap();
    symlink("/etc/passwd", pool.join("lock")).unwrap();
    stage.settle();
    stage.refuses(&call, 5, &["lock", "ELOOP"]);
    stage.unchanged();
    fs::remove_file(pool.join("lock")).unwrap();
    // A hint only: whatever it is, the round begins anew.
    let hint = pool.join("last_reserved_ip.0");
    let make: [&dyn Fn(); 7] = [
        &|| fs::create_dir(&hint).unwrap(),
        &|| symlink("/dev/zero", &hint).unwrap(),
        &|| drop(stage.host.run(["mkfifo".as_ref(), hint.as_os_str()])),
        &|| fs::write(&hint, b"\xff\xfe").unwrap(),
        &|| fs::write(&hint, "10.1.0.300").unwrap(),
        &|| fs::write(&hint, "::ffff:10.1.0.77").unwrap(),
        &|| fs::File::create(&hint).unwrap().set_len(1 << 40).unwrap(),
    ];
    for make in make {
        make();
        let given = call.run().expect_success().json();
        assert!(given["ips"][0]["address"].as_str().unwrap().starts_with("10.1.0."), "{given}");
        stage.call("host-local", "DEL").run().expect_silent_success();
        fs::remove_dir(&hint).or_else(|_| fs::remove_file(&hint)).unwrap();
    }
}

#[test]
fn address_files_that_are_something_else_are_somebody_elses() {
    let stage = Stage::new();
    let pool = stage.pools().join("net");
    fs::create_dir(&pool).unwrap();
    let file = |number: u8| pool.join(format!("10.1.0.{number}"));
    fs::create_dir(file(2)).unwrap();
    symlink("/dev/zero", file(3)).unwrap();
    stage.host.run(["mkfifo".as_ref(), file(4).as_os_str()]);
    fs::write(file(5), b"\xff\xff").unwrap();
    fs::write(file(6), "x".repeat(5000)).unwrap();
    fs::File::create(file(7)).unwrap().set_len(1 << 40).unwrap();
    symlink("loop", file(8)).unwrap();
    let (answer, usage) = stage.call("host-local", "ADD").measured();
    assert_eq!(answer.expect_success().json()["ips"][0]["address"], "10.1.0.9/24");
    crate::stage::small(usage, &answer);
    stage.call("host-local", "DEL").run().expect_silent_success();
    assert!(file(2).is_dir() && file(6).is_file());
}

#[test]
fn what_is_no_namespace() {
    let mut stage = Stage::new();
    let zoo = Zoo::new(&mut stage);
    for plugin in ["bridge", "loopback", "tuning"] {
        for name in ["fifo", "folder", "socket", "plain", "loop", "dangling", "to-zero", "nothing"]
        {
            let path = zoo.path(name);
            stage.refuses(
                &stage.call(plugin, "ADD").netns_path(&path),
                8,
                &[path.to_str().unwrap()],
            );
        }
        for path in [
            "/",
            "/dev/zero",
            "/proc/self/ns/mnt",
            "/proc/self/environ",
            "/proc/1/ns/nothing",
            "relative",
        ] {
            stage.refuses(&stage.call(plugin, "ADD").netns_path(path), 8, &[path]);
        }
        let long = format!("/{}", "n".repeat(5000));
        stage.refuses(&stage.call(plugin, "ADD").netns_path(&long), 8, &["/nnnn", "ENAMETOOLONG"]);
    }
    stage.unchanged();
}

#[test]
fn a_log_file_that_nobody_reads_is_not_waited_for() {
    let mut stage = Stage::new();
    let zoo = Zoo::new(&mut stage);
    for plugin in PLUGINS {
        for name in ["fifo", "folder", "socket", "loop"] {
            let mut config = stage.with(plugin, "name", "a/b");
            config["logFile"] = json!(zoo.path(name));
            let answer = stage.call(plugin, "ADD").config(config).run();
            answer.expect_error(7);
        }
    }
    stage.unchanged();
}

#[test]
fn bridge_names_that_no_link_can_have() {
    let stage = Stage::new();
    for name in ["..", ".", "a/b", "../br0", "a b", "a:b", "sixteen-bytes-xx", "a\0b", "\u{a0}"] {
        let call = stage.call("bridge", "ADD").config(stage.with("bridge", "bridge", name));
        stage.refuses(&call, 7, &["bridge", &format!("{name:?}")]);
    }
    stage.unchanged();
}
