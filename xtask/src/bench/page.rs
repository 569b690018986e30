//! Tells what was measured: a table for the terminal, and the measured part of docs/reference/performance.md.

use std::fmt::Write as _;

use crate::Result;
use crate::part::Part;
use crate::workspace::Workspace;

use super::cage::Caged;
use super::callers::Callers;
use super::chart;
use super::machine::Machine;
use super::peer::Peers;
use super::row::{Measured, Race, Whose, duration};

const CHART: &str = "docs/reference/performance.svg";

/// What is written by `bench --write`.
const PART: Part = Part {
    page: "docs/reference/performance.md",
    begin: "<!-- measured: begin, written by `cargo xtask bench --write` -->\n",
    end: "<!-- measured: end -->\n",
};

/// All that one run found out.
pub(super) struct Findings {
    pub(super) machine: Machine,
    pub(super) versions: Vec<(String, String)>,
    pub(super) measured: Vec<Measured>,
    pub(super) caged: Caged,
    pub(super) callers: Callers,
    pub(super) peers: Peers,
}

impl Findings {
    /// Puts what is compared together, the fastest first.
    pub(super) fn sort(&mut self) {
        self.measured.sort_by(|a, b| {
            (a.race as u8).cmp(&(b.race as u8)).then(a.median.total_cmp(&b.median))
        });
    }

    /// Returns the rows of each race that was run.
    fn races(&self) -> impl Iterator<Item = (Race, Vec<&Measured>)> {
        Race::ALL
            .into_iter()
            .map(|race| (race, self.measured.iter().filter(|row| row.race == race).collect()))
            .filter(|(_, rows): &(Race, Vec<&Measured>)| !rows.is_empty())
    }

    /// Returns the tables for a terminal.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (race, rows) in self.races() {
            let fourth = if race == Race::Bulk { "memory" } else { "instructions" };
            let _ = writeln!(
                text,
                "\n{:<52}{:>10}{:>11}{fourth:>15}{:>6}",
                race.title(),
                "median",
                "fastest",
                "runs"
            );
            for row in rows {
                let name = named(row);
                let fourth = if race == Race::Bulk { row.memory() } else { row.instructions() };
                let (median, fastest) = (duration(row.median), duration(row.fastest));
                let _ = writeln!(
                    text,
                    "{name:<52}{median:>10}{fastest:>11}{fourth:>15}{:>6}",
                    row.runs
                );
            }
        }
        let _ = writeln!(text, "\n{:<52}{:>10}{:>11}", "The cage", "", "at most");
        for [what, is, most] in self.caged.lines(&self.measured) {
            let _ = writeln!(text, "{what:<52}{is:>10}{most:>11}");
        }
        let _ = writeln!(text, "\n{:<52}{:>10}{:>11}", "Threads of one program", "one", "four");
        for [what, one, four] in self.callers.lines() {
            let _ = writeln!(text, "{what:<52}{one:>10}{four:>11}");
        }
        if !self.peers.left_out.is_empty() {
            let _ = writeln!(text, "\nleft out:\n  {}", self.peers.left_out.join("\n  "));
        }
        if !self.machine.is_quiet() {
            let _ = writeln!(text, "\nwarning: {}", self.warning());
        }
        text
    }

    fn warning(&self) -> String {
        let busy = self.machine.busy * 100.0;
        format!("the machine had other work ({busy:.0} % of its processors): times are provisional")
    }

    /// Writes page and chart into the checkout.
    pub(super) fn write(&self, workspace: &Workspace) -> Result<()> {
        let page = workspace.root().join(PART.page);
        let text = fs_err::read_to_string(&page)?;
        fs_err::write(&page, PART.replaced(&text, &self.markdown())?)?;
        fs_err::write(workspace.root().join(CHART), chart::svg(&self.measured, &self.note()))?;
        println!("\nwritten: {}, {CHART}", PART.page);
        Ok(())
    }

    /// Returns the line below the chart's title.
    fn note(&self) -> String {
        let Machine { date, processor, .. } = &self.machine;
        let provisional = if self.machine.is_quiet() { "" } else { "provisional, " };
        format!("median, logarithmic; shorter is better; {provisional}{date}, {processor}")
    }

    fn markdown(&self) -> String {
        let mut text = String::new();
        let Machine { processor, cores, memory_gib, kernel, file_system, date, .. } = &self.machine;
        if !self.machine.is_quiet() {
            let _ = writeln!(text, "**Provisional**: {}.\n", self.warning());
        }
        let _ = writeln!(
            text,
            "Measured on {date}: {processor}, {cores} cores, {memory_gib} GiB, {kernel}, files on {file_system}.\n"
        );
        for (race, rows) in self.races() {
            let fourth = if race == Race::Bulk { "most memory" } else { "instructions" };
            let _ = writeln!(text, "### {}\n", race.title());
            let _ = writeln!(text, "| | median | fastest | {fourth} | runs |");
            let _ = writeln!(text, "| --- | ---: | ---: | ---: | ---: |");
            for row in rows {
                let fourth = if race == Race::Bulk { row.memory() } else { row.instructions() };
                let (median, fastest) = (duration(row.median), duration(row.fastest));
                let name = named(row);
                let name = if row.whose == Whose::Ours { format!("**{name}**") } else { name };
                let _ =
                    writeln!(text, "| {name} | {median} | {fastest} | {fourth} | {} |", row.runs);
            }
            text.push('\n');
        }
        text.push_str("### The cage\n\n| | | at most |\n| --- | ---: | ---: |\n");
        for [what, is, most] in self.caged.lines(&self.measured) {
            let _ = writeln!(text, "| {what} | {is} | {most} |");
        }
        text.push_str("\n### Threads of one program\n\n| | one | four |\n| --- | ---: | ---: |\n");
        for [what, one, four] in self.callers.lines() {
            let _ = writeln!(text, "| {what} | {one} | {four} |");
        }
        text.push_str("\n### Versions\n\n| | |\n| --- | --- |\n");
        for (name, version) in &self.versions {
            let _ = writeln!(text, "| {name} | {version} |");
        }
        for peer in &self.peers.found {
            let _ = writeln!(text, "| {} | {}: {} |", peer.name, peer.version, peer.kept);
        }
        if !self.peers.left_out.is_empty() {
            let _ = writeln!(text, "\nLeft out:\n");
            for left_out in &self.peers.left_out {
                let _ = writeln!(text, "- {left_out}");
            }
        }
        text.push_str(
            "\n### Commands\n\nEach was run in a temporary home, `~` here.\n\n| | |\n| --- | --- |\n",
        );
        for row in &self.measured {
            // A bar would end the cell.
            let _ = writeln!(text, "| {} | `{}` |", named(row), row.typed.replace('|', "\\|"));
        }
        text
    }
}

fn named(row: &Measured) -> String {
    match row.whose {
        Whose::Floor => format!("floor: {}", row.name),
        _ => row.name.clone(),
    }
}
