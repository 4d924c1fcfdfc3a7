//! An eBPF program that counts the packets of a link, as those of Cilium and of other users of traffic
//! control are: by bpf(2) itself, as no program of the machine makes one from nothing.

#![expect(unsafe_code, reason = "neither nix nor the standard library has bpf(2)")]

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc;

const MAP_CREATE: libc::c_int = 0;
const MAP_LOOKUP: libc::c_int = 1;
const PROG_LOAD: libc::c_int = 5;
const OBJ_PIN: libc::c_int = 6;
const LINK_CREATE: libc::c_int = 28;
const LINK_DETACH: libc::c_int = 34;
/// `BPF_MAP_TYPE_ARRAY`, `BPF_PROG_TYPE_SCHED_CLS`.
const ARRAY: u32 = 2;
const CLASSIFIER: u32 = 3;
/// `BPF_TCX_INGRESS`; the one for what a link sends follows it.
const TCX_INGRESS: u32 = 46;

/// Passes a packet on to who comes next: `TC_ACT_UNSPEC`, and `TCX_NEXT`.
const NEXT: i32 = -1;

/// Which packets of a link.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Packets {
    /// Those that it receives.
    Received,
    /// Those that it sends.
    Sent,
}

/// A loaded program, which counts packets and passes them on.
#[derive(Debug)]
pub(crate) struct Counter {
    program: OwnedFd,
    map: OwnedFd,
}

/// A program's place at a link; it is taken away with this.
#[derive(Debug)]
#[must_use]
pub(crate) struct Attached(OwnedFd);

impl Drop for Attached {
    /// Closing is not enough: a process that another test starts just now has the descriptor, too.
    fn drop(&mut self) {
        call(LINK_DETACH, &self.0.as_raw_fd().to_ne_bytes()).expect("detach a program");
    }
}

impl Counter {
    /// Loads the program.
    ///
    /// # Errors
    /// The kernel has no bpf(2), or does not allow it here (in a user namespace it does not).
    pub(crate) fn load() -> io::Result<Self> {
        // Four bytes of key, eight of value, one entry.
        let map = open(MAP_CREATE, &words(&[ARRAY, 4, 8, 1]))?;
        let code = code(map.as_raw_fd());
        let license = CString::new("GPL").expect("no NUL in it");
        let mut attributes = words(&[CLASSIFIER, u32::try_from(code.len() / 8).expect("short")]);
        attributes.extend((code.as_ptr() as u64).to_ne_bytes());
        attributes.extend((license.as_ptr() as u64).to_ne_bytes());
        let program = open(PROG_LOAD, &attributes)?;
        Ok(Self { program, map })
    }

    /// Gives the program a name in a file system of its kind at `folder`, which is made.
    pub(crate) fn pin(&self, folder: &Path) -> PathBuf {
        fs::create_dir_all(folder).expect("make a folder");
        let mounted = Command::new("mount").args(["-t", "bpf", "bpf"]).arg(folder).status();
        assert!(mounted.expect("start mount").success(), "mount bpf at {}", folder.display());
        let path = folder.join("counter");
        let name = CString::new(path.as_os_str().as_encoded_bytes()).expect("no NUL in it");
        let mut attributes = (name.as_ptr() as u64).to_ne_bytes().to_vec();
        attributes.extend(self.program.as_raw_fd().to_ne_bytes());
        call(OBJ_PIN, &attributes).expect("pin a program");
        path
    }

    /// Puts the program at a link by tcx, which has it before all filters of traffic control.
    ///
    /// # Errors
    /// The kernel has no tcx (before Linux 6.6).
    pub(crate) fn attach_by_tcx(&self, index: u32, packets: Packets) -> io::Result<Attached> {
        let kind = match packets {
            Packets::Received => TCX_INGRESS,
            Packets::Sent => TCX_INGRESS + 1,
        };
        let program = u32::try_from(self.program.as_raw_fd()).expect("a descriptor");
        open(LINK_CREATE, &words(&[program, index, kind, 0])).map(Attached)
    }

    /// How many packets it has seen.
    pub(crate) fn packets(&self) -> u64 {
        let (key, mut value) = (0_u32, 0_u64);
        let mut attributes =
            words(&[u32::try_from(self.map.as_raw_fd()).expect("a descriptor"), 0]);
        attributes.extend((&raw const key as u64).to_ne_bytes());
        attributes.extend((&raw mut value as u64).to_ne_bytes());
        call(MAP_LOOKUP, &attributes).expect("read a map");
        value
    }
}

fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
}

/// The program: adds one to the only value of the map.
fn code(map: RawFd) -> Vec<u8> {
    [
        instruction(0x62, 10, -4, 0),          // *(u32 *)(r10 - 4) = 0, the key
        instruction(0xbf, 10 << 4 | 2, 0, 0),  // r2 = r10
        instruction(0x07, 2, 0, -4),           // r2 += -4
        instruction(0x18, 1 << 4 | 1, 0, map), // r1 = the map, in two halves
        instruction(0, 0, 0, 0),
        instruction(0x85, 0, 0, 1), // r0 = bpf_map_lookup_elem(r1, r2)
        instruction(0x15, 0, 2, 0), // if (r0 == 0) skip two
        instruction(0xb7, 1, 0, 1), // r1 = 1
        instruction(0xdb, 1 << 4, 0, 0), // lock *(u64 *)r0 += r1
        instruction(0xb7, 0, 0, NEXT), // r0 = NEXT
        instruction(0x95, 0, 0, 0), // return r0
    ]
    .concat()
}

/// `struct bpf_insn`.
fn instruction(code: u8, registers: u8, offset: i16, immediate: i32) -> Vec<u8> {
    let mut bytes = vec![code, registers];
    bytes.extend(offset.to_ne_bytes());
    bytes.extend(immediate.to_ne_bytes());
    bytes
}

fn open(command: libc::c_int, attributes: &[u8]) -> io::Result<OwnedFd> {
    let fd = call(command, attributes)?;
    // SAFETY: a descriptor that the kernel just gave, and nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(RawFd::try_from(fd).expect("a descriptor")) })
}

/// bpf(2) with `union bpf_attr`; what is not in `attributes` is zero.
fn call(command: libc::c_int, attributes: &[u8]) -> io::Result<libc::c_long> {
    let mut buffer = [0_u64; 16];
    for (word, bytes) in buffer.iter_mut().zip(attributes.chunks(8)) {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_ne_bytes(whole);
    }
    // SAFETY: the kernel reads `buffer`, and what the addresses in it are of outlives the call.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut buffer, size_of_val(&buffer)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
