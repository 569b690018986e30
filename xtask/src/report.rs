//! Runs the steps of a test run one after the other, keeps each one's output in a log file,
//! shows it only where the step failed, and adds everything up at the end.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::logged;

/// Result of one step.
#[derive(Default)]
pub(crate) struct Outcome {
    /// How many tests or checks passed.
    pub(crate) passed: usize,
    /// How many did not.
    pub(crate) failed: usize,
    /// All that was printed.
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

    /// Counts a check over many things by what it found fault with.
    pub(crate) fn faults(faults: Result<Vec<String>>) -> Self {
        Self::one(faults.and_then(|faults| match faults.is_empty() {
            true => Ok(String::new()),
            false => Err(faults.join("\n").into()),
        }))
    }

    /// Counts tests by the `test result:` lines of their output: each must have been run.
    pub(crate) fn tests(ok: bool, mut output: String) -> Self {
        let mut counts = [("passed", 0), ("failed", 0), ("ignored", 0)];
        for line in output.lines().filter(|line| line.starts_with("test result: ")) {
            // `test result: ok. 2 passed; 0 failed; 1 ignored; …`
            let words: Vec<&str> = line.split([' ', ';']).collect();
            for (name, count) in &mut counts {
                let at = words.iter().position(|word| word == name);
                let number = at.and_then(|at| words[at - 1].parse::<usize>().ok());
                *count += number.unwrap_or_default();
            }
        }
        let [(_, passed), (_, mut failed), (_, ignored)] = counts;
        failed = failed.max(usize::from(!ok));
        if ignored > 0 || passed + failed == 0 {
            failed += 1;
            output += &format!("error: {ignored} tests are ignored, {passed} were run\n");
        }
        Self { passed, failed, output }
    }

    /// Adds what came of something else.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.output += &other.output;
    }
}

/// The steps of this run so far.
pub(crate) struct Report {
    logs: PathBuf,
    began: Instant,
    /// Name, duration and number of failures of each.
    steps: Vec<(String, Duration, usize)>,
    passed: usize,
}

impl Report {
    /// Starts a run that writes its logs into a directory.
    pub(crate) fn new(logs: PathBuf) -> Self {
        Self { logs, began: Instant::now(), steps: Vec::new(), passed: 0 }
    }

    /// Returns the directory of the logs.
    pub(crate) fn logs(&self) -> &Path {
        &self.logs
    }

    /// Runs a step, which gets its log file, and prints its line.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce(&Path) -> Outcome) -> bool {
        // A step can take minutes: its name is there before its result. A reader who has
        // gone away changes nothing about the run.
        print!("{name:<44}");
        let _ = io::stdout().flush();
        let slug: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let log = self.logs.join(format!("{:02}-{slug}.log", self.steps.len() + 1));
        let began = Instant::now();
        let Outcome { passed, failed, output } = work(&log);
        let duration = began.elapsed();
        let word = if failed == 0 { "ok" } else { "FAILED" };
        let count = match passed + failed {
            0 | 1 => String::new(),
            _ => format!("   {passed} passed, {failed} failed"),
        };
        println!("{word:>6} {:>8.1} s{count}", duration.as_secs_f64());
        if let Err(error) = fs_err::write(&log, &output) {
            eprintln!("warning: {error}");
        }
        if failed > 0 {
            println!("----- output of `{name}` ({})", log.display());
            println!("{}\n----- end of `{name}`", output.trim_end());
        }
        self.steps.push((name.to_owned(), duration, failed));
        self.passed += passed;
        failed == 0
    }

    /// Runs a step that counts itself; where it cannot be run that is one failure.
    pub(crate) fn counted(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Result<Outcome>,
    ) -> Result<()> {
        self.step(name, |_| work().unwrap_or_else(|error| Outcome::one(Err(error))));
        Ok(())
    }

    /// Runs a command as a step that counts once.
    pub(crate) fn command(&mut self, name: &str, command: &mut Command) -> bool {
        self.step(name, |log| {
            let (ok, output) = logged(command, log);
            Outcome { passed: usize::from(ok), failed: usize::from(!ok), output }
        })
    }

    /// Runs `cargo test` as a step that counts every test it ran.
    pub(crate) fn cargo_test(&mut self, name: &str, command: &mut Command) -> bool {
        self.step(name, |log| {
            let (ok, output) = logged(command, log);
            Outcome::tests(ok, output)
        })
    }

    /// Prints where the time went and the closing line, and returns how the run ended.
    pub(crate) fn finish(mut self) -> ExitCode {
        println!("\nwhere the time went ({:.0} s in all):", self.began.elapsed().as_secs_f64());
        self.steps.sort_by_key(|(_, duration, _)| std::cmp::Reverse(*duration));
        for (name, duration, _) in self.steps.iter().filter(|(_, time, _)| time.as_secs() >= 1) {
            println!("{:>8.1} s  {name}", duration.as_secs_f64());
        }
        for (name, _, _) in self.steps.iter().filter(|(_, _, failed)| *failed > 0) {
            println!("failed: {name}");
        }
        let failed: usize = self.steps.iter().map(|(_, _, failed)| failed).sum();
        println!("logs: {}\n\n{} passed, {failed} failed", self.logs.display(), self.passed);
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_results_are_summed_and_ignored_test_is_failure() {
        let line = |counts| format!("test result: ok. {counts}; 0 measured; finished in 0.00s\n");
        let output = line("2 passed; 0 failed; 1 ignored") + &line("3 passed; 4 failed; 0 ignored");
        let Outcome { passed, failed, .. } = Outcome::tests(false, output);
        assert_eq!((passed, failed), (5, 5));
        assert_eq!(Outcome::tests(true, line("0 passed; 0 failed; 0 ignored")).failed, 1);
    }
}
