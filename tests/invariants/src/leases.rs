//! Files of a pool: what is in them may be anything.

use std::fs::{self, File, FileTimes};
use std::net::IpAddr;
use std::path::PathBuf;

use causeway_host_local::address::Span;
use causeway_host_local::store::{Holder, Location, Pool};
use cni_common::types::{ContainerId, IfName};

/// The content of an address file.
pub fn lease(data: &[u8]) {
    let is_blank = data.iter().all(|byte| *byte == 0 || byte.is_ascii_whitespace());
    let holder = Holder::parse(data);
    assert_eq!(holder == Holder::Nobody, is_blank, "{holder:?}");
    match &holder {
        Holder::Attachment(id, ifname) => {
            let written = Holder::content(id, ifname);
            assert_eq!(Holder::parse(written.as_bytes()), holder);
            // An attachment is only what says so: both names stand in the file, around the break.
            let text = std::str::from_utf8(data).expect("text");
            let (before, after) = text.split_once("\r\n").expect("a break");
            assert_eq!((before.trim(), after.trim()), (id.as_str(), ifname.as_str()));
        }
        Holder::Container(id) | Holder::HalfWritten(id) => {
            let text = String::from_utf8_lossy(data);
            assert!(text.contains(id.as_str()));
        }
        Holder::Nobody | Holder::Unknown => {}
    }
    assert!(!holder.is_nobody() || !matches!(holder, Holder::Attachment(..)));
}

/// A pool whose files are overwritten: three bytes of `data` choose a file, an offset and a byte, and so
/// on. Whatever its cache and hints say, an address that is held is never allocated, and nobody's
/// lease is taken for another's.
pub fn pool(data: &[u8]) {
    let folder = Scratch::new();
    let location =
        Location { data_dir: folder.0.clone(), network: "net".to_owned(), keeps_history: true };
    let names = |number: usize| -> (ContainerId, IfName) {
        (format!("c{number}").parse().expect("an ID"), "eth0".parse().expect("a name"))
    };
    let ip = |number: usize| -> IpAddr { format!("10.0.0.{number}").parse().expect("an address") };
    let mut pool = Pool::create(&location).expect("a pool");
    for number in 2..6 {
        let (id, ifname) = names(number);
        assert!(pool.reserve(ip(number), &id, &ifname).expect("taken"));
    }
    pool.set_last_reserved(0, ip(5)).expect("recorded");
    pool.history().expect("a history").note_pod("a/b", 0, ip(3));
    pool.save();
    drop(pool);
    let files =
        [".causeway/net.index", ".causeway/net.memory", "net/last_reserved_ip.0", "net/10.0.0.9"];
    fs::write(folder.0.join("net/10.0.0.9"), data.get(..data.len().min(40)).unwrap_or_default())
        .expect("a file");
    overwrite(&folder, &files, data);
    let Ok(Some(mut pool)) = Pool::open(&location) else { return };
    pool.last_reserved(0);
    pool.history().map(|history| history.address_of_pod("a/b", 0));
    let whole = Span::new(ip(1), ip(254));
    for number in 2..6 {
        let (id, ifname) = names(number);
        assert!(!pool.reserve(ip(number), &id, &ifname).expect("tried"), "it was held");
        let held = pool.held_by(&id, &ifname).expect("asked");
        assert!(held.iter().all(|held| *held == ip(number)), "{held:?}");
    }
    let (id, ifname) = names(100);
    for _ in 0..4 {
        let Some(free) = pool.first_free(&[whole]).expect("asked") else { break };
        if pool.reserve(free, &id, &ifname).expect("taken") {
            assert!((2..6).all(|number| ip(number) != free), "{free} was held");
            pool.release(free, &id, &ifname).expect("released");
            break;
        }
    }
    pool.save();
}

/// Changes bytes of the pool's files, the time of change left as it was: the worst case, in which the
/// cache is believed.
fn overwrite(folder: &Scratch, files: &[&str], data: &[u8]) {
    for change in data.chunks_exact(4) {
        let path = folder.0.join(files[usize::from(change[0]) % files.len()]);
        let Ok(mut bytes) = fs::read(&path) else { continue };
        let location = usize::from(u16::from_le_bytes([change[1], change[2]]));
        match bytes.get_mut(location) {
            Some(byte) => *byte = change[3],
            None if change[0] & 128 != 0 => bytes.truncate(location % (bytes.len() + 1)),
            None => bytes.push(change[3]),
        }
        let Ok(time) = fs::metadata(&path).and_then(|metadata| metadata.modified()) else {
            continue;
        };
        let file = File::options().write(true).truncate(true).open(&path).expect("a file");
        std::io::Write::write_all(&mut &file, &bytes).expect("written");
        file.set_times(FileTimes::new().set_modified(time)).expect("its time again");
    }
}

/// A folder in memory that is deleted with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("causeway-invariants-{}-{number}", std::process::id());
        let memory = PathBuf::from("/dev/shm");
        let root = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let path = root.join(name);
        fs::create_dir(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
