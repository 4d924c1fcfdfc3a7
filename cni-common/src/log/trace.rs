//! `TRACEPARENT`: whose trace a call belongs to (W3C Trace Context, section 3.2). What is not valid is
//! ignored, as the recommendation asks.

/// The IDs of a trace and of the span that made the call, in lower case hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trace {
    trace_id: String,
    parent_id: String,
}

impl Trace {
    /// `VERSION-TRACE-PARENT-FLAGS`; later versions may go on behind the flags.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let (known, more) = value.split_at_checked(55)?;
        let parts: Vec<&str> = known.split('-').collect();
        let [version, trace_id, parent_id, _flags] = parts.as_slice() else { return None };
        let is_hex = |text: &str| text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        let lengths = parts.iter().map(|part| part.len());
        let is_valid = lengths.eq([2, 32, 16, 2])
            && parts.iter().all(|part| is_hex(part))
            && *version != "ff"
            && [trace_id, parent_id].iter().all(|id| id.bytes().any(|c| c != b'0'))
            && match *version {
                "00" => more.is_empty(),
                _later => more.is_empty() || more.starts_with('-'),
            };
        let own = |text: &&str| (*text).to_owned();
        is_valid.then(|| Self { trace_id: own(trace_id), parent_id: own(parent_id) })
    }

    /// Both IDs.
    pub(super) fn into_ids(self) -> (String, String) {
        (self.trace_id, self.parent_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";

    #[test]
    fn what_is_valid_is_taken_apart() {
        let later = format!("cc-{TRACE}-{PARENT}-01-what-the-future-brings");
        for value in [format!("00-{TRACE}-{PARENT}-01"), format!("01-{TRACE}-{PARENT}-00"), later] {
            let ids = Trace::parse(&value).map(Trace::into_ids);
            assert_eq!(ids, Some((TRACE.to_owned(), PARENT.to_owned())), "{value}");
        }
    }

    #[test]
    fn what_is_not_valid_is_ignored() {
        let zeros = |length: usize| "0".repeat(length);
        for value in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{PARENT}"),
            format!("00-{TRACE}-{PARENT}-01-more"),
            format!("00-{TRACE}-{PARENT}-01 "),
            format!("01-{TRACE}-{PARENT}-01more"),
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("00-{}-{PARENT}-01", zeros(32)),
            format!("00-{TRACE}-{}-01", zeros(16)),
            format!("00-{}-{PARENT}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}{PARENT}--01"),
            format!("00_{TRACE}_{PARENT}_01"),
            "é".repeat(40),
            format!("00-{}-{PARENT}-01", "g".repeat(32)),
        ] {
            assert_eq!(Trace::parse(&value), None, "{value}");
        }
    }
}
