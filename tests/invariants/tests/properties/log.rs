//! Lines of the log.

use cni_common::log::{Failure, Kind, Line, MAX_LINE};
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z ]{0,20}",
        "[\u{0}-\u{ff}\"\\\\]{0,3000}",
        "\\{\"causeway\":1,\"kind\":\"end\"\\}",
    ]
}

proptest! {
    #![proptest_config(super::cases(512))]

    #[test]
    fn a_line_is_read_as_it_was_written(
        texts in prop::collection::vec(text(), 10), numbers in any::<[u64; 5]>(),
        kind in prop::sample::select(&[Kind::Begin, Kind::Step, Kind::Note, Kind::End][..]),
        failed in any::<bool>(),
    ) {
        let [pid, id, within, start_us, duration] = numbers;
        let small = |number: u64| u32::try_from(number % (1 << 32)).unwrap();
        let own = |at: usize| texts[at].clone();
        let failure = Failure { code: small(pid), message: own(0), details: own(1) };
        let line = Line {
            time: own(2), call: own(3), pid: small(pid), plugin: own(4), command: own(5), network: own(6),
            container: own(7), interface: own(8), kind, id: small(id), within: Some(small(within)),
            step: own(9), start_us, duration_us: Some(duration), failure: failed.then_some(failure),
            ..Line::default()
        };
        let printed = line.print();
        prop_assert!(printed.len() < MAX_LINE);
        let read = Line::parse(&printed).unwrap();
        prop_assert_eq!(read.print(), printed.as_str());
        if texts.iter().all(|text| text.len() < 10) {
            prop_assert_eq!(&read, &line);
        }
        invariants::log(format!("{printed}\n").as_bytes());
    }

    #[test]
    fn a_damaged_log_costs_no_line_behind_it(
        bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..300_usize, step in text(),
    ) {
        let mut log = format!("{}\n", Line { step, ..Line::default() }.print()).into_bytes();
        let at = at.min(log.len());
        log.splice(at..at, bytes);
        invariants::log(&log);
    }
}
