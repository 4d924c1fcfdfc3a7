//! Reading a log, of which any part may be damaged: a disk was full, somebody edited it.

use super::line::Line;
use crate::error::{Code, Error};

/// What every line begins with.
const LEAD: &[u8] = b"{\"causeway\":";
/// More bytes without a line break are no line of anybody's.
const MAX_KEPT: usize = 64 << 10;

/// Something that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// A line.
    Line(Box<Line>),
    /// What is none: the number of its line in the file, counted from 1, and what is wrong.
    Damaged(u64, Error),
}

/// Takes the bytes of a log as they come.
#[derive(Debug, Default)]
pub struct Reader {
    /// The beginning of the line that is still to come to its end.
    rest: Vec<u8>,
    /// How many lines were read.
    lines: u64,
    /// The line is longer than any.
    is_skipping: bool,
}

impl Reader {
    /// What the next bytes bring to its end.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Read> {
        let mut found = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(end) => {
                    self.keep(end);
                    self.finish(&mut found);
                }
                None => self.keep(part),
            }
        }
        found
    }

    /// What is left when no more comes: a line that was not written to its end.
    pub fn end(&mut self) -> Vec<Read> {
        let mut found = Vec::new();
        if self.is_skipping || !self.rest.is_empty() {
            self.finish(&mut found);
        }
        found
    }

    fn keep(&mut self, part: &[u8]) {
        if self.is_skipping || self.rest.len() + part.len() > MAX_KEPT {
            self.is_skipping = true;
            self.rest.clear();
        } else {
            self.rest.extend_from_slice(part);
        }
    }

    fn finish(&mut self, found: &mut Vec<Read>) {
        self.lines += 1;
        let line = std::mem::take(&mut self.rest);
        let damaged = |error| Read::Damaged(self.lines, error);
        if std::mem::take(&mut self.is_skipping) {
            let message = format!("more than {MAX_KEPT} bytes in one line");
            found.push(damaged(Error::new(Code::Decode, message)));
            return;
        }
        // Whoever writes after one whose line was cut goes on behind what there is of it. Within a text the
        // quotes of the lead would be escaped.
        let last = line.windows(LEAD.len()).rposition(|window| window == LEAD).unwrap_or_default();
        let (cut, whole) = line.split_at(last);
        if !cut.is_empty() {
            found.push(damaged(Error::new(Code::Decode, "a line that was not written to its end")));
        }
        let text =
            std::str::from_utf8(whole).map_err(|error| Error::new(Code::Decode, error.to_string()));
        match text.and_then(Line::parse) {
            Ok(line) => found.push(Read::Line(Box::new(line))),
            Err(_empty) if whole.is_empty() => {}
            Err(error) => found.push(damaged(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(step: &str) -> String {
        Line { step: step.to_owned(), ..Line::default() }.print()
    }

    /// The steps of lines, and the numbers of damaged ones.
    fn shown(found: Vec<Read>) -> Vec<String> {
        let shown = |read| match read {
            Read::Line(line) => line.step,
            Read::Damaged(number, _) => format!("damaged {number}"),
        };
        found.into_iter().map(shown).collect()
    }

    #[test]
    fn a_damaged_line_costs_no_other() {
        let (one, two) = (line("one {\"causeway\":"), line("two"));
        let half = one.get(..40).unwrap();
        let text = format!("{one}\n{half}{two}\n\nnonsense\n{two}\n{half}");
        let mut reader = Reader::default();
        let mut found = reader.push(text.as_bytes());
        found.extend(reader.end());
        assert_eq!(
            shown(found),
            ["one {\"causeway\":", "damaged 2", "two", "damaged 4", "two", "damaged 6"]
        );
        assert!(reader.end().is_empty());
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let mut reader = Reader::default();
        for _ in 0..1000 {
            assert!(reader.push(&[b'x'; 10_000]).is_empty());
            assert!(reader.rest.capacity() <= 4 * MAX_KEPT);
        }
        let found = reader.push(format!("\n{}\n", line("next")).as_bytes());
        assert_eq!(shown(found), ["damaged 1", "next"]);
    }

    #[test]
    fn bytes_come_in_pieces() {
        let text = format!("{}\n\u{e9}\n{}\n", line("é"), line("two"));
        let whole = Reader::default().push(text.as_bytes());
        for place in 0..text.len() {
            let (before, after) = text.as_bytes().split_at(place);
            let mut reader = Reader::default();
            let mut found = reader.push(before);
            found.extend(reader.push(after));
            assert_eq!(found, whole);
        }
    }
}
