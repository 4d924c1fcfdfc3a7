//! The log of the plugins: a file that a full disk, an editor or anybody else may have damaged.

use cni_common::Code;
use cni_common::log::{Kind, Line, MAX_LINE, Read, Reader};

use crate::is_sound;

/// Longer parts without a line break are no line, and take the next one with them.
const MAX_PART: usize = 32 << 10;

/// What is read of a log is the same however its bytes come; a line is printed within its bound, and read as the
/// same again; what is damaged is named; and a line behind it is found.
pub fn log(data: &[u8]) {
    let whole = read(data, data.len().max(1));
    for size in [1, 7, 300] {
        assert_eq!(read(data, size), whole, "in pieces of {size}");
    }
    let lines = data.split(|byte| *byte == b'\n').count() as u64;
    for found in &whole {
        match found {
            Read::Line(line) => is_read_again(line),
            Read::Damaged(number, error) => {
                is_sound(error, &[Code::Decode]);
                assert!((1..=lines).contains(number), "line {number} of {lines}");
            }
        }
    }
    let last = data.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    if last.len() < MAX_PART {
        let good = Line { kind: Kind::End, step: "{\"causeway\":".to_owned(), ..Line::default() };
        let text = [data, good.print().as_bytes(), b"\n"].concat();
        assert_eq!(read(&text, text.len()).pop(), Some(Read::Line(Box::new(good))));
    }
}

fn read(data: &[u8], size: usize) -> Vec<Read> {
    let mut reader = Reader::default();
    let mut found: Vec<Read> = data.chunks(size).flat_map(|part| reader.push(part)).collect();
    found.extend(reader.end());
    found
}

fn is_read_again(line: &Line) {
    let printed = line.print();
    assert!(printed.len() < MAX_LINE && !printed.contains('\n'), "{printed}");
    let again = Line::parse(&printed).expect("a line that was printed");
    assert_eq!(again.print(), printed);
    // What is cut ends with such a mark; all else is as it was.
    if !printed.contains('…') {
        assert_eq!(again, *line);
    }
}
