//! A line on standard error about what takes longer than a second, where that is a terminal, and nowhere else.
//! It is erased before anything is printed. Nothing waits for it, and nothing depends on it.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What takes less says nothing.
const DELAY: Duration = Duration::from_secs(1);
/// How often the line is written again.
const PAUSE: Duration = Duration::from_millis(100);

/// What is being done.
#[derive(Debug, Default)]
struct Progress {
    /// Since when; `None` while nothing is.
    since: Option<Instant>,
    step: Step,
    is_shown: bool,
}

/// What a command is at.
#[derive(Debug, Default)]
struct Step {
    /// In words: "looked at", or all that is to be said.
    words: String,
    /// How many of how many things.
    count: Option<(usize, usize, &'static str)>,
}

impl Step {
    fn line(&self) -> String {
        let mut line = self.words.clone();
        if let Some((done, all, things)) = self.count {
            // A text can always be written to.
            write!(line, " {done} of {all} {things}").ok();
        }
        // A longer one would not be erased as a whole.
        line.chars().filter(|one| !one.is_control()).take(78).collect()
    }
}

static PROGRESS: Mutex<Progress> = Mutex::new(Progress {
    since: None,
    step: Step { words: String::new(), count: None },
    is_shown: false,
});
static WRITER: Once = Once::new();

/// A command begins.
pub(crate) fn begin() {
    if !io::stderr().is_terminal() {
        return;
    }
    let mut progress = locked();
    progress.since = Some(Instant::now());
    progress.step = Step::default();
    drop(progress);
    // Where there is no thread for it there is no line.
    WRITER.call_once(|| drop(thread::Builder::new().spawn(follow)));
}

/// It has ended, or is about to print: the line goes.
pub(crate) fn end() {
    let mut progress = locked();
    progress.since = None;
    if progress.is_shown {
        progress.is_shown = false;
        write("");
    }
}

/// What it is at now, of which nothing is counted.
pub(crate) fn say(words: &str) {
    locked().step = Step { words: words.to_owned(), count: None };
}

/// The items, counted: `("looked at", "attachments")`.
pub(crate) fn each<I: ExactSizeIterator>(
    (words, things): (&str, &'static str),
    items: impl IntoIterator<IntoIter = I>,
) -> impl Iterator<Item = I::Item> {
    let items = items.into_iter();
    let all = items.len();
    locked().step = Step { words: words.to_owned(), count: Some((0, all, things)) };
    items
        .enumerate()
        .inspect(move |(done, _)| {
            if let Some(count) = &mut locked().step.count {
                *count = (*done, all, things);
            }
        })
        .map(|(_, item)| item)
}

fn follow() {
    loop {
        thread::sleep(PAUSE);
        let mut progress = locked();
        let line = progress.step.line();
        let is_long = progress.since.is_some_and(|since| since.elapsed() >= DELAY);
        if is_long && !line.is_empty() {
            progress.is_shown = true;
            write(&line);
        }
    }
}

/// Instead of what the line said.
fn write(line: &str) {
    // A terminal that has gone away is no reason to stop.
    write!(io::stderr().lock(), "\r\u{1b}[K{line}").ok();
    io::stderr().lock().flush().ok();
}

fn locked() -> MutexGuard<'static, Progress> {
    PROGRESS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_many_of_how_many() {
        let mut items = each(("looked at", "attachments"), vec![7; 3]);
        assert_eq!((items.next(), items.next()), (Some(7), Some(7)));
        assert_eq!(locked().step.line(), "looked at 1 of 3 attachments");
        let step = Step { words: format!("a\nb{}", "c".repeat(200)), count: None };
        assert_eq!((step.line().len(), step.line().starts_with("abc")), (78, true));
    }
}
