//! Runs the steps of a test run one after the other, keeps each one's output in a log file,
//! shows it only where the step failed, and adds everything up at the end.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::logged;

/// What one step came to.
pub(crate) struct Outcome {
    /// How many tests or checks passed.
    pub(crate) passed: usize,
    /// How many did not.
    pub(crate) failed: usize,
    /// All that was said.
    pub(crate) output: String,
}

impl Outcome {
    /// Counts a single check by its result.
    pub(crate) fn one(result: Result<String>) -> Self {
        match result {
            Ok(output) => Self { passed: 1, failed: 0, output },
            Err(error) => Self { passed: 0, failed: 1, output: format!("error: {error}\n") },
        }
    }

    /// Counts nothing: a step that only makes ready.
    pub(crate) fn quiet() -> Self {
        Self { passed: 0, failed: 0, output: String::new() }
    }

    /// Counts a check over many things by what it found fault with.
    pub(crate) fn faults(faults: &[String]) -> Self {
        let passed = usize::from(faults.is_empty());
        Self { passed, failed: 1 - passed, output: faults.join("\n") + "\n" }
    }
}

/// One step that has been run.
struct Step {
    name: String,
    duration: Duration,
    passed: usize,
    failed: usize,
}

/// The steps of this run so far.
pub(crate) struct Report {
    logs: PathBuf,
    began: Instant,
    steps: Vec<Step>,
}

impl Report {
    /// Starts a run that writes its logs into a folder.
    pub(crate) fn new(logs: PathBuf) -> Self {
        Self { logs, began: Instant::now(), steps: Vec::new() }
    }

    /// Runs a step and prints its line.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Outcome) -> bool {
        print!("{name:<44}");
        // A step can take minutes: its name is there before its result. A reader who has
        // gone away changes nothing about the run.
        let _ = io::stdout().flush();
        self.timed(name, work)
    }

    /// Runs a step that speaks for itself, and prints its line at the end.
    pub(crate) fn ready(&mut self, name: &str, work: impl FnOnce() -> Outcome) -> bool {
        self.timed(name, || {
            let outcome = work();
            print!("{name:<44}");
            outcome
        })
    }

    /// Returns the folder of the logs.
    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.logs
    }

    /// Returns the log file of the next step.
    fn log(&self, name: &str) -> PathBuf {
        let slug: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        self.logs.join(format!("{:02}-{slug}.log", self.steps.len() + 1))
    }

    fn timed(&mut self, name: &str, work: impl FnOnce() -> Outcome) -> bool {
        let began = Instant::now();
        let outcome = work();
        let duration = began.elapsed();
        let log = self.log(name);
        let word = if outcome.failed == 0 { "ok" } else { "FAILED" };
        let count = match outcome.passed + outcome.failed {
            0 | 1 => String::new(),
            _ => format!("   {} passed, {} failed", outcome.passed, outcome.failed),
        };
        println!("{word:>6} {:>8.1} s{count}", duration.as_secs_f64());
        if let Err(error) = fs_err::write(&log, &outcome.output) {
            eprintln!("warning: {error}");
        }
        let Outcome { passed, failed, output } = outcome;
        if failed > 0 {
            println!("----- output of `{name}` ({})", log.display());
            println!("{}", output.trim_end());
            println!("----- end of `{name}`");
        }
        self.steps.push(Step { name: name.to_owned(), duration, passed, failed });
        failed == 0
    }

    /// Runs a command as a step that counts once.
    pub(crate) fn command(&mut self, name: &str, command: &mut Command) -> bool {
        let log = self.log(name);
        self.step(name, || {
            let (ok, output) = logged(command, &log);
            Outcome { passed: usize::from(ok), failed: usize::from(!ok), output }
        })
    }

    /// Runs `cargo test` as a step that counts every test it ran.
    pub(crate) fn cargo_test(&mut self, name: &str, command: &mut Command) -> bool {
        let log = self.log(name);
        self.step(name, || {
            let (ok, output) = logged(command, &log);
            Counted::outcome(ok, output)
        })
    }

    /// Prints where the time went and the closing line, and says how the run ended.
    pub(crate) fn finish(self) -> ExitCode {
        let passed: usize = self.steps.iter().map(|step| step.passed).sum();
        let failed: usize = self.steps.iter().map(|step| step.failed).sum();
        let mut slowest: Vec<&Step> = self.steps.iter().collect();
        slowest.sort_by_key(|step| std::cmp::Reverse(step.duration));
        println!("\nwhere the time went ({:.0} s in all):", self.began.elapsed().as_secs_f64());
        for step in slowest.iter().filter(|step| step.duration.as_secs() >= 1) {
            println!("{:>8.1} s  {}", step.duration.as_secs_f64(), step.name);
        }
        println!("logs: {}", self.logs.display());
        for step in self.steps.iter().filter(|step| step.failed > 0) {
            println!("failed: {}", step.name);
        }
        println!("\n{passed} passed, {failed} failed");
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// The sums of the `test result:` lines in the output of `cargo test`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    passed: usize,
    failed: usize,
    ignored: usize,
}

impl Counted {
    /// Judges tests by their output and whether they succeeded: each must have been run.
    pub(crate) fn outcome(ok: bool, mut output: String) -> Outcome {
        let counted = Self::in_output(&output);
        let mut failed = counted.failed;
        if !ok {
            failed = failed.max(1);
        }
        if counted.ignored > 0 {
            failed += 1;
            let _ = writeln!(output, "error: {} tests are ignored: none may be", counted.ignored);
        }
        if counted.passed + failed == 0 {
            failed += 1;
            output.push_str("error: no test was run\n");
        }
        Outcome { passed: counted.passed, failed, output }
    }

    fn in_output(output: &str) -> Self {
        let mut sum = Self::default();
        for line in output.lines() {
            let Some((_, counts)) =
                line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
            else {
                continue;
            };
            for part in counts.split(';') {
                let mut words = part.split_whitespace();
                let Some(number) = words.next().and_then(|word| word.parse::<usize>().ok()) else {
                    continue;
                };
                match words.next() {
                    Some("passed") => sum.passed += number,
                    Some("failed") => sum.failed += number,
                    Some("ignored") => sum.ignored += number,
                    _ => {}
                }
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_the_results_of_all_test_binaries() {
        let output = "running 2 tests\ntest result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
                      test result: FAILED. 3 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        assert_eq!(Counted::in_output(output), Counted { passed: 5, failed: 4, ignored: 1 });
    }
}
