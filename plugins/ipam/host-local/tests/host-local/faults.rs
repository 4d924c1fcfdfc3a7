//! Full and read-only disks, missing rights, things that are not what they should be: a clear error
//! naming the path, nothing half done, and a DEL that succeeds where it can.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use testsupport::Host;

use crate::pool::{self, Pool};

const NONE: Option<&str> = None;

/// A file system of `size` over `path`, for the calling thread's host only.
fn cover(path: &Path, options: &str) {
    mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some(options)).unwrap();
}

/// Fills the file system that `path` is on to its last byte.
fn fill(path: &Path) {
    use std::io::Write;
    let mut file = fs::File::create(path).unwrap();
    for size in [65_536, 4_096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

#[test]
fn a_full_disk_fails_add_and_lets_del_through() {
    let _host = Host::new();
    let pool = Pool::small();
    cover(pool.data_dir(), "size=256k");
    pool.add("c1").expect_success();
    pool.add("c2").expect_success();
    fill(&pool.data_dir().join("filler"));
    let message = pool.add("c3").expect_error(5);
    assert!(message.contains(pool.folder().to_str().unwrap()), "{message}");
    assert!(message.contains("ENOSPC"), "{message}");
    assert_eq!(pool.leases().len(), 2);
    pool.del("c1").expect_silent_success();
    assert_eq!(pool.leases().len(), 1);
    fs::remove_file(pool.data_dir().join("filler")).unwrap();
    pool.add("c3").expect_success();
    pool.del("c2").expect_silent_success();
    pool.del("c3").expect_silent_success();
    assert!(pool.leases().is_empty());
    umount2(pool.data_dir(), MntFlags::MNT_DETACH).unwrap();
}

#[test]
fn a_mark_that_finds_no_room_fails_add_and_one_that_is_not_to_be_had_does_not() {
    let pool = Pool::small();
    let add = |error: &str| {
        let inject = format!("inject=fsetxattr:error={error}");
        pool::under_strace(&pool, &pool.call("ADD", "c1"), &["-e", &inject]).0
    };
    assert!(!add("ENOSPC"));
    assert!(pool.leases().is_empty());
    assert!(add("EOPNOTSUPP"));
    assert_eq!(pool.leases().len(), 1);
}

#[test]
fn no_inode_left_fails_add_and_leaves_nothing() {
    let _host = Host::new();
    let pool = Pool::small();
    cover(pool.data_dir(), "nr_inodes=9");
    let mut served = 0;
    while served < 9 && pool.add(&format!("c{served}")).status() == Some(0) {
        served += 1;
    }
    assert!((1..9).contains(&served), "{served}");
    assert!(pool.add("more").expect_error(5).contains("ENOSPC"));
    assert_eq!(pool.leases().len(), served);
    for number in 0..served {
        pool.del(&format!("c{number}")).expect_silent_success();
    }
    assert!(pool.leases().is_empty());
    umount2(pool.data_dir(), MntFlags::MNT_DETACH).unwrap();
}

#[test]
fn a_read_only_disk_is_named() {
    let _host = Host::new();
    let pool = Pool::small();
    cover(pool.data_dir(), "size=1m");
    pool.add("c1").expect_success();
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(NONE, pool.data_dir(), NONE, flags, NONE).unwrap();
    for (command, id) in [("ADD", "c2"), ("DEL", "c1")] {
        let message = pool.call(command, id).run().expect_error(5);
        let lock = pool.file("lock");
        let wanted = format!("open lock {}: Read-only file system (EROFS)", lock.display());
        assert_eq!(message, wanted);
    }
    assert_eq!(pool.leases().len(), 1);
    umount2(pool.data_dir(), MntFlags::MNT_DETACH).unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let mut pool = Pool::small();
    pool.ipam["dataDir"] = "/proc/no/such".into();
    let message = pool.add("c1").expect_error(5);
    assert!(message.starts_with("create pool folder /proc/no/such/net1: "), "{message}");
    pool.del("c1").expect_silent_success();
}

#[test]
fn a_file_in_the_folders_place_is_named() {
    let pool = Pool::small();
    fs::write(pool.folder(), "not a folder").unwrap();
    assert!(pool.status().expect_error(50).ends_with("Not a directory (ENOTDIR)"));
    for command in ["ADD", "DEL", "CHECK"] {
        let message = pool.call(command, "c1").run().expect_error(5);
        let wanted =
            format!("open pool folder {}: Not a directory (ENOTDIR)", pool.folder().display());
        assert_eq!(message, wanted);
    }
    assert_eq!(fs::read_to_string(pool.folder()).unwrap(), "not a folder");
}

#[test]
fn a_dangling_link_in_the_folders_place_is_named() {
    let pool = Pool::small();
    symlink("/no/where", pool.folder()).unwrap();
    let message = pool.add("c1").expect_error(5);
    assert!(message.contains(pool.folder().to_str().unwrap()), "{message}");
    pool.del("c1").expect_silent_success();
    assert!(fs::symlink_metadata("/no").is_err());
}

#[test]
fn links_in_the_pool_are_not_followed() {
    let pool = Pool::small();
    let target = pool.data_dir().join("precious");
    fs::write(&target, "precious").unwrap();
    fs::create_dir_all(pool.folder()).unwrap();
    symlink(&target, pool.file("lock")).unwrap();
    let message = pool.add("c1").expect_error(5);
    assert!(message.contains(pool.file("lock").to_str().unwrap()), "{message}");
    assert!(pool.leases().is_empty());
    fs::remove_file(pool.file("lock")).unwrap();
    // A hint that can't be read or written is none.
    symlink(&target, pool.file("last_reserved_ip.0")).unwrap();
    symlink(&target, pool.file("10.0.0.2")).unwrap();
    symlink(pool.data_dir().join("dangling"), pool.file("10.0.0.3")).unwrap();
    assert_eq!(pool.allocated("c1"), ["10.0.0.4"]);
    fs::remove_dir_all(pool.data_dir().join(".causeway")).unwrap();
    symlink(pool.data_dir().join("elsewhere"), pool.data_dir().join(".causeway")).unwrap();
    assert_eq!(pool.allocated("c2"), ["10.0.0.5"]);
    pool.del("c1").expect_silent_success();
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert!(!pool.data_dir().join("dangling").exists());
    assert!(!pool.data_dir().join("elsewhere").exists());
}

#[test]
fn a_data_dir_that_is_a_link_is_followed() {
    let mut pool = Pool::small();
    let link = pool.data_dir().join("link");
    fs::create_dir(pool.data_dir().join("real")).unwrap();
    symlink("real", &link).unwrap();
    pool.ipam["dataDir"] = link.to_str().unwrap().into();
    pool.add("c1").expect_success();
    assert!(pool.data_dir().join("real/net1/10.0.0.2").is_file());
    pool.del("c1").expect_silent_success();
    assert!(!pool.data_dir().join("real/net1/10.0.0.2").exists());
}

#[test]
fn what_a_power_loss_leaves_is_known_for_what_it_is() {
    let pool = Pool::new(serde_json::json!({ "subnet": "10.0.0.0/29" }));
    for id in ["a", "b", "c", "d", "e"] {
        pool.add(id).expect_success();
    }
    // Empty, zeros, cut short, vanished; and one address twice under one holder.
    fs::write(pool.file("10.0.0.2"), "").unwrap();
    fs::write(pool.file("10.0.0.3"), [0; 8]).unwrap();
    fs::write(pool.file("10.0.0.4"), "c\r\n").unwrap();
    fs::remove_file(pool.file("10.0.0.5")).unwrap();
    fs::copy(pool.file("10.0.0.6"), pool.file("10.0.0.5")).unwrap();
    pool.status().expect_silent_success();
    for id in ["a", "b"] {
        pool.del(id).expect_silent_success();
    }
    pool.del("d").expect_silent_success();
    assert_eq!(pool.leases().len(), 5);
    // Both of e's are released; then only the three unfinished ones are in the way.
    pool.del("e").expect_silent_success();
    let allocated: Vec<String> =
        (0..5).flat_map(|number| pool.allocated(&format!("n{number}"))).collect();
    assert_eq!(allocated, ["10.0.0.5", "10.0.0.6", "10.0.0.2", "10.0.0.3", "10.0.0.4"]);
    pool.add("more").expect_error(104);
}

#[test]
fn a_requested_address_left_unfinished_is_allocated() {
    let pool = Pool::small();
    pool.write("10.0.0.9", "");
    let answer = pool.call("ADD", "c1").args("IP=10.0.0.9").run();
    assert_eq!(pool::addresses(&answer), ["10.0.0.9"]);
    assert_eq!(pool.leases()["10.0.0.9"], "c1\r\neth0");
}
