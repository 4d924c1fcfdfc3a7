//! What a run of a plugin used: CPU time and memory.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::call::{Answer, Call};
use crate::executable::measure;
use crate::process;

/// What a program and the children it waited for used.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// CPU time, its own and the kernel's on its behalf.
    pub cpu: Duration,
    /// Memory at the peak, in KiB.
    pub memory: u64,
}

impl Call {
    /// Runs the plugin to its end, and measures it.
    pub fn measured(&self) -> (Answer, Usage) {
        self.measured_with(|command| process::finish(command, self.stdin_bytes(), process::LIMIT))
    }

    /// The same with the standard streams as `redirect` sets them: stdin and whatever else.
    pub fn measured_redirected(&self, redirect: impl FnOnce(&mut Command)) -> (Answer, Usage) {
        self.measured_with(|command| {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            redirect(command);
            process::finish_redirected(command, process::LIMIT)
        })
    }

    fn measured_with(
        &self,
        run: impl FnOnce(&mut Command) -> process::Finished,
    ) -> (Answer, Usage) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("causeway-usage-{}-{number}", std::process::id());
        let report = std::env::temp_dir().join(name);
        let plain = self.process();
        let mut command = Command::new(measure());
        command.arg(&report).arg(plain.get_program()).env_clear().stdin(Stdio::null());
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let finished = run(&mut command);
        let text = fs::read_to_string(&report)
            .unwrap_or_else(|error| panic!("{}: {error}\n{finished}", report.display()));
        fs::remove_file(report).expect("remove the report");
        let mut numbers = text.split(' ').map(|word| word.parse().expect("a number"));
        let mut next = || numbers.next().expect("two numbers");
        let usage = Usage { cpu: Duration::from_micros(next()), memory: next() };
        (Answer::of(finished), usage)
    }
}
