//! An address file that the disk does not give: its address counts as held, everything else is done, and what may have
//! been left undone is told with the file's path.

use std::fs;
use std::path::Path;

use cni_common::names;
use cni_common::types::Attachment;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::fs::{XattrFlags, setxattr};
use testsupport::{Answer, Host};

use crate::pool::{self, Pool};

const NONE: Option<&str> = None;

/// Has the kernel fail each read of a file, as a bad disk does: what is at address 0 of a process can't be read.
fn damage(path: &Path) {
    let memory = format!("/proc/{}/mem", std::process::id());
    mount(Some(memory.as_str()), path, NONE, MsFlags::MS_BIND, NONE).unwrap();
    assert_eq!(fs::read(path).unwrap_err().raw_os_error(), Some(5), "EIO");
}

fn mend(path: &Path) {
    umount2(path, MntFlags::MNT_DETACH).unwrap();
}

/// Nothing is kept for the next call, so that it reads all files.
fn forget(pool: &Pool) {
    // A call that could not read all has kept nothing.
    fs::remove_dir_all(pool.data_dir().join(".causeway")).ok();
}

#[track_caller]
fn tells(answer: &Answer, path: &Path) {
    let message = answer.expect_error(5);
    assert!(message.contains(path.to_str().unwrap()) && message.contains("(EIO)"), "{message}");
}

#[test]
fn an_add_gives_another_address_and_the_index_is_not_trusted_meanwhile() {
    let _host = Host::new();
    let pool = Pool::small();
    for id in ["a", "b"] {
        pool.add(id).expect_success();
    }
    let file = pool.file("10.0.0.2");
    forget(&pool);
    damage(&file);
    assert_eq!(pool.allocated("c"), ["10.0.0.4"]);
    // Asked for, it is refused.
    tells(&pool.call("ADD", "d").args("IP=10.0.0.2").run(), &file);
    mend(&file);
    // What was not known of it is not kept.
    pool.add("a").expect_error(101);
    pool.del("a").expect_silent_success();
    assert_eq!(pool.leases().into_keys().collect::<Vec<_>>(), ["10.0.0.3", "10.0.0.4"]);
}

#[test]
fn a_full_range_does_not_give_it_either() {
    let _host = Host::new();
    let pool = Pool::new(serde_json::json!({ "subnet": "10.0.0.0/29" }));
    for id in ["a", "b", "c", "d", "e"] {
        pool.add(id).expect_success();
    }
    pool.del("e").expect_silent_success();
    damage(&pool.file("10.0.0.3"));
    forget(&pool);
    assert_eq!(pool.allocated("f"), ["10.0.0.6"]);
    pool.add("g").expect_error(104);
    mend(&pool.file("10.0.0.3"));
    assert_eq!(pool.leases()["10.0.0.3"], "b\r\neth0");
}

#[test]
fn a_del_releases_the_rest_and_tells_what_may_be_left() {
    let _host = Host::new();
    let pool = Pool::new(serde_json::json!({ "ranges": [
        [{ "subnet": "10.0.0.0/24" }], [{ "subnet": "fd00::/64" }]] }));
    for id in ["a", "b"] {
        pool.add(id).expect_success();
    }
    let file = pool.file("10.0.0.2");
    damage(&file);
    // The index says whose it is: the other address is released, and this one is told.
    tells(&pool.del("a"), &file);
    assert!(!pool.file("fd00::2").exists());
    // Nobody else is kept from anything.
    pool.del("b").expect_silent_success();
    assert!(!pool.file("10.0.0.3").exists() && !pool.file("fd00::3").exists());
    // Without an index it may be anybody's who holds nothing else.
    pool.add("c").expect_success();
    forget(&pool);
    pool.del("c").expect_silent_success();
    tells(&pool.del("a"), &file);
    mend(&file);
    pool.del("a").expect_silent_success();
    assert!(pool.leases().is_empty());
    // What could be read again is not passed over for what was known before.
    pool.add("d").expect_success();
    let file = pool.file("fd00::5");
    damage(&file);
    forget(&pool);
    pool.add("e").expect_success();
    mend(&file);
    pool.del("d").expect_silent_success();
    pool.del("e").expect_silent_success();
    assert!(pool.leases().is_empty());
}

#[test]
fn whose_it_is_is_told_by_what_was_noted_of_it() {
    let _host = Host::new();
    let pool = Pool::small();
    for id in ["a", "b"] {
        pool.add(id).expect_success();
    }
    let file = pool.file("10.0.0.2");
    let fails_to_read = ["-P", file.to_str().unwrap(), "-e", "inject=read:error=EIO"];
    let ends_well = |command: &str, id: &str| {
        forget(&pool);
        pool::under_strace(&pool, &pool.call(command, id), &fails_to_read).0
    };
    // Nothing was: `host-local` was called by nobody who makes links.
    assert!(!ends_well("DEL", "stranger"));
    let attachment = Attachment {
        network: pool::NETWORK.parse().unwrap(),
        container: "a".parse().unwrap(),
        ifname: "eth0".parse().unwrap(),
    };
    let attacher = format!("{} 4 4026531840 25 7", names::host_interface(&attachment));
    let attribute = "user.causeway.attacher";
    setxattr(&file, attribute, attacher.as_bytes(), XattrFlags::empty()).unwrap();
    assert!(ends_well("DEL", "stranger"));
    assert!(!ends_well("DEL", "a") && !ends_well("ADD", "a"));
    assert!(ends_well("ADD", "c"));
    assert_eq!(pool.leases()["10.0.0.2"], "a\r\neth0");
}

#[test]
fn a_second_add_of_the_attachment_is_refused_and_its_check_fails() {
    let _host = Host::new();
    let pool = Pool::small();
    pool.add("a").expect_success();
    let file = pool.file("10.0.0.2");
    damage(&file);
    tells(&pool.add("a"), &file);
    tells(&pool.call("CHECK", "a").run(), &file);
    pool.status().expect_silent_success();
    mend(&file);
    assert_eq!(pool.leases().len(), 1);
}

#[test]
fn gc_goes_on_with_the_rest_and_tells_of_it() {
    let _host = Host::new();
    let pool = Pool::small();
    for id in ["a", "b", "c"] {
        pool.add(id).expect_success();
    }
    let file = pool.file("10.0.0.2");
    damage(&file);
    tells(&pool.gc(&["b"]), &file);
    assert!(pool.file("10.0.0.3").exists() && !pool.file("10.0.0.4").exists());
    mend(&file);
    pool.gc(&["b"]).expect_silent_success();
    assert_eq!(pool.leases().into_keys().collect::<Vec<_>>(), ["10.0.0.3"]);
}
