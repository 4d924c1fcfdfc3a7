//! Every invariant for its own seed inputs, changed at random: what the fuzz targets do with coverage,
//! and for longer.

use std::fs;

use invariants::ALL;
use testsupport::{Numbers, golden};

/// How often each seed is changed.
const CHANGES: usize = 60;

#[test]
fn seeds_and_what_is_near_them() {
    for (name, invariant) in ALL {
        let mut seeds: Vec<Vec<u8>> = Vec::new();
        for entry in fs::read_dir(golden::path(&format!("tests/fuzz/seeds/{name}"))).unwrap() {
            seeds.push(fs::read(entry.unwrap().path()).unwrap());
        }
        seeds.sort();
        assert!(!seeds.is_empty(), "{name} has no seed");
        let mut numbers = Numbers::new(1);
        // A pool is made and removed on disk each time.
        let changes = if name == "pool" { 5 } else { CHANGES };
        for seed in &seeds {
            invariant(seed);
            for _ in 0..changes {
                let mut data = seed.clone();
                for _ in 0..1 + numbers.below(4) {
                    change(&mut numbers, &mut data, &seeds);
                }
                invariant(&data);
            }
        }
    }
}

fn change(numbers: &mut Numbers, data: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let place = numbers.below(data.len() + 1);
    match numbers.below(5) {
        0 => data.truncate(place),
        1 if place < data.len() => data[place] = u8::try_from(numbers.below(256)).unwrap(),
        2 if place < data.len() => drop(data.remove(place)),
        3 => {
            let other = numbers.pick(seeds);
            let from = numbers.below(other.len() + 1);
            data.truncate(place);
            data.extend(&other[from..]);
        }
        _ => data.insert(place, *numbers.pick(b"\0\"{}[],:\\-09e/\xff")),
    }
}
