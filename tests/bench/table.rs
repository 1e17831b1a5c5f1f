//! table — the table of results, with the machine they were measured on.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::{fs, thread};

/// One result.
pub(crate) struct BenchRow {
    name: String,
    measured: String,
    target: String,
    goal: GoalStatus,
}

enum GoalStatus {
    Met,
    Missed,
    NoTarget,
    NotMeasured,
}

impl BenchRow {
    pub(crate) fn new(name: &str, measured: String, target: &str, met: bool) -> Self {
        let goal = if met { GoalStatus::Met } else { GoalStatus::Missed };
        Self { name: name.to_owned(), measured, target: target.to_owned(), goal }
    }

    /// A result without a goal.
    pub(crate) fn without_target(name: &str, measured: String) -> Self {
        Self { name: name.to_owned(), measured, target: String::new(), goal: GoalStatus::NoTarget }
    }

    /// A detail of the row before.
    pub(crate) fn detail(name: &str, measured: String) -> Self {
        Self { name: format!("  {name}"), measured, target: String::new(), goal: GoalStatus::NoTarget }
    }

    fn cells(&self) -> [&str; 4] {
        let Self { name, measured, target, goal } = self;
        let met = match goal {
            GoalStatus::Met => "yes",
            GoalStatus::Missed => "NO",
            GoalStatus::NoTarget => "",
            GoalStatus::NotMeasured => "?",
        };
        [name, measured, target, met]
    }
}

pub(crate) struct BenchTable {
    rows: Vec<BenchRow>,
    heading: String,
}

impl BenchTable {
    pub(crate) fn new(operator: &Path) -> Self {
        let cores = thread::available_parallelism().map_or(0, usize::from);
        let cpu = read_field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown CPU".to_owned());
        let kib: u64 = read_field("/proc/meminfo", "MemTotal")
            .and_then(|text| text.split_whitespace().next()?.parse().ok())
            .unwrap_or_default();
        let binary = fs::metadata(operator).map_or(0, |metadata| metadata.len());
        let heading = format!(
            "{cores} cores ({cpu}), {} GB, {} {}, {}; operator {:.1} MB\nload average at the start {}",
            kib / 1_000_000,
            std::env::consts::OS,
            read_trimmed("/proc/sys/kernel/osrelease"),
            rustc_version(),
            binary as f64 / 1e6,
            load_average(),
        );
        Self { rows: Vec::new(), heading }
    }

    pub(crate) fn add_rows(&mut self, rows: Vec<BenchRow>) {
        self.rows.extend(rows);
    }

    /// Adds a row for a group that could not be measured.
    pub(crate) fn add_unmeasured(&mut self, group: &str, why: &str) {
        crate::log_progress(&format!("{group} could not be measured: {why}"));
        let measured = "could not be measured, see above".to_owned();
        self.rows.push(BenchRow {
            name: group.to_owned(),
            measured,
            target: String::new(),
            goal: GoalStatus::NotMeasured,
        });
    }

    pub(crate) fn all_measured(&self) -> bool {
        !self.rows.iter().any(|row| matches!(row.goal, GoalStatus::NotMeasured))
    }

    pub(crate) fn render(&self, took: Duration) -> String {
        let heading = ["benchmark", "measured", "goal", "met?"];
        let lines = || std::iter::once(heading).chain(self.rows.iter().map(BenchRow::cells));
        let width = |column: usize| lines().map(|cells| cells[column].chars().count()).max().unwrap_or_default();
        let widths = [0, 1, 2, 3].map(width);
        let rule = widths.map(|width| "─".repeat(width)).join("─┼─");
        let mut text = format!("\n{}, at the end {}; took {} s\n\n", self.heading, load_average(), took.as_secs());
        for (number, cells) in lines().enumerate() {
            let mut padded = String::new();
            for (cell, width) in cells.iter().zip(widths) {
                let separator = if padded.is_empty() { "" } else { " │ " };
                let _ = write!(padded, "{separator}{cell:width$}");
            }
            let _ = writeln!(text, "{}", padded.trim_end());
            if number == 0 {
                let _ = writeln!(text, "{rule}");
            }
        }
        text.push_str("\nMedians; in parentheses: number of runs and range. 1 MB is 1,000,000 bytes.\n");
        text
    }
}

fn read_trimmed(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

fn read_field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim_start_matches([' ', '\t', ':']).trim().to_owned())
}

/// Over one, five and fifteen minutes; other load on the machine distorts every result.
fn load_average() -> String {
    read_trimmed("/proc/loadavg").split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn rustc_version() -> String {
    let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(program).arg("--version").output().ok();
    version
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map_or_else(|| "unknown rustc".to_owned(), |text| text.trim().to_owned())
}
