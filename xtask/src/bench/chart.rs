//! Draws what was measured: one bar a command, its length the logarithm of its time.

use std::fmt::Write as _;

use super::row::{Measured, Race, Whose, duration};

/// What is drawn; bulk work has a scale of its own and stays in the table.
const DRAWN: [Race; 3] = [Race::One, Race::Many, Race::Write];

// In units of the drawing, about a pixel each.
const WIDTH: f64 = 860.0;
const MARGIN: f64 = 20.0;
const ROW: f64 = 21.0;
const BAR: f64 = 13.0;
const HEAD: f64 = 84.0;
const GROUP: f64 = 44.0;
/// Room for the time behind the longest bar.
const TIME: f64 = 64.0;
/// The most a character of a label takes, at its size and in bold.
const CHARACTER: f64 = 7.0;

/// Colours for a light and, where the reader's system asks for it, for a dark page.
const STYLE: &str = "\
    .page { fill: #ffffff } text { fill: #1f2933; font-size: 12px }
    .title { font-size: 16px; font-weight: bold } .group, .ours-name { font-weight: bold } .group { font-size: 13px }
    .note { fill: #52606d } .grid { stroke: #d9dee5; stroke-width: 1 }
    .floor { fill: #9aa5b1 } .ours { fill: #1a66c2 } .peer { fill: #d08b2c }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117 } text { fill: #e6edf3 } .note { fill: #a5b1be } .grid { stroke: #2b333d }
      .floor { fill: #76828f } .ours { fill: #58a6ff } .peer { fill: #d9a441 }
    }";

/// Returns the drawing.
pub(super) fn svg(measured: &[Measured], note: &str) -> String {
    let groups: Vec<(Race, Vec<&Measured>)> = DRAWN
        .iter()
        .map(|race| (*race, measured.iter().filter(|row| row.race == *race).collect()))
        .filter(|(_, rows): &(Race, Vec<&Measured>)| !rows.is_empty())
        .collect();
    let rows: Vec<&Measured> = groups.iter().flat_map(|(_, rows)| rows.iter().copied()).collect();
    let longest = rows.iter().map(|row| label(row).chars().count()).max().unwrap_or_default();
    let left = MARGIN + longest as f64 * CHARACTER + 10.0;
    let scale = Scale::over(rows.iter().map(|row| row.median), left, WIDTH - MARGIN - TIME);
    let height = HEAD + groups.len() as f64 * GROUP + rows.len() as f64 * ROW + MARGIN;

    let mut out = String::new();
    let mut line = |text: std::fmt::Arguments<'_>| writeln!(out, "{text}").unwrap_or_default();
    line(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\" role=\"img\" aria-labelledby=\"t d\">"
    ));
    line(format_args!("  <title id=\"t\">What one secret costs, as a whole process</title>"));
    line(format_args!(
        "  <desc id=\"d\">Median times on a logarithmic scale; docs/reference/performance.md has them as a table.</desc>"
    ));
    line(format_args!("  <style>\n{STYLE}\n  </style>"));
    line(format_args!("  <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\"/>"));
    line(format_args!(
        "  <text class=\"title\" x=\"{MARGIN}\" y=\"32\">What one secret costs, as a whole process</text>"
    ));
    line(format_args!("  <text class=\"note\" x=\"{MARGIN}\" y=\"52\">{}</text>", escaped(note)));
    let mut x = MARGIN;
    for (class, text) in
        [("ours", "Keystead"), ("peer", "others"), ("floor", "the least there is (floors)")]
    {
        line(format_args!(
            "  <rect class=\"{class}\" x=\"{x}\" y=\"64\" width=\"12\" height=\"12\" rx=\"2\"/>"
        ));
        line(format_args!("  <text x=\"{}\" y=\"74\">{text}</text>", x + 18.0));
        x += 36.0 + text.len() as f64 * CHARACTER;
    }

    let mut y = HEAD;
    for (race, rows) in &groups {
        let (top, bottom) = (y + GROUP - 6.0, y + GROUP + rows.len() as f64 * ROW - 4.0);
        line(format_args!(
            "  <text class=\"group\" x=\"{MARGIN}\" y=\"{}\">{}</text>",
            y + GROUP - 12.0,
            race.title()
        ));
        for tick in scale.ticks() {
            let at = scale.at(tick);
            line(format_args!(
                "  <line class=\"grid\" x1=\"{at:.1}\" y1=\"{top}\" x2=\"{at:.1}\" y2=\"{bottom}\"/>"
            ));
            line(format_args!(
                "  <text class=\"note\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                top - 5.0,
                shown(tick)
            ));
        }
        y += GROUP;
        for row in rows {
            let (class, named) = match row.whose {
                Whose::Floor => ("floor", "note"),
                Whose::Ours => ("ours", "ours-name"),
                Whose::Peer => ("peer", "peer-name"),
            };
            let (end, middle) = (scale.at(row.median), y + BAR - 2.5);
            line(format_args!(
                "  <text class=\"{named}\" x=\"{:.1}\" y=\"{middle}\" text-anchor=\"end\">{}</text>",
                left - 10.0,
                escaped(&label(row))
            ));
            line(format_args!(
                "  <rect class=\"{class}\" x=\"{left:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"{BAR}\" rx=\"2\"/>",
                end - left
            ));
            line(format_args!(
                "  <text x=\"{:.1}\" y=\"{middle}\">{}</text>",
                end + 6.0,
                duration(row.median)
            ));
            y += ROW;
        }
    }
    out.push_str("</svg>\n");
    out
}

/// Returns a row's label: what a colour says is said in words too.
fn label(row: &Measured) -> String {
    match row.whose {
        Whose::Floor => format!("floor: {}", row.name),
        _ => row.name.clone(),
    }
}

/// Puts times on a line, each power of ten as far from the next.
struct Scale {
    least: f64,
    most: f64,
    left: f64,
    right: f64,
}

impl Scale {
    fn over(times: impl Iterator<Item = f64> + Clone, left: f64, right: f64) -> Self {
        let least = times.clone().fold(f64::INFINITY, f64::min).clamp(1e-3, 1e6);
        let most = times.fold(least, f64::max);
        // The shortest bar is still a bar, and two equal times are no line of no length.
        Self { least: least / 2.0, most: most.max(least * 2.0), left, right }
    }

    fn at(&self, time: f64) -> f64 {
        let share = (time / self.least).log10() / (self.most / self.least).log10();
        self.left + share.clamp(0.0, 1.0) * (self.right - self.left)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (-3..=6)
            .map(|power| 10_f64.powi(power))
            .filter(|tick| (self.least..=self.most).contains(tick))
    }
}

/// Returns a power of ten, in milliseconds.
fn shown(tick: f64) -> String {
    if tick < 1e3 { format!("{tick} ms") } else { format!("{} s", tick / 1e3) }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(race: Race, whose: Whose, name: &str, median: f64) -> Measured {
        Measured {
            race,
            whose,
            name: name.into(),
            typed: String::new(),
            median,
            fastest: median,
            runs: 1,
            instructions: None,
            memory: None,
        }
    }

    /// Returns the values of an attribute in the lines that hold some words.
    fn numbers(svg: &str, words: &str, attribute: &str) -> Vec<f64> {
        let lines = svg.lines().filter(|line| line.contains(words));
        lines
            .filter_map(|line| line.split_once(&format!(" {attribute}=\""))?.1.split('"').next())
            .map(|number| number.parse().unwrap())
            .collect()
    }

    #[test]
    fn ten_times_the_time_is_the_same_step_and_nothing_leaves_the_drawing() {
        let rows: Vec<Measured> = [1.0, 10.0, 100.0, 1000.0]
            .map(|time| row(Race::One, Whose::Peer, "a & b", time))
            .into();
        let svg = svg(&rows, "note");
        let widths = numbers(&svg, "rect class=\"peer\"", "width");
        // The first is the legend's.
        let bars = &widths[1..];
        let steps: Vec<f64> = bars.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(bars.len(), 4);
        assert!(steps.iter().all(|step| (step - steps[0]).abs() < 0.2 && *step > 0.0), "{steps:?}");
        let lefts = numbers(&svg, "rect class=\"peer\"", "x");
        assert!(lefts[1] + bars[3] <= WIDTH - TIME, "{svg}");
        assert!(svg.contains("a &amp; b"));
    }

    #[test]
    fn no_two_labels_are_on_one_line_and_bulk_work_is_not_drawn() {
        let rows = [
            row(Race::One, Whose::Floor, "cat", 0.6),
            row(Race::One, Whose::Ours, "get", 1.5),
            row(Race::Many, Whose::Ours, "get of many", 1.5),
            row(Race::Bulk, Whose::Ours, "import", 9000.0),
        ];
        let svg = svg(&rows, "note");
        let mut lines = numbers(&svg, "text-anchor=\"end\"", "y");
        assert_eq!(lines.len(), 3);
        lines.dedup_by(|a, b| (*a - *b).abs() < ROW - 1.0);
        assert_eq!(lines.len(), 3);
        assert!(!svg.contains("import"));
    }
}
