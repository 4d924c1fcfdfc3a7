//! Fuzzing of messages of D-Bus: see `invariants::dbus_message`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: fuzz::start(),
    |data: &[u8]| fuzz::run(invariants::dbus_message, data)
);
